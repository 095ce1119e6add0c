"""How far arms are ahead of each other: paired, with variances moderated over the whole study."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from transfer_lab.reporting.accuracies import Measured, Place
from transfer_lab.stats.moderation import Prior, fit_prior

if TYPE_CHECKING:
    from transfer_lab.stats.estimates import Estimate

Arms = Mapping[str, Sequence[Place]]
"""By scenario, the places that may win."""


class Leads:
    """Leads between the arms of each scenario, and accuracies of each, on some of the seeds."""

    def __init__(self, measured: Measured, arms: Arms, seeds: frozenset[int] | None = None):
        self.measured = measured
        self.seeds = seeds
        self.arms = {
            scenario: tuple(place for place in places if self.scores(place))
            for scenario, places in arms.items()
        }

    def scores(self, place: Place) -> dict[int, float]:
        """Score by seed."""
        tested = self.measured.tested(place).items()
        return {s: one.score for s, one in tested if self.seeds is None or s in self.seeds}

    def lead(self, one: Place, over: Place) -> Estimate | None:
        """How far one arm is ahead of another in the same scenario, moderated; None without a
        common seed."""
        found = self._pairs.get((one, over))
        if found is None:
            found = self._pairs.get((over, one))
            found = found.negative if found else None
        return found.moderated(self._prior) if found else None

    def alone(self, place: Place) -> Estimate:
        """Score of one arm, by its own seeds."""
        return self._alone[place]

    def accuracy(self, place: Place) -> Estimate:
        """Score of one arm, moderated."""
        return self._alone[place].moderated(self._priors_alone[place.backbone])

    @cached_property
    def _pairs(self) -> dict[tuple[Place, Place], Estimate]:
        pairs = [pair for places in self.arms.values() for pair in combinations(places, 2)]
        found = self.measured.contrasts([{one: 1, over: -1} for one, over in pairs], self.seeds)
        return {pair: lead for pair, lead in zip(pairs, found, strict=True) if lead}

    @cached_property
    def _alone(self) -> dict[Place, Estimate]:
        places = [place for places in self.arms.values() for place in places]
        found = self.measured.contrasts([{place: 1} for place in places], self.seeds)
        return {place: one for place, one in zip(places, found, strict=True) if one}

    @cached_property
    def _prior(self) -> Prior | None:
        independent = sum(max(0, len(places) - 1) for places in self.arms.values())
        return prior_of(self._pairs.values(), independent)

    @cached_property
    def _priors_alone(self) -> dict[str, Prior | None]:
        """Of the variance of single accuracies over seeds, by backbone: what is picked for its
        accuracy is mostly on one that scatters more than others."""
        usual = prior_of(self._alone.values())
        of_backbone: dict[str, list[Estimate]] = defaultdict(list)
        for place, one in self._alone.items():
            of_backbone[place.backbone].append(one)
        return {backbone: prior_of(found) or usual for backbone, found in of_backbone.items()}


def prior_of(found: Iterable[Estimate], independent: float = math.inf) -> Prior | None:
    """The prior of the variance of one seed's value, from estimates of the same kind."""
    known = [one for one in found if one.over_seeds is not None]
    variances = [one.over_seeds * one.seeds for one in known]
    return fit_prior(variances, [one.seeds - 1 for one in known], independent)
