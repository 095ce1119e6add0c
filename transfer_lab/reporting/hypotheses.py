"""Where the rules of thumb say something that was measured, and what they prescribe there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from transfer_lab.reporting.study import Place, Study
from transfer_lab.stats.rules_of_thumb import Rule

JUDGED = ("rule_av", "rule_cs231n")


class Spot(NamedTuple):
    """A scenario on a backbone that has all that a transfer regime needs."""

    scenario: str
    backbone: str


def spots(study: Study) -> Iterator[Spot]:
    """Where at least two regimes that may win were measured and something is transferred."""
    for scenario, asked in study.experiment.scenarios.items():
        if asked.size == "medium" or study.is_unlabelled(scenario):
            continue  # of which no rule says anything
        for backbone in study.backbones:
            regimes = measured(study, Spot(scenario, backbone))
            kinds = {study.experiment.regimes[regime].kind for regime in regimes}
            if len(regimes) > 1 and kinds - {"from_scratch"}:
                yield Spot(scenario, backbone)


def measured(study: Study, spot: Spot) -> tuple[str, ...]:
    """The regimes that may win and have a test accuracy."""
    return tuple(r for r in study.contenders(*spot) if study.measured.tested(Place(*spot, r)))


def followed(study: Study, rule: Rule, spot: Spot) -> str | None:
    """The regime that the rule prescribes; of several of its kind the one that validates best."""
    scenario = study.experiment.scenarios[spot.scenario]
    kind = rule[scenario.size, scenario.similarity]
    planned = study.contenders(*spot)
    return study.preferred(*spot, tuple(r for r in study.of_kind(kind) if r in planned))


def chance_of_best(study: Study, spot: Spot, regime: str) -> float | None:
    """How probably this is the best of those that may win in its spot; None where two common seeds,
    or the test set's size, are not there."""
    from transfer_lab.stats.pooling import probability_best

    regimes = measured(study, spot)
    found = study.measured.together(tuple(Place(*spot, r) for r in regimes))
    if found is None or found.over_seeds is None or found.over_images is None:
        return None
    return probability_best(found, regimes.index(regime))
