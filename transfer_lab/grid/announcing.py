"""A running grid tells in the store how far it is, for a dashboard or whoever looks."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from transfer_lab.experiment.loading import ExperimentFile
from transfer_lab.grid.progress import GridProgress
from transfer_lab.store import running
from transfer_lab.store.running import RunningGrid

_SECONDS_BETWEEN = 1.0


class Announcement:
    """A word a second, from a thread, as long as the grid runs; nothing is left of it at the end.
    A context manager. A store in which it cannot be written goes without."""

    def __init__(self, root: Path, file: ExperimentFile, progress: GridProgress):
        self._root, self._progress = root, progress
        began = datetime.now(UTC).isoformat(timespec="seconds")
        self._grid = RunningGrid.of(file, began, progress.pulses)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell_on, daemon=True)

    def __enter__(self) -> Announcement:
        running.running(self._root)  # removes what dead grids have left
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        running.withdraw(self._root, self._grid)

    def _tell_on(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):  # or where it is not to be written
                running.announce(self._root, self._grid.model_copy(update=self._progress.told()))
            if self._over.wait(_SECONDS_BETWEEN):
                return
