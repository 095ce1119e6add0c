"""Whether a prescribed regime is as good as any other: paired over seeds, corrected for many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transfer_lab.evidence.intervals import Interval, t_interval
from transfer_lab.evidence.verdicts import Verdict

MARGIN = 0.01
"""Accuracies closer than this count as equal in practice: one point."""
LEVEL = 0.05

_MOST_SEEDS = 1000

Scores = Mapping[int, float]
"""Seed -> accuracy."""


class Bounds(NamedTuple):
    """What counts as equal, how sure a verdict is, and among how many comparisons."""

    margin: float
    level: float
    comparisons: int


@dataclass(frozen=True)
class Judgement:
    """What the seeds say of one prescribed regime in one place."""

    verdict: Verdict
    rival: str | None = None
    behind: Interval | None = None
    seeds_needed: int | None = None


def p_better(differences: Sequence[float]) -> float:
    """One-sided p of Student's paired test that the mean difference is not above zero.

    1 with fewer than two differences: they show nothing.
    """
    from scipy.special import stdtr

    if len(differences) < 2:
        return 1.0
    mean, error = _mean_and_error(differences)
    if error == 0:
        return 0.0 if mean > 0 else 1.0
    return float(1 - stdtr(len(differences) - 1, mean / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def judge(
    places: Sequence[tuple[Scores, Mapping[str, Scores]]],
    *,
    margin: float = MARGIN,
    level: float = LEVEL,
) -> list[Judgement]:
    """Judge a rule in all its places at once; a place is (prescribed, rivals by name).

    Refuted: some rival is better, by Holm's correction over all rivals of all places. Supported:
    the prescribed regime is within `margin` of every rival or above it, each by a one-sided test
    (an intersection of tests needs no correction). Undecided otherwise, with the number of seeds
    from which the closest rival could be told apart at the present spread. Comparisons are paired
    by seed; seeds that one side lacks are left out.
    """
    keys = [(n, rival) for n, (_, rivals) in enumerate(places) for rival in rivals]
    differences = {key: _paired(*places[key[0]], key[1]) for key in keys}
    adjusted = dict(zip(keys, holm([p_better(differences[key]) for key in keys]), strict=True))
    return [
        _judgement(
            {rival: differences[n, rival] for rival in rivals if differences[n, rival]},
            {rival: adjusted[n, rival] for rival in rivals},
            Bounds(margin, level, len(keys)),
        )
        for n, (_, rivals) in enumerate(places)
    ]


def _judgement(
    differences: Mapping[str, Sequence[float]],
    adjusted: Mapping[str, float],
    bounds: Bounds,
) -> Judgement:
    if not differences:
        return Judgement("no data")
    rival = max(differences, key=lambda name: math.fsum(differences[name]) / len(differences[name]))
    gap = t_interval(differences[rival])
    behind = gap if gap.mean > 0 else None
    if any(adjusted[name] <= bounds.level for name in differences):
        return Judgement("refuted", rival, behind)
    if all(
        p_better([bounds.margin - d for d in found]) <= bounds.level
        for found in differences.values()
    ):
        return Judgement("supported", rival, behind)
    return Judgement("undecided", rival, behind, seeds_needed(differences[rival], bounds))


def seeds_needed(differences: Sequence[float], bounds: Bounds) -> int | None:
    """Seeds, more than there are, from which a difference of this mean and spread would be told
    from zero (after the first of Holm's corrections) or from the margin, whichever takes fewer;
    None where two seeds are not there or 1,000 would not do."""
    from scipy.special import stdtrit

    if len(differences) < 2:
        return None
    mean, error = _mean_and_error(differences)
    spread = error * math.sqrt(len(differences))
    for n in range(len(differences) + 1, _MOST_SEEDS + 1):
        error = spread / math.sqrt(n)
        corrected = float(stdtrit(n - 1, 1 - bounds.level / bounds.comparisons))
        plain = float(stdtrit(n - 1, 1 - bounds.level))
        if mean > corrected * error or bounds.margin - mean > plain * error:
            return n
    return None


def _paired(prescribed: Scores, rivals: Mapping[str, Scores], rival: str) -> list[float]:
    return [score - prescribed[s] for s, score in sorted(rivals[rival].items()) if s in prescribed]


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return mean, spread / math.sqrt(len(values))
