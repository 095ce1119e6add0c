"""Which regime to use, with a bound on what is lost by it; and what each rule of thumb loses."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, filterfalse
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.accuracies import Place, Weights, mean_lead
from transfer_lab.reporting.hypotheses import JUDGED, Spot, followed, measured, spots
from transfer_lab.reporting.leads import Leads, prior_of
from transfer_lab.reporting.study import Study
from transfer_lab.stats.bests import with_best
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import Judgement, judge
from transfer_lab.stats.prediction import cross_fitted, of_mean, of_one_training
from transfer_lab.stats.rules_of_thumb import RULES

if TYPE_CHECKING:
    from transfer_lab.stats.intervals import Interval
    from transfer_lab.stats.moderation import Prior


@dataclass(frozen=True)
class Standing:
    """Where one arm stands among all that were compared.

    `behind`: how far the leader is ahead of it, moderated; None for the leader, or without a common
    seed. `at_most`: it is no further behind the best of all, in truth, than this; None where that
    cannot be said. `ruled_out`: another arm is better.
    """

    place: Place
    accuracy: Interval
    behind: Estimate | None
    at_most: float | None
    ruled_out: bool


@dataclass(frozen=True)
class Decision:
    """What was found in a scenario, on one backbone or (None) over all of them.

    `standings`: those that may win and were measured, the best mean first; all that they say holds
    at once, at the level that was asked for. `expected`: mean accuracy of an arm picked as the
    leader was, read on seeds that did not pick it. `one_training`: between what the accuracy of one
    more training of the leader lies.
    """

    scenario: str
    backbone: str | None
    standings: tuple[Standing, ...]
    expected: Interval | None
    one_training: tuple[float, float] | None

    @property
    def leader(self) -> Standing | None:
        """The arm of the highest mean that is not ruled out, which is what to use; None where
        nothing was measured."""
        left = (one for one in self.standings if not one.ruled_out)
        return next(left, self.standings[0]) if self.standings else None

    @property
    def bound(self) -> float | None:
        """Nothing that was compared is further ahead of the leader than this."""
        return self.leader.at_most if self.leader else None

    @property
    def as_good(self) -> tuple[Standing, ...]:
        """The others that are not ruled out."""
        left = (one for one in self.standings if not one.ruled_out)
        return tuple(one for one in left if one != self.leader)

    def of(self, place: Place) -> Standing | None:
        """Where one arm stands, if it is among those compared."""
        return next((one for one in self.standings if one.place == place), None)


def decide(
    study: Study,
    scenario: str,
    backbone: str | None = None,
    *,
    seeds: frozenset[int] | None = None,
    level: float | None = None,
    gone: frozenset[Place] | None = None,
) -> Decision:
    """Compare every arm that may win in a scenario with the best of them.

    Differences are paired by seed and test image, their variances moderated over all pairs of the
    study. `seeds`: look only at these. `level`: 95 % unless named, or its share where the seeds are
    given look after look; `gone`: what earlier looks have ruled out, which stays so.
    """
    level = 1 - study.error if level is None else level
    gone = study.ruled_out(scenario, backbone) if gone is None else gone
    asked = ("decision", scenario, backbone, seeds, level, gone)
    if asked not in study.memory:
        study.memory[asked] = _decide(study.leads(seeds), scenario, backbone, level, gone)
    return study.memory[asked]


def _decide(
    leads: Leads, scenario: str, backbone: str | None, level: float, gone: frozenset[Place]
) -> Decision:
    found = [p for p in leads.arms.get(scenario, ()) if backbone in (None, p.backbone)]
    places = sorted(found, key=lambda place: -leads.accuracy(place).mean)
    if not places:
        return Decision(scenario, backbone, (), None, None)
    before = [number for number, place in enumerate(places) if place in gone]
    bounds = with_best(
        len(places), lambda i, j: leads.lead(places[i], places[j]), level, gone=before
    )
    # On seeds that differ a pair may tell otherwise than the two means.
    first = next((p for p, bound in zip(places, bounds, strict=True) if not bound.ruled_out), None)
    leader = first or places[0]
    standings = tuple(
        Standing(
            place=place,
            accuracy=leads.alone(place).interval(),
            behind=leads.lead(leader, place) if place != leader else None,
            at_most=bound.at_most,
            ruled_out=bound.ruled_out,
        )
        for place, bound in zip(places, bounds, strict=True)
    )
    # On seeds that the leader lacks, which looks have spared it, only worse arms could be picked.
    known = leads.scores(leader).keys()
    scores = [{s: v for s, v in leads.scores(p).items() if s in known} for p in places]
    fitted = [*cross_fitted(scores).values()]
    if not fitted:
        return Decision(scenario, backbone, standings, None, None)
    measure = leads.measured.measure
    own, mean = leads.accuracy(leader), measure.within(math.fsum(fitted) / len(fitted))
    told = of_mean(own, mean), of_one_training(own, mean, measure.limits)
    return Decision(scenario, backbone, standings, *told)


class RuleStanding(NamedTuple):
    """What was found of following a rule in a scenario: on the mean over `followed`, the backbones
    on which what it prescribes was measured, each with the regime that is followed there.

    `rival`: the one regime that is furthest ahead of the rule, on the mean over the same backbones,
    and `lead`, how far. `at_most`: in truth no regime is further ahead.
    """

    rule: str
    scenario: str
    followed: Mapping[str, str]
    told: Judgement

    @property
    def verdict(self) -> str:
        """ "supported", "behind" (by less than the margin), "refuted", "undecided", "no data"."""
        return self.told.verdict

    @property
    def rival(self) -> str | None:
        """The regime that is furthest ahead of the rule, or least behind it."""
        return self.told.rival

    @property
    def lead(self) -> Estimate | None:
        """How far it is ahead."""
        return self.told.lead

    @property
    def at_most(self) -> float | None:
        """The rule loses no more than this against any regime, with 95 % confidence."""
        return self.told.at_most


def rule_standings(study: Study) -> dict[tuple[str, str], RuleStanding]:
    """The judgement of each published rule in each scenario, by (rule, scenario): one family.

    Where rules prescribe the same regimes they make one hypothesis.
    """
    if "rules" not in study.memory:
        study.memory["rules"] = _rule_standings(study)
    return study.memory["rules"]


def _rule_standings(study: Study) -> dict[tuple[str, str], RuleStanding]:
    places: dict[str, list[Spot]] = defaultdict(list)
    for spot in spots(study):
        places[spot.scenario].append(spot)
    asked = {
        (name, scenario): {
            spot.backbone: regime for spot in here if (regime := followed(study, RULES[name], spot))
        }
        for name in JUDGED
        for scenario, here in places.items()
    }
    family = list(dict.fromkeys((key[1], tuple(a.items())) for key, a in asked.items()))
    contrasts = _moderated(study, [_rivals(study, s, dict(chosen)) for s, chosen in family])
    told = dict(zip(family, judge(contrasts, margin=study.margin, level=study.error), strict=True))
    return {
        (name, scenario): RuleStanding(name, scenario, a, told[scenario, tuple(a.items())])
        for (name, scenario), a in asked.items()
    }


def _rivals(study: Study, scenario: str, chosen: Mapping[str, str]) -> dict[str, Weights]:
    """Every other regime's mean lead over what is chosen, over the backbones that have it."""
    found: dict[str, list[tuple[Place, Place]]] = defaultdict(list)
    for backbone, own in chosen.items():
        for regime in measured(study, Spot(scenario, backbone)):
            pair = Place(scenario, backbone, regime), Place(scenario, backbone, own)
            found[regime].append(pair)
    return {
        regime: mean_lead(pairs)
        for regime, pairs in found.items()
        if any(one != over for one, over in pairs)
    }


def _moderated(study: Study, family: Sequence[Mapping[str, Weights]]) -> list[dict[str, Estimate]]:
    """These contrasts with variances moderated by those of all mean leads of two regimes, over as
    many backbones."""
    priors = _priors(study)
    found = []
    for rivals in family:
        estimates = study.measured.contrasts([*rivals.values()])
        found.append(
            {
                name: one.moderated(priors.get(len(weights) // 2))
                for (name, weights), one in zip(rivals.items(), estimates, strict=True)
                if one
            }
        )
    return found


def _priors(study: Study) -> dict[int, Prior | None]:
    """By the number of backbones, the prior of the mean lead of a regime over another one."""
    wanted: dict[int, list[Weights]] = defaultdict(list)
    independent: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for scenario in filterfalse(study.is_unlabelled, study.scenarios):
        on = {
            regime: {b for b in study.backbones if Place(scenario, b, regime) in arms}
            for arms in (study.leads().arms[scenario],)
            for regime in study.trained
        }
        for one, over in combinations([r for r in on if on[r]], 2):
            common = [b for b in study.backbones if b in on[one] & on[over]]
            if common:
                pairs = [(Place(scenario, b, one), Place(scenario, b, over)) for b in common]
                wanted[len(common)].append(mean_lead(pairs))
                independent[len(common)] |= {(scenario, one), (scenario, over)}
    return {
        count: prior_of(
            [one for one in study.measured.contrasts(contrasts) if one],
            len(independent[count]) - len({scenario for scenario, _ in independent[count]}),
        )
        for count, contrasts in wanted.items()
    }
