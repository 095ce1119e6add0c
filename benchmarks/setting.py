"""How a benchmark is run: how much of it, where it may write, whom it tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Timing


@dataclass(frozen=True)
class Setting:
    """`quick`: sizes that take seconds and mean nothing; `repeats`: of what is short; `cells`: of
    the default grid that the plain script trains (None: one of each kind); `scratch`: an empty
    folder; `say`: prints a line."""

    scratch: Path
    say: Callable[[str], None]
    quick: bool = False
    repeats: int = 3
    cells: int | None = None

    def folder(self, name: str) -> Path:
        """A new folder of this name."""
        number = sum(1 for _ in self.scratch.glob(f"{name}-*"))
        path = self.scratch / f"{name}-{number}"
        path.mkdir(parents=True)
        return path


def stopwatch(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls: dict[str, Callable[[], float]], repeats: int) -> dict[str, Timing]:
    """Each call's own seconds, in rounds, so that a slow stretch of the machine falls on all; every
    other round goes backwards, so that none is always first."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(repeats):
        for name in order:
            seconds[name].append(calls[name]())
        order.reverse()
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
