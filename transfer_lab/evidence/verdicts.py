"""Whether paired measurements bear a statement out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from transfer_lab.evidence.intervals import t_interval

Verdict = Literal["supported", "refuted", "undecided", "no data"]
Relation = Literal["above", "below"]


def verdict(differences: Sequence[float], relation: Relation, level: float = 0.95) -> Verdict:
    """Whether paired differences (this minus that, one a seed) lie above or below zero.

    By Student's t interval of their mean; a single difference decides nothing. Differences that
    are all exactly equal have an interval without width: not zero, they decide.
    """
    if not differences:
        return "no data"
    mean, half, _ = t_interval(differences, level)
    if half is None or abs(mean) <= half:
        return "undecided"
    return "supported" if (mean > 0) == (relation == "above") else "refuted"
