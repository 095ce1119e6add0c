"""Lightning's loggers in a process of their own: importing them takes seconds and most of a
gigabyte, which the command that trains a grid does without.

As a module it is that process: it takes cells line by line, and answers each with a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from transfer_lab.experiment.settings import TrackerName
from transfer_lab.reporting.trackers.copies import Copy

NEEDS: dict[TrackerName, tuple[str, ...]] = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "csv": (),
}
"""The modules that each of Lightning's trackers needs; an extra of its name installs them."""
_POLITE = 10
"""How much lower than the grid's its priority is."""
_END_S = 5


class NotInstalledError(RuntimeError):
    """A tracker is asked for whose packages are absent; the message says how to get them."""


class Loggers:
    """The process, begun with the first cell that is written and shared by all trackers."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    def write(self, tracker: TrackerName, copy: Copy, folder: Path) -> str | None:
        """Write one cell; where it lies, or None where that is no place of this machine. Raises
        RuntimeError with what went wrong."""
        asked = json.dumps({"tracker": tracker, "folder": str(folder), "copy": asdict(copy)})
        with self._turn:
            answer = json.loads(self._exchange(asked))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["place"]

    def abandon(self) -> None:
        """Let the process end by itself, once it has written what it is at."""
        if self._process:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End the process, in the middle of a cell if it does not end soon."""
        self.abandon()
        process = self._process
        if process is None:
            return
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _exchange(self, line: str) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is the parent's to decide
            )
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            if answer := self._process.stdout.readline():
                return answer
        except (OSError, ValueError):  # it was killed, or its end was closed
            pass
        raise RuntimeError(f"the process that writes has ended ({self._process.wait()})")


class LightningTracker:
    """Runs of one of Lightning's loggers, `<store>/<tracker>/`."""

    def __init__(self, name: TrackerName, root: Path, loggers: Loggers):
        self.name, self._loggers = name, loggers
        self.title = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "csv": "CSV"}[name]
        self._root = root.absolute()
        self.sums_up = False
        self.note: dict[str, str] = {}
        absent = [module for module in NEEDS[name] if find_spec(module) is None]
        if absent:
            raise NotInstalledError(
                f"{self.title} needs {' and '.join(absent)}, which is not installed: pip install "
                f"'transfer-lab[{name}]'"
            )

    def holds(self, noted: str | None) -> bool:
        """Whether a copy that was noted is still there; of one at a server nobody asks."""
        return noted is None or (self._root / noted).exists()

    def copy(self, copy: Copy) -> str | None:
        """Write one cell; its place below the store."""
        place = self._loggers.write(self.name, copy, self._root / self.name)
        return place and os.path.relpath(place, self._root)

    def summarise(self, study: object) -> None:
        """Nothing: these trackers draw what they compare, and the report sums up."""


def serve(lines: TextIO, answer: Callable[[dict[str, str | None]], None]) -> None:
    """Write the cell of every line and answer with its place or with what went wrong."""
    for line in lines:
        asked = json.loads(line)
        try:
            place = _writer(asked["tracker"])(Copy(**asked["copy"]), Path(asked["folder"]))
            answer({"place": None if place is None else str(place)})
        except Exception as error:  # whatever a tracker raises is its caller's to say
            first_line = "".join(str(error).strip().splitlines()[:1])
            answer({"error": f"{type(error).__name__}: {first_line}"})


def _writer(tracker: TrackerName) -> Callable[[Copy, Path], Path | None]:
    from transfer_lab.reporting.trackers import csv, mlflow, tensorboard

    return {"csv": csv, "mlflow": mlflow, "tensorboard": tensorboard}[tracker].write


def main() -> None:
    """Serve what comes in, until it ends; whatever libraries print is nobody's answer."""
    os.nice(_POLITE)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        sys.stdin.reconfigure(encoding="utf-8")
        serve(sys.stdin, lambda found: print(json.dumps(found), file=answers, flush=True))


if __name__ == "__main__":
    main()
