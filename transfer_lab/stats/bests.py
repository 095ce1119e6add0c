"""Multiple comparisons with the best (Hsu 1984): how far behind the best an arm may be, and which
arms are not it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from transfer_lab.stats.estimates import Estimate

Lead = Callable[[int, int], Estimate | None]
"""How far the first arm is ahead of the second; None where they have no seed in common."""


class Bound(NamedTuple):
    """What is said of one arm, of all arms at once at one level.

    `at_most`: it is no further behind the best than this (None: an error that this hangs on is not
    known). `ruled_out`: another arm is better.
    """

    at_most: float | None
    ruled_out: bool


def with_best(
    count: int, lead: Lead, level: float = 0.95, *, gone: Collection[int] = ()
) -> list[Bound]:
    """Compare each of so many arms with the best of them, whichever that is.

    Let no arm's lead over the true best be overestimated by more than the reach of its one-sided
    interval at (1 - level) / (count - 1): by Bonferroni this happens with probability `level` at
    least, whatever the errors have in common. Then the true best is not ruled out, and no bound
    is wrong, however an arm was picked. Accuracies: no bound is above 1.

    `gone`: arms that an earlier look has ruled out. They count as arms and stay ruled out, so that
    what several looks say holds at once where they share the error.
    """
    if count == 1:
        return [Bound(0.0, False)]
    tail = (1 - level) / (count - 1)
    ahead: dict[tuple[int, int], tuple[float, float] | None] = {}
    for one in range(count):
        for other in range(one + 1, count):
            found = lead(one, other)
            known = found is not None and found.known
            reach = found.reach(tail) if known else 0.0
            ahead[one, other] = (found.mean, reach) if known else None
            ahead[other, one] = (-found.mean, reach) if known else None
    out = [
        arm in gone or any(_low(ahead[rival, arm]) > 0 for rival in range(count) if rival != arm)
        for arm in range(count)
    ]
    return [Bound(_at_most(arm, out, ahead), out[arm]) for arm in range(count)]


def _low(lead: tuple[float, float] | None) -> float:
    return lead[0] - lead[1] if lead else 0.0


def _at_most(
    arm: int, out: list[bool], ahead: dict[tuple[int, int], tuple[float, float] | None]
) -> float | None:
    rivals = [ahead[rival, arm] for rival in range(len(out)) if rival != arm and not out[rival]]
    if any(lead is None for lead in rivals):
        return None
    return min(1.0, max([0.0, *(mean + reach for mean, reach in rivals)]))
