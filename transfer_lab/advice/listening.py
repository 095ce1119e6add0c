"""Whoever is told what an advice is doing. No torch."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Told of each step before it begins, while it lasts and when it is done."""

    def step(self, name: str, expected_seconds: float | None) -> None:
        """A step begins; how long it will take, where that is known."""

    def progress(self, done: int, total: int) -> None:
        """So many photographs of the step are done."""

    def done(self, name: str, seconds: float) -> None:
        """The step has ended."""

    def say(self, text: str) -> None:
        """A sentence for a person."""


class Silent:
    """Tells nobody."""

    def step(self, name: str, expected_seconds: float | None) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass

    def done(self, name: str, seconds: float) -> None:
        pass

    def say(self, text: str) -> None:
        pass


SILENT = Silent()
