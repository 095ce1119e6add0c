"""Whether the author's words similar and dissimilar agree with the axis. Loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

CUT = 0.5
"""Said before anything was measured: similar is what lies nearer to the source than half way to
the far domain."""

SATURATED = 1.9
"""A proxy A-distance above this is too near 2 to be ordered against others."""

Word = Literal["similar", "dissimilar"]
Standing = Literal["agrees", "contradicts", "leans against", "leans towards"]


class Placed(NamedTuple):
    """A pair of domains: what its author calls it, and where it was measured."""

    source: str
    target: str
    word: Word
    value: float
    low: float
    high: float


def standing(pair: Placed, cut: float = CUT) -> Standing:
    """The word against the cut; where the interval holds the cut, only which way it leans."""
    right = (pair.value < cut) == (pair.word == "similar")
    if pair.low < cut < pair.high:
        return "leans towards" if right else "leans against"
    return "agrees" if right else "contradicts"


def reversals(pairs: Iterable[Placed]) -> list[tuple[Placed, Placed]]:
    """(similar, dissimilar) pairs with one target of which the "similar" source is farther."""
    pairs = tuple(pairs)
    return [
        (near, away)
        for near in pairs
        for away in pairs
        if near.target == away.target
        and (near.word, away.word) == ("similar", "dissimilar")
        and near.value > away.value
    ]


def apart(first: Placed, second: Placed) -> bool:
    """Whether the intervals do not overlap."""
    return first.low > second.high or second.low > first.high


def cuts_that_agree(pairs: Iterable[Placed]) -> tuple[float, float] | None:
    """Every cut between these two gives all pairs their author's word; None where none does."""
    pairs = tuple(pairs)
    low = max((p.value for p in pairs if p.word == "similar"), default=0.0)
    high = min((p.value for p in pairs if p.word == "dissimilar"), default=float("inf"))
    return (max(low, 0.0), high) if low < high else None


def saturated(a_distance: float) -> bool:
    """Whether nearly every image is told apart, so that the order of distances is lost."""
    return a_distance > SATURATED
