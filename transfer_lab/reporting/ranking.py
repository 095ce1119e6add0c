"""What the articles' rule of thumb prescribes in each place, and how two places compare that were
not picked by their test accuracies.
"""

from __future__ import annotations

from transfer_lab.reporting.decision import Decision
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import bounded, gap, points
from transfer_lab.stats.rules_of_thumb import RULE_AV

SEPARATED = "separated"
NOTHING = "nothing for a medium size"
SILENT = "nothing without labels of the target"


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


def rule_stands(study: Study, found: Decision, backbone: str) -> str:
    """What the rule says, in words, and where that stands on a backbone among what is compared."""
    name = prescribed(study, found.scenario)
    if name in (NOTHING, SILENT):
        return name
    regime = rule_regime(study, found.scenario, backbone)
    if regime is None:
        return f"{name}, not in this experiment"
    name = name if regime == name else f"{name} ({regime})"
    one = found.of(Place(found.scenario, backbone, regime))
    if one is None:
        return f"{name}, not measured"
    if one == found.leader:
        return f"{name}, the best"
    words = [f"{gap(one.behind, study.measure)} behind"] if one.behind else []
    words += [] if one.at_most is None else [f"at most {bounded(one.at_most, study.measure)}"]
    words += ["ruled out"] if one.ruled_out else []
    return ", ".join([name, *words])


def provisional(study: Study, scenario: str, backbone: str) -> bool:
    """Whether seeds of regimes that may win are still missing."""
    regimes = study.contenders(scenario, backbone)
    return not all(study.summary(scenario, backbone, regime).complete for regime in regimes)


def told_apart(study: Study, one: Place, other: Place) -> str:
    """What the paired difference of two places says: separated, equal within the margin, or
    neither. One comparison; where the test has picked one of the two, it says too much."""
    lead = study.measured.lead(one, other)
    if lead is None:
        return "no seed in common"
    if not lead.known:
        return _single(study, one, other)
    if lead.equal_within(study.margin):
        return f"equal within {points(study.experiment.margin, study.measure)}"
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
