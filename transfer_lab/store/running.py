"""Which grids are running on a store, and how far they are, as each of them tells. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from transfer_lab.experiment.loading import ExperimentFile, checked
from transfer_lab.experiment.yaml_source import Given, Source, plain
from transfer_lab.store.layout import RUNNING
from transfer_lab.system import host
from transfer_lab.system.pulse import lives

SILENT = 60.0
"""Seconds without a word after which a grid counts as gone: its process was killed on a machine
that cannot be asked, or is suspended."""


class AtWork(BaseModel):
    """Runs in one pass: what people call them, what they do, the share that is done, and for how
    many seconds they have been at it."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[str, ...]
    name: str
    doing: str
    share: float | None = None
    seconds: float = 0.0


class Mishap(BaseModel):
    """A run that has failed in this call, with its error."""

    model_config = ConfigDict(frozen=True)

    run: str
    name: str
    error: str


class RunningGrid(BaseModel):
    """A grid as it tells of itself: who it is, what it trains, and how far it is.

    `content` is the experiment as it was read, with what `--set` made of it; `pulses` is the folder
    of its machine in which its workers leave their curves. `left`: seconds, None as long as nothing
    tells.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    host: str
    started_at: str
    experiment: str
    path: str
    in_python: bool = False
    content: dict[str, Any]
    overrides: tuple[str, ...] = ()
    pulses: str | None = None

    total: int = 0
    ended: int = 0
    phase: str = ""
    seconds: float = 0.0
    left: float | None = None
    working: tuple[AtWork, ...] = ()
    failed: tuple[Mishap, ...] = ()

    @classmethod
    def of(cls, file: ExperimentFile, started_at: str, pulses: Path | None) -> RunningGrid:
        """What this process trains."""
        source = file.source
        return cls(
            pid=os.getpid(),
            host=host.name(),
            started_at=started_at,
            experiment=file.experiment.name,
            path=str(source.path.absolute()),
            in_python=isinstance(source, Given),
            content=plain(source.data),
            overrides=tuple(source.overrides.values()),
            pulses=pulses and str(pulses),
        )

    @property
    def name(self) -> str:
        """By which it is told from every other on the store."""
        return f"{self.host}-{self.pid}"

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == host.name()

    def load(self) -> ExperimentFile:
        """The experiment that it trains. Raises ConfigError where that cannot be read from here."""
        return checked(Source(Path(self.path), plain(self.content)))


def announce(root: Path, grid: RunningGrid) -> None:
    """Tell in the store how far a grid is. Not flushed to disk: the next word follows in a second.
    Raises OSError where it cannot be written."""
    folder = root / RUNNING
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".tmp-")
    try:
        text = json.dumps(grid.model_dump(), ensure_ascii=False, default=str)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(text.encode(errors="replace"))  # a file name may be no text
        os.replace(name, folder / f"{grid.name}.json")
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def withdraw(root: Path, grid: RunningGrid) -> None:
    """The grid has ended."""
    with contextlib.suppress(OSError):
        (root / RUNNING / f"{grid.name}.json").unlink(missing_ok=True)


def running(root: Path, now: float | None = None) -> list[RunningGrid]:
    """The grids that are running on a store, the oldest first. What dead processes of this machine
    have left is removed, what is not readable or silent is passed over."""
    found = [grid for path in _announcements(root) if (grid := _heard(path, now or time.time()))]
    return sorted(found, key=lambda grid: (grid.started_at, grid.name))


def _announcements(root: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted((root / RUNNING).glob("*.json"))


def _heard(path: Path, now: float) -> RunningGrid | None:
    try:
        silence = now - path.stat().st_mtime
        grid = RunningGrid.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    if grid.is_here and not lives(grid.pid):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return None if silence > SILENT or path.stem != grid.name else grid
