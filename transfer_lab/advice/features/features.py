"""Pooled features of photographs in a frozen network: each photograph's own, whatever others are
there, and computed once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.advice.features.feature_store import FeatureStore, Row
from transfer_lab.advice.features.looks import THUMBNAIL, Look, look, thumbnail_of
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.system import host
from transfer_lab.system.decode import BrokenImageError, decode_file, on_all_cores

if TYPE_CHECKING:
    from transfer_lab.advice.features.networks import Network
    from transfer_lab.backbones.base import Backbone

_VERSION = 2
"""Of how features and thumbnails are computed and kept: others are not taken for these."""
_KEPT_EVERY_S = 2.0
_GUESS_S = 0.05
"""Seconds a photograph and core, before any was looked at."""


class Features(NamedTuple):
    """Of the photographs that could be read, and were reached in time, in their order.

    `values` (n, features), float32; `kept` (n), the place of each among those asked for;
    `thumbnails` (n, side, side), uint8; `seconds` that computing takes, now or whenever it was
    done; `reached`, how many of those asked for were come to at all; `problem`, why nothing can be
    kept for the next time.
    """

    values: np.ndarray
    kept: np.ndarray
    looks: tuple[Look, ...]
    thumbnails: np.ndarray
    seconds: float
    broken: tuple[tuple[Path, str], ...]
    reached: int
    problem: str | None = None


def extract(
    paths: Sequence[Path],
    hashes: Sequence[str],
    network: Network,
    size: int,
    *,
    cache: Path | None,
    listen: Listener = SILENT,
    seconds: float = math.inf,
    backbone: Backbone | None = None,
    leave_out: int = 0,
) -> Features:
    """Features of each file, from the cache by content or computed, one after the other until the
    time is up. `backbone`: the network, where it is loaded already. `leave_out`: of its last
    stages; what the stage before gives is averaged over places.

    Files are decoded as everywhere (the middle square) and shown in batches of one size, the last
    one padded, so that a photograph's features do not depend on its neighbours. A file that cannot
    be read is named in `broken`. Where it is interrupted, what was computed is kept.
    """
    started = time.monotonic()
    store = FeatureStore(cache, _key(network, size, leave_out))
    known: dict[str, Row | str] = dict(store.get(hashes))
    files = dict(zip(reversed(hashes), reversed(paths), strict=True))
    missing = {sha256: files[sha256] for sha256 in dict.fromkeys(hashes) if sha256 not in known}
    step = "earlier" if leave_out else "features"
    if missing:
        listen.step(step, _expected(known, len(missing)))
    kept_at, kept = started, set(known)
    try:
        for rows in _batches(missing, network, size, backbone, leave_out):
            known |= rows
            listen.progress(len(known) - len(files) + len(missing), len(missing))
            now = time.monotonic()
            if now - kept_at > _KEPT_EVERY_S:
                kept_at, kept = now, _keep(store, known, kept)
            if now + sum(row.seconds for row in rows.values() if isinstance(row, Row)) > (
                started + seconds
            ):
                break
    finally:  # where it is interrupted, too
        _keep(store, known, kept)
        store.close()
    if missing:
        listen.done(step, time.monotonic() - started)
    return _collected(paths, hashes, known, store.problem)


def _key(network: Network, size: int, leave_out: int) -> dict[str, object]:
    """All that determines features but the photograph."""
    # ONNX Runtime, where it is there, computes frozen networks on a CPU.
    computing = ("torch", "pillow", "onnx", "onnxruntime")
    versions = {name: host.version(name) for name in computing}
    own = {"network": network.name, "weights": network.sha256, "size": size, "version": _VERSION}
    return own | versions | ({"leave_out": leave_out} if leave_out else {})


def _expected(known: dict[str, Row | str], missing: int) -> float:
    """Seconds, by what the others took."""
    took = [row.seconds for row in known.values() if isinstance(row, Row)]
    return missing * (float(np.mean(took)) if took else _GUESS_S / host.cores())


def _keep(store: FeatureStore, known: dict[str, Row | str], kept: set[str]) -> set[str]:
    """Store what is not yet; returns what now is."""
    fresh = {key: row for key, row in known.items() if key not in kept}
    store.put({key: row for key, row in fresh.items() if isinstance(row, Row)})
    return kept | fresh.keys()


def _batches(
    files: Mapping[str, Path],
    network: Network,
    size: int,
    backbone: Backbone | None,
    leave_out: int,
) -> Iterator[dict[str, Row | str]]:
    """What becomes of each file, or what is wrong with it, some at a time."""
    if not files:
        return
    # Late: where all is in the cache, these need not be loaded.
    import torch

    from transfer_lab.advice.features.networks import load
    from transfer_lab.backbones.frozen import FrozenPrefix
    from transfer_lab.system.device import device

    backbone = backbone or load(network)
    prefix = FrozenPrefix(backbone, len(backbone.stages) - leave_out, device())
    batch = prefix.batch_size(size)
    seen = zip(files, on_all_cores(partial(_seen, size=size), files.values()), strict=True)
    begun = time.monotonic()
    while block := list(islice(seen, batch)):
        whole = [(key, found) for key, found in block if not isinstance(found, str)]
        rows: dict[str, Row | str] = {key: found for key, found in block if isinstance(found, str)}
        if whole:
            pixels = np.stack([one.pixels for _, one in whole])
            # Always as many as a batch holds: the last digits of an output depend on that.
            padded = torch.as_tensor(np.resize(pixels, (batch, *pixels.shape[1:])))
            outputs = prefix(padded)
            values = outputs.flatten(2).mean(2) if leave_out else outputs.flatten(1)
            each = (time.monotonic() - begun) / len(block)
            for value, (key, one) in zip(values.numpy()[: len(whole)], whole, strict=True):
                rows[key] = Row(value, one.look, one.thumbnail, each)
        yield rows
        begun = time.monotonic()


class _Seen(NamedTuple):
    """The middle square of a file, and what is kept of it beside features."""

    pixels: np.ndarray
    look: Look
    thumbnail: np.ndarray


def _seen(path: Path, size: int) -> _Seen | str:
    """A file, or why it cannot be read."""
    try:
        pixels = decode_file(path, size)
        return _Seen(pixels, look(path, pixels), thumbnail_of(pixels))
    except (BrokenImageError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")


def _collected(
    paths: Sequence[Path],
    hashes: Sequence[str],
    known: Mapping[str, Row | str],
    problem: str | None,
) -> Features:
    kept, rows, broken = [], [], []
    for place, (path, sha256) in enumerate(zip(paths, hashes, strict=True)):
        found = known.get(sha256)
        if isinstance(found, Row):
            kept.append(place)
            rows.append(found)
        elif found is not None:
            broken.append((path, found))
    once = {sha256: row.seconds for sha256, row in known.items() if isinstance(row, Row)}
    return Features(
        values=np.stack([row.values for row in rows]) if rows else np.zeros((0, 0), np.float32),
        kept=np.array(kept, dtype=np.int64),
        looks=tuple(row.look for row in rows),
        thumbnails=np.array([row.thumbnail for row in rows], np.uint8).reshape(
            -1, THUMBNAIL, THUMBNAIL
        ),
        seconds=sum(once.values()),
        broken=tuple(broken),
        reached=len(kept) + len(broken),
        problem=problem,
    )
