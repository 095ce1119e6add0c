"""What following a rule everywhere loses, on the mean over scenarios and backbones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.accuracies import Place, mean_lead
from transfer_lab.reporting.clusters import clusters
from transfer_lab.reporting.hypotheses import Spot, followed, measured
from transfer_lab.reporting.study import Study
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import at_most
from transfer_lab.stats.prediction import cross_fitted
from transfer_lab.stats.rules_of_thumb import RULES, Rule

if TYPE_CHECKING:
    from transfer_lab.stats.pooling import Pooled

REFERENCE = "rule_av"
_TAIL = 0.025

Served = Sequence[tuple[Spot, str]]
"""Where a rule prescribes something that was measured, and the regime that is followed there."""


class Regret(NamedTuple):
    """How far a rule is behind the best regime of each place, as parts of 1: the mean and the worst
    of what is seen, and a 95 % interval of the true mean, which is never below 0.

    What is seen is too large, as the best was picked by the same accuracies. `low` is therefore
    read on seeds that did not pick it; `high` holds for whichever regime is the best in truth. Each
    is None where it cannot be said.
    """

    mean: float
    worst: float
    low: float | None
    high: float | None


def served(study: Study, rule: Rule, places: Sequence[Spot]) -> Served:
    """The places in which the rule can be followed."""
    return [(spot, regime) for spot in places if (regime := followed(study, rule, spot))]


def regret(study: Study, served: Served) -> Regret:
    """What the rule loses where it is served, on places that all count the same."""
    lost = []
    for spot, regime in served:
        best = study.best(*spot, study.contenders(*spot))
        lost.append(study.accuracy(*spot, best).mean - study.accuracy(*spot, regime).mean)
    return Regret(sum(lost) / len(lost), max(lost), _low(study, served), _high(study, served))


def _high(study: Study, served: Served) -> float | None:
    """The mean of how much each place loses at most: errors of places may add up."""
    ends = []
    for spot, regime in served:
        own = Place(*spot, regime)
        rivals = [Place(*spot, name) for name in measured(study, spot) if name != regime]
        leads = [study.leads().lead(rival, over=own) for rival in rivals]
        ends.append(None if None in leads else at_most(leads, _TAIL))
    return None if None in ends else math.fsum(ends) / len(ends)


def _low(study: Study, served: Served) -> float | None:
    """Of what was picked on the other seeds of a place and read on one, by seed: it is not better
    than the best, and its mean over places has the error of its own seeds."""
    by_place = []
    for spot, regime in served:
        arms = [study.by_seed(*spot, name) for name in measured(study, spot)]
        own = study.by_seed(*spot, regime)
        picked = cross_fitted(arms).items()
        by_place.append({seed: value - own[seed] for seed, value in picked if seed in own})
    common = sorted(set.intersection(*(set(values) for values in by_place)))
    images = _over_images(study, served)
    if len(common) < 2 or images is None:
        return None
    values = [math.fsum(place[seed] for place in by_place) / len(by_place) for seed in common]
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    found = Estimate(mean, spread / len(values), images.over_images, len(values), images.images)
    return max(0.0, mean - found.reach(_TAIL))


def _over_images(study: Study, served: Served) -> Estimate | None:
    """The error that test images give the mean lead of the places' best, summed over targets."""
    pairs: dict[str, list[tuple[Place, Place]]] = defaultdict(list)
    for spot, regime in served:
        best = study.best(*spot, study.contenders(*spot))
        target = study.experiment.scenarios[spot.scenario].target
        pairs[target].append((Place(*spot, best), Place(*spot, regime)))
    behind = {t: [(one, over) for one, over in own if one != over] for t, own in pairs.items()}
    shares = [len(own) / len(served) for own in behind.values() if own]
    weights = [mean_lead(own) for own in behind.values() if own]
    found = study.measured.contrasts(weights)
    if any(one is None or one.over_images is None for one in found):
        return None
    total = sum(s**2 * one.over_images for s, one in zip(shares, found, strict=True))
    return Estimate(0.0, None, total, 1, min((one.images for one in found), default=2))


def against(study: Study, rule: Rule, places: Sequence[Spot]) -> Pooled | None:
    """How far a rule is ahead of the reference, pooled over the targets; None where no place is
    served by both."""
    from transfer_lab.stats.pooling import pooled

    pairs: dict[str, list[tuple[Place, Place]]] = defaultdict(list)
    for spot in places:
        own, other = (followed(study, one, spot) for one in (rule, RULES[REFERENCE]))
        if own and other:
            target = study.experiment.scenarios[spot.scenario].target
            pairs[target].append((Place(*spot, own), Place(*spot, other)))
    found, cluster = [_mean_lead(study, own) for own in pairs.values()], clusters(study)
    together = [cluster[target] for target in pairs]
    return pooled(found, together) if found and all(found) else None


def _mean_lead(study: Study, pairs: Sequence[tuple[Place, Place]]) -> Estimate | None:
    """The mean lead over places of one target, which share its test images."""
    (found,) = study.measured.contrasts([mean_lead(pairs) or {pairs[0][0]: 0.0}])
    return found
