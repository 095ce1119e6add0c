"""Whether prescribed regimes are as good as any other: one family of hypotheses, corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.power import images_suffice, seeds_needed
from transfer_lab.stats.verdicts import Verdict

MARGIN = 0.01
"""Accuracies closer than this count as equal in practice, if nothing else is asked for: one point.
"""
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
    """What was found of one prescribed regime.

    "behind": another regime is better, by less than the margin. `rival` has the highest mean of all
    others, and `lead` is how far it is ahead. `at_most`: in truth no rival is further ahead (None:
    an error is not known). Where the verdict is undecided, `lacking` says what would decide it, and
    `seeds_needed` how many seeds if fewer than 1,000 would; "images": the test set is too small for
    any number of them.
    """

    verdict: Verdict | Literal["behind"]
    rival: str | None = None
    lead: Estimate | None = None
    at_most: float | None = None
    p_worse: float = 1.0
    p_as_good: float = 1.0
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
    hypotheses: Sequence[Rivals], *, margin: float = MARGIN, level: float = LEVEL
) -> list[Judgement]:
    """Judge a family at once: of each prescribed regime, that no rival is more than a margin ahead.

    The p against it is the smallest of its rivals' one-sided p-values of a lead above the margin,
    times their number (Bonferroni); its p for being within the margin of every rival, or above, is
    the largest of theirs (an intersection of tests); its p for being behind at all is as the first
    with a lead above nought. Each of the three is corrected by Holm over the family: of all
    verdicts, the chance of a wrong "refuted" is at most `level`, and so is that of a wrong
    "supported" or "behind", of which the latter is shown to be both within the margin and behind.
    Undecided otherwise. `at_most` holds with 1 - `level` for each regime by itself.
    """
    known = [rivals for rivals in hypotheses if rivals]
    bounds = Bounds(margin, level, len(known))
    worse = holm([_p_ahead(rivals, margin) for rivals in known])
    good = holm([_p_as_good(rivals, margin) for rivals in known])
    behind = holm([_p_ahead(rivals, 0.0) for rivals in known])
    told = iter(zip(worse, good, behind, strict=True))
    return [
        _judgement(rivals, *next(told), bounds) if rivals else Judgement("no data")
        for rivals in hypotheses
    ]


def at_most(leads: Iterable[Estimate], level: float = LEVEL) -> float | None:
    """No lead is larger than this in truth, but for a chance of `level`; at least 0, at most 1;
    None where an error is not known.

    The largest end of one-sided intervals: that of the largest true lead is among them, so that
    nothing is to be corrected for their number.
    """
    ends = [lead.mean + lead.reach(level) if lead.known else None for lead in leads]
    if any(end is None for end in ends):
        return None
    return min(1.0, max([0.0, *ends]))


def _p_ahead(rivals: Rivals, margin: float) -> float:
    return min(1.0, len(rivals) * min(found.p_above(margin) for found in rivals.values()))


def _p_as_good(rivals: Rivals, margin: float) -> float:
    return max(found.negative.p_above(-margin) for found in rivals.values())


def _judgement(
    rivals: Rivals, worse: float, good: float, behind: float, bounds: Bounds
) -> Judgement:
    rival = max(rivals, key=lambda name: rivals[name].mean)
    closest = rivals[rival]
    found = Judgement(
        "undecided",
        *(rival, closest, at_most(rivals.values(), bounds.level)),
        p_worse=worse,
        p_as_good=good,
    )
    if worse <= bounds.level:
        return replace(found, verdict="refuted")
    if good <= bounds.level:
        return replace(found, verdict="behind" if behind <= bounds.level else "supported")
    return replace(found, **_missing(closest, len(rivals), bounds))


def _missing(closest: Estimate, rivals: int, bounds: Bounds) -> dict[str, object]:
    """What would tell the closest rival from the margin, at the first of Holm's steps and the
    present spread."""
    if not closest.known:
        return {"lacking": "a second seed"}
    ahead = closest.mean > bounds.margin
    way = (bounds.margin, bounds.level / bounds.family / (rivals if ahead else 1))
    needed = seeds_needed(closest, *way)
    if needed is not None:
        return {"lacking": "seeds", "seeds_needed": needed}
    return {"lacking": "seeds" if images_suffice(closest, *way) else "images"}
