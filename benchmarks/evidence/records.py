"""What was measured, a line a draw: kept, and never measured twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

Record = dict[str, Any]
Key = tuple[object, ...]

KEY = ("task", "n", "seed", "regime")


class Records:
    """A file of JSON lines, each with the draw that it is of."""

    def __init__(self, path: Path):
        self.path = path

    def __iter__(self) -> Iterator[Record]:
        if self.path.exists():
            yield from map(json.loads, self.path.read_text(encoding="utf-8").splitlines())

    def keys(self) -> set[Key]:
        """The draws that are there."""
        return {key_of(record) for record in self}

    def add(self, record: Record) -> None:
        """Append one line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded(record)) + "\n")

    def fill(self, jobs: Iterable[tuple[Record, Callable[[], Record]]], seconds: float) -> int:
        """Do what is not there yet, until all is or the time is up; returns how much was done.

        `jobs`: which draw, and what measures it.
        """
        known, done, end = self.keys(), 0, monotonic() + seconds
        for draw, measure in jobs:
            if key_of(draw) in known:
                continue
            if monotonic() > end:
                break
            self.add(draw | measure())
            done += 1
        return done


def key_of(record: Record) -> Key:
    """Which draw a record is of."""
    return tuple(record.get(name) for name in KEY)


def rounded(value: Any) -> Any:
    """Numbers to five digits after the point: more says nothing, and makes files long."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, np.generic):
        return rounded(value.item())
    return round(value, 5) if isinstance(value, float) else value
