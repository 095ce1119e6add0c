"""Who leads in a scenario, by how much, and where the rule's regime stands."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import gap
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import MARGIN
from transfer_lab.stats.rules_of_thumb import RULE_AV

SEPARATED, EQUAL = "separated", f"equal within {100 * MARGIN:g} point"

NOTHING = "nothing for a medium size"
SILENT = "nothing without labels of the target"


@dataclass(frozen=True)
class Ranking:
    """The order of the regimes that may win in one scenario with one backbone.

    `margin`: how far the best is ahead of the runner-up, paired. `behind`: how far it is ahead of
    the rule's regime.
    """

    best: str | None
    runner_up: str | None
    margin: Estimate | None
    doubt: str
    prescribed: str
    rule_regime: str | None
    behind: Estimate | None
    provisional: bool

    @property
    def contest(self) -> str:
        """The runner-up in words, and whether it is told apart."""
        if self.runner_up is None:
            return "no other trained regime measured"
        if self.margin is None:
            return f"runner-up {self.runner_up} ({self.doubt})"
        return f"runner-up {self.runner_up}, {gap(self.margin)} behind ({self.doubt})"

    @property
    def rule(self) -> str:
        """What the rule says, in words, and how far that is behind the best."""
        name = self.prescribed
        if name in (NOTHING, SILENT):
            return name
        if self.rule_regime is None:
            return f"{name}, not in this experiment"
        if self.rule_regime != name:
            name = f"{name} ({self.rule_regime})"
        if self.rule_regime == self.best:
            return f"{name}, the best"
        return f"{name}, {gap(self.behind)} behind" if self.behind else f"{name}, not measured"


def ranking(study: Study, scenario: str, backbone: str) -> Ranking:
    """Order the regimes that may win in one scenario by mean accuracy."""
    trained = study.contenders(scenario, backbone)
    best = study.best(scenario, backbone, trained)
    others = tuple(regime for regime in trained if regime != best)
    runner_up = study.best(scenario, backbone, others)
    ruled = rule_regime(study, scenario, backbone)

    def ahead_of(regime: str | None) -> Estimate | None:
        if best is None or regime is None:
            return None
        own = Place(scenario, backbone, best)
        return study.measured.lead(own, over=Place(scenario, backbone, regime))

    return Ranking(
        best=best,
        runner_up=runner_up,
        margin=ahead_of(runner_up),
        doubt=_between(study, scenario, (backbone, best), (backbone, runner_up)),
        prescribed=prescribed(study, scenario),
        rule_regime=ruled,
        behind=ahead_of(ruled),
        provisional=not all(
            study.summary(scenario, backbone, regime).complete for regime in trained
        ),
    )


def _between(
    study: Study, scenario: str, best: tuple[str, str | None], second: tuple[str, str | None]
) -> str:
    if best[1] is None or second[1] is None:
        return ""
    return told_apart(study, Place(scenario, *best), Place(scenario, *second))


def told_apart(study: Study, one: Place, other: Place) -> str:
    """What the paired difference of two places says: separated, equal within a point, or neither.

    One comparison, not corrected for having been picked among many.
    """
    lead = study.measured.lead(one, other)
    if lead is None:
        return "no seed in common"
    if not lead.known:
        return _single(study, one, other)
    if lead.equal_within(MARGIN):
        return EQUAL
    return SEPARATED if abs(lead.mean) > lead.half() else "not separated"


def _single(study: Study, one: Place, other: Place) -> str:
    """Of one common seed no interval follows; of its two networks something may be said."""
    from transfer_lab.stats.two_way import mcnemar

    first, second = study.measured.tested(one), study.measured.tested(other)
    common = set(first) & set(second)
    if len(common) != 1:
        return "interval unknown"
    (seed,) = common
    runs = [(run.run_id, run.accuracy) for run in (first[seed], second[seed])]
    known = study.predictions.together(runs)
    if known is None:
        return "interval unknown"
    p = mcnemar(*known.right)
    told = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"interval unknown; these two networks: McNemar's {told}"


def prescribed(study: Study, scenario: str) -> str:
    """The kind of regime that the rule prescribes in the scenario."""
    place = study.experiment.scenarios[scenario]
    if study.is_unlabelled(scenario):
        return SILENT
    return RULE_AV.get((place.size, place.similarity), NOTHING)


def rule_regime(study: Study, scenario: str, backbone: str) -> str | None:
    """The regime of the kind that the rule prescribes; of several, the one that validates best."""
    planned = study.planned(scenario, backbone)
    kinds = tuple(r for r in study.of_kind(prescribed(study, scenario)) if r in planned)
    return study.preferred(scenario, backbone, kinds) or next(iter(kinds), None)
