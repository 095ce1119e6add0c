"""What a listing is, and what its replay gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from examples.listings.task import Task
from transfer_lab.regimes.base import TransferModule

PUBLISHED, REPAIRED = "as published", "repaired"


@dataclass(frozen=True)
class Replay:
    """One seed of a listing: accuracy (%) by arm, and what was counted on the way."""

    accuracy: Mapping[str, float]
    counted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Listing:
    """A published listing, re-told.

    `says`: what it is published as; `does`: what it does, with the names of what a replay counts
    in braces. `arms`: as published, one repair after another, repaired. `regimes`: the same
    mistake as a regime of one's own, and the checks that must refuse it.
    """

    name: str
    says: str
    does: tuple[str, ...]
    aside: str
    arms: tuple[str, ...]
    replay: Callable[[Task, int], Replay]
    regimes: Mapping[type[TransferModule], tuple[str, ...]]
