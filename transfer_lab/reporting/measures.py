"""What leads in the report: accuracy, or another measure of the same test answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer_lab.stats.intervals import Interval


@dataclass(frozen=True)
class Measure:
    """A measure of a run's test answers, and how its numbers read.

    Everywhere in the code a score is such that more is better: where less of the measure is
    better, it is its negative. `column`: where records hold the measure. `scale`: what one of it is
    in its `unit`, which is also that of differences: so many of a `step`. `limits`: between what
    scores lie.
    """

    name: str
    column: str
    title: str
    unit: str
    step: str
    scale: float
    decimals: int
    limits: tuple[float, float]
    less_is_better: bool = False

    @property
    def sign(self) -> int:
        """What turns a score into the measure, and back."""
        return -1 if self.less_is_better else 1

    @property
    def heading(self) -> str:
        """'accuracy (%)'."""
        return f"{self.title} ({self.unit})"

    @property
    def steps(self) -> str:
        """The unit of differences, in the plural."""
        return f"{self.step}s"

    def shown(self, score: float) -> float:
        """A score in the measure's own unit and direction."""
        return self.scale * self.sign * score

    def digits(self, value: float) -> str:
        """A number in the measure's unit; never minus nought."""
        return f"{round(value, self.decimals) + 0.0:.{self.decimals}f}"

    def number(self, found: Interval) -> str:
        """'34.1 ± 1.2': a score with its interval."""
        mean = self.digits(self.shown(found.mean))
        return mean if found.half is None else f"{mean} ± {self.digits(self.scale * found.half)}"

    def text(self, found: Interval) -> str:
        """As `number`, with the unit: '34.1 ± 1.2 %'."""
        return f"{self.number(found)} {self.unit}"

    def difference(self, found: Interval) -> str:
        """'2.3 ± 1.1': a lead, which is above nought where the first is the better one."""
        mean = self.digits(self.scale * found.mean)
        return mean if found.half is None else f"{mean} ± {self.digits(self.scale * found.half)}"

    def at_most(self, bound: float | None) -> str:
        """'3.8': what is lost at most, rounded up; a dash where that cannot be said."""
        if bound is None:
            return "–"
        fine = 10**self.decimals
        return f"{math.ceil(self.scale * fine * bound - 1e-9) / fine:.{self.decimals}f}"

    def apart(self, distance: float) -> str:
        """'2.3 points': a difference and its unit."""
        shown = self.digits(self.scale * distance)
        return f"{shown} {self.step if float(shown) == 1 else self.steps}"

    def within(self, score: float) -> float:
        """The score, or the nearest that the measure can have."""
        low, high = self.limits
        return min(high, max(low, score))


ACCURACY = Measure("accuracy", "test_accuracy", "accuracy", "%", "point", 100, 1, (0, 1))
MEASURES = {
    one.name: one
    for one in (
        ACCURACY,
        Measure(
            *("balanced_accuracy", "test_balanced_accuracy", "balanced accuracy"),
            *("%", "point", 100, 1, (0, 1)),
        ),
        Measure("macro_f1", "test_macro_f1", "macro F1", "%", "point", 100, 1, (0, 1)),
        Measure(
            *("log_loss", "test_log_loss", "log loss", "nats", "nat", 1, 3, (-math.inf, 0)),
            less_is_better=True,
        ),
    )
}
"""By the name that an experiment gives."""
