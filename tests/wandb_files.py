"""Reads what W&B wrote offline: a LevelDB log of protocol buffers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK, _HEADER, _FILE_HEADER = 32768, 7, 7
_FULL, _LAST = 1, 4


@dataclass
class WrittenRun:
    """One run as the service of W&B would receive it."""

    id: str = ""
    group: str = ""
    job_type: str = ""
    tags: set[str] = field(default_factory=set)
    config: dict = field(default_factory=dict)
    summary: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)


def written_runs(folder: Path) -> list[WrittenRun]:
    """The runs below `folder/wandb`, oldest first."""
    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda p: p.stat().st_mtime_ns)
    return [_run(path) for path in paths]


def _run(path: Path) -> WrittenRun:
    from wandb.proto import wandb_internal_pb2

    found = WrittenRun()
    for content in _entries(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found.id, found.group, found.job_type = run.run_id, run.run_group, run.job_type
            found.tags = set(run.tags)
            found.config |= _values(run.config.update)
        elif kind == "config":
            found.config |= _values(record.config.update)
        elif kind == "summary":
            found.summary |= _values(record.summary.update)
        elif kind == "history":
            found.history.append(_values(record.history.item))
    return found


def _values(items) -> dict:
    found: dict = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return found


def _entries(data: bytes) -> Iterator[bytes]:
    """The entries of the log; a long one is spread over blocks."""
    parts, at = b"", _FILE_HEADER
    while at + _HEADER <= len(data):
        if _BLOCK - at % _BLOCK < _HEADER:  # the rest of a block is padding
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + _HEADER])
        parts += data[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
