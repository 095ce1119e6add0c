"""Who leads in a scenario, by how much, and where the rule's regime stands."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_lab.evidence.intervals import Interval
from transfer_lab.evidence.rules import RULE_AV
from transfer_lab.report.study import Study
from transfer_lab.report.wording import points

NOTHING = "nothing for a medium size"


@dataclass(frozen=True)
class Standing:
    """The order of the trained regimes in one scenario with one backbone."""

    best: str | None
    runner_up: str | None
    margin: float | None
    separated: bool | None
    prescribed: str
    rule_regime: str | None
    behind: float | None
    provisional: bool

    @property
    def contest(self) -> str:
        """The runner-up in words; overlapping intervals are said to overlap."""
        if self.runner_up is None:
            return "no other trained regime measured"
        how = {True: "intervals apart", False: "not separated", None: "interval unknown"}
        return f"runner-up {self.runner_up}, {points(self.margin)} behind ({how[self.separated]})"

    @property
    def rule(self) -> str:
        """What the rule says, in words, and how far that is behind the best."""
        name = self.prescribed
        if name == NOTHING:
            return name
        if self.rule_regime is None:
            return f"{name}, not in this experiment"
        if self.rule_regime != name:
            name = f"{name} ({self.rule_regime})"
        if self.behind is None:
            return f"{name}, not measured"
        return (
            f"{name}, the best"
            if self.rule_regime == self.best
            else (f"{name}, {points(self.behind)} behind")
        )


def standing(study: Study, scenario: str, backbone: str) -> Standing:
    """Order the trained regimes of one scenario by mean accuracy."""

    def accuracy(regime: str | None) -> Interval | None:
        return study.accuracy(scenario, backbone, regime) if regime else None

    trained = study.trained_on(backbone)
    best = study.best(scenario, backbone, trained)
    others = tuple(regime for regime in trained if regime != best)
    runner_up = study.best(scenario, backbone, others)
    ruled = rule_regime(study, scenario, backbone)
    top, second, told = accuracy(best), accuracy(runner_up), accuracy(ruled)
    return Standing(
        best=best,
        runner_up=runner_up,
        margin=top.mean - second.mean if top and second else None,
        separated=_apart(top, second) if top and second else None,
        prescribed=prescribed(study, scenario),
        rule_regime=ruled,
        behind=top.mean - told.mean if top and told else None,
        provisional=not all(
            study.summary(scenario, backbone, regime).complete for regime in trained
        ),
    )


def prescribed(study: Study, scenario: str) -> str:
    """The kind of regime that the rule prescribes in the scenario."""
    place = study.experiment.scenarios[scenario]
    return RULE_AV.get((place.size, place.similarity), NOTHING)


def rule_regime(study: Study, scenario: str, backbone: str) -> str | None:
    """The regime of the kind that the rule prescribes; of several, the best measured one."""
    planned = study.regimes_on(backbone)
    kinds = tuple(r for r in study.of_kind(prescribed(study, scenario)) if r in planned)
    return study.best(scenario, backbone, kinds) or next(iter(kinds), None)


def _apart(top: Interval, second: Interval) -> bool | None:
    if top.half is None or second.half is None:
        return None
    return top.mean - top.half > second.mean + second.half
