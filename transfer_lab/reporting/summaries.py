"""What came of the cells of one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transfer_lab.reporting.measures import ACCURACY, Measure
from transfer_lab.stats.intervals import Interval, t_interval
from transfer_lab.store.results import NOT_NEEDED


@dataclass(frozen=True)
class Summary:
    """The cells of one place: how they ended, and what was measured over the finished ones.

    `in_one_pass`: seeds whose seconds are those of another's pass, and are not counted again.
    `accuracy`: of the scores by the measure that leads, which is accuracy unless the experiment
    names another. `far_below`: seeds whose accuracy is far below the others', which failed.
    """

    states: Mapping[str, int]
    accuracy: Interval | None = None
    seconds: Interval | None = None
    in_one_pass: int = 0
    far_below: int = 0
    measure: Measure = ACCURACY

    @property
    def planned(self) -> int:
        """How many seeds the experiment asks for here, or may still ask for."""
        return sum(self.states.values()) - self.states.get(NOT_NEEDED, 0)

    @property
    def complete(self) -> bool:
        """Whether every planned seed has its accuracy."""
        return self.accuracy is not None and self.accuracy.n == self.planned

    @property
    def gap(self) -> str:
        """Why there is no number: 'failed', '2 failed, 1 missing', ..."""
        known = ("done", NOT_NEEDED)
        absent = {state: count for state, count in self.states.items() if state not in known}
        if not absent:
            return "not measured" if self.states else "not planned"
        if len(absent) == 1:
            return next(iter(absent))
        return ", ".join(f"{count} {state}" for state, count in absent.items())


def interval(values: list[float]) -> Interval | None:
    """Student's t interval over the values that were measured (a NaN was not), None without any."""
    measured = [value for value in values if value == value]
    return t_interval(measured) if measured else None
