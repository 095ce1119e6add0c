"""Whether prescribed regimes are as good as any other: one family of hypotheses, corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.power import detectable, images_suffice, seeds_needed
from transfer_lab.stats.verdicts import Verdict

MARGIN = 0.01
"""Accuracies closer than this count as equal in practice: one point."""
LEVEL = 0.05

Rivals = Mapping[str, Estimate]
"""Rival -> its lead over the prescribed regime."""


class Bounds(NamedTuple):
    """What counts as equal, how sure a verdict is, and how many hypotheses are judged together."""

    margin: float
    level: float
    family: int


@dataclass(frozen=True)
class Judgement:
    """What was found of one prescribed regime in one place.

    `rival` has the highest mean of all others, `lead` is how far it is ahead (None: it is not).
    `detectable` is the smallest true lead that would refute with 80 % probability. Where the
    verdict is undecided, `lacking` says what would decide it, and `seeds_needed` how many seeds if
    fewer than 1,000 would; "images": the test set is too small for any number of them.
    """

    verdict: Verdict
    rival: str | None = None
    lead: Interval | None = None
    p_worse: float = 1.0
    p_as_good: float = 1.0
    detectable: float | None = None
    lacking: Literal["a second seed", "seeds", "images"] | None = None
    seeds_needed: int | None = None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def judge(
    places: Sequence[Rivals], *, margin: float = MARGIN, level: float = LEVEL
) -> list[Judgement]:
    """Judge a family of hypotheses at once: in each place, that no rival is better.

    A place's p against its hypothesis is the smallest of its rivals' one-sided p-values times
    their number (Bonferroni); its p for being within `margin` of every rival, or above, is the
    largest of theirs (an intersection of tests). Each of the two is corrected by Holm over the
    places: of all verdicts, the chance of a wrong "refuted" is at most `level`, and so is that of
    a wrong "supported". Undecided otherwise.
    """
    bounds = Bounds(margin, level, sum(1 for rivals in places if rivals))
    worse = holm([_p_worse(rivals) for rivals in places if rivals])
    good = holm([_p_as_good(rivals, margin) for rivals in places if rivals])
    told = iter(zip(worse, good, strict=True))
    return [
        _judgement(rivals, *next(told), bounds) if rivals else Judgement("no data")
        for rivals in places
    ]


def _p_worse(rivals: Rivals) -> float:
    return min(1.0, len(rivals) * min(found.p_above() for found in rivals.values()))


def _p_as_good(rivals: Rivals, margin: float) -> float:
    return max(found.negative.p_above(-margin) for found in rivals.values())


def _judgement(rivals: Rivals, worse: float, good: float, bounds: Bounds) -> Judgement:
    rival = max(rivals, key=lambda name: rivals[name].mean)
    closest = rivals[rival]
    tail = bounds.level / (bounds.family * len(rivals))
    known = {
        "rival": rival,
        "lead": closest.interval() if closest.mean > 0 else None,
        "p_worse": worse,
        "p_as_good": good,
        "detectable": detectable(closest, tail),
    }
    if worse <= bounds.level:
        return Judgement("refuted", **known)
    if good <= bounds.level:
        return Judgement("supported", **known)
    return Judgement("undecided", **known, **_missing(closest, bounds, tail))


def _missing(closest: Estimate, bounds: Bounds, tail: float) -> dict[str, object]:
    """What would tell the closest rival from equal or from the margin, at the first of Holm's
    steps and the present spread."""
    if not closest.known:
        return {"lacking": "a second seed"}
    ways = []
    if closest.mean > 0:
        ways.append((0.0, tail))
    if closest.mean < bounds.margin:
        ways.append((bounds.margin, bounds.level / bounds.family))
    needed = [n for way in ways if (n := seeds_needed(closest, *way)) is not None]
    if needed:
        return {"lacking": "seeds", "seeds_needed": min(needed)}
    if any(images_suffice(closest, *way) for way in ways):
        return {"lacking": "seeds"}
    return {"lacking": "images"}
