"""Whether paired measurements bear a statement out."""

from __future__ import annotations

from typing import Literal

from transfer_lab.stats.intervals import Interval

Verdict = Literal["supported", "refuted", "undecided", "no data"]
Relation = Literal["above", "below"]


def verdict(difference: Interval | None, relation: Relation) -> Verdict:
    """Whether a difference (this minus that) lies above or below zero, by its interval.

    Without an interval (a single seed) it decides nothing. An interval without width decides,
    unless it is zero.
    """
    if difference is None:
        return "no data"
    mean, half, _ = difference
    if half is None or abs(mean) <= half:
        return "undecided"
    return "supported" if (mean > 0) == (relation == "above") else "refuted"
