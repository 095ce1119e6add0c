"""The time that an advice may take."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since it was made, against a budget of which parts are kept for what must come."""

    def __init__(
        self,
        budget: float,
        now: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
    ):
        self.budget, self._now, self._start = budget, now, now()
        self._worked, self._worked_before = worked, worked()
        self._kept: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._now() - self._start

    @property
    def left(self) -> float:
        """Seconds that may be spent now: what is kept for later is not among them; never below
        0."""
        return max(0.0, self.budget - self.elapsed - sum(self._kept.values()))

    @property
    def slowness(self) -> float:
        """Seconds that a second of a processor's work has taken, 1 at least: more where others are
        busy on the machine."""
        worked = self._worked() - self._worked_before
        return max(1.0, self.elapsed / worked) if worked > 0 else 1.0

    def reserve(self, seconds: float, what: str) -> None:
        """Keep so many seconds for `what`, in place of those kept for it before."""
        self._kept[what] = seconds

    def release(self, what: str) -> None:
        """What was kept for `what` may be spent: it begins."""
        self._kept.pop(what, None)
