"""One line a scenario: what is gained by seeing more than labelled images of the target and source
weights, and what is reached without labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from transfer_lab.reporting.blocks import Bullets, Note, Section
from transfer_lab.reporting.hypotheses import Spot
from transfer_lab.reporting.ranking import told_apart
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import gap, sees
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import LEVEL
from transfer_lab.stats.intervals import Interval

BASELINE = "source_only"
"""The kind of regime that what needs no labels is compared with: the source's model as it is."""
TITLE = "Seeing more"
LEAD = "What images of the source, unlabelled images or a teacher add to the best without."
LEGEND = (
    "Regimes that see more are compared with the best one that sees no more than "
    "labelled images of the target and source weights. Of each group mean validation accuracy "
    "chooses one (the first listed where nothing was held out), so that the test set tells how far "
    "apart they are and has chosen neither; single comparisons, not corrected. Without labels "
    f"nothing but the test could choose: {BASELINE} is what the best is compared with, and the "
    "interval holds for all that were looked at (Bonferroni)."
)


def beyond(study: Study) -> Section | None:
    """What is gained by seeing more, a line a scenario and backbone; nothing where all regimes see
    the same."""
    lines = tuple(_lines(study))
    return Section(TITLE, (Bullets(lines), Note(LEGEND)), LEAD) if lines else None


def _lines(study: Study) -> Iterator[str]:
    for scenario in study.scenarios:
        for backbone in study.backbones:
            spot = Spot(scenario, backbone)
            told = _without(study, spot) if study.is_unlabelled(scenario) else _with(study, spot)
            if told:
                where = f"{scenario}, {backbone}" if len(study.backbones) > 1 else scenario
                yield f"{where}: {told}."


def _measured(study: Study, spot: Spot) -> list[str]:
    """The regimes that are no controls and have a test accuracy."""
    trained = (r for r in study.planned(*spot) if not study.is_control(r))
    return [regime for regime in trained if study.accuracy(*spot, regime)]


def _with(study: Study, spot: Spot) -> str:
    """The best of each group of regimes that see the same, against the best comparable one."""
    groups: dict[str, list[str]] = defaultdict(list)
    for regime in _measured(study, spot):
        if not study.is_comparable(regime):
            groups[sees(study, regime)].append(regime)
    usual = study.preferred(*spot, study.contenders(*spot))
    return "; ".join(
        f"with {seen} {_gain(study, spot, study.preferred(*spot, tuple(group)), usual)}"
        for seen, group in groups.items()
    )


def _gain(study: Study, spot: Spot, best: str, usual: str | None) -> str:
    """How far the best of a group is ahead of the usual best, in words."""
    if usual is None:
        reached = study.measure.text(study.accuracy(*spot, best))
        return f"{best}, {reached}, with nothing to compare it with"
    own, other = Place(*spot, best), Place(*spot, usual)
    lead = study.measured.lead(own, over=other)
    if lead is None:
        return f"{best}, with no seed in common with {usual}"
    told = f"{_side(study, lead)} {usual} ({told_apart(study, own, other)})"
    if lead.known and lead.mean > lead.half():
        return f"best {best}, {told}"
    if lead.known and lead.mean < -lead.half():
        return f"nothing helps: best {best}, {told}"
    return f"nothing is seen to help: best {best}, {told}"


def _side(study: Study, lead: Estimate) -> str:
    if lead.mean < 0:
        return f"{gap(lead.negative, study.measure)} behind"
    return f"{gap(lead, study.measure)} ahead of"


def _without(study: Study, spot: Spot) -> str:
    """The best of what needs no labels against the source's model as it is."""
    measured = _measured(study, spot)
    base = next((r for r in study.of_kind(BASELINE) if r in measured), None)
    others = tuple(regime for regime in measured if regime != base)
    best = study.best(*spot, others)
    if best is None:
        found = (
            f"{BASELINE} {study.measure.text(study.accuracy(*spot, base))}" if base else "nothing"
        )
        return f"without labels {found}, and nothing else measured"
    reached = study.measure.text(study.accuracy(*spot, best))
    picked = "" if len(others) == 1 else f", the best of {len(others)} by test accuracy: optimistic"
    if base is None:
        planned = any(r in study.planned(*spot) for r in study.of_kind(BASELINE))
        lacking = "not measured" if planned else "not in this grid"
        return f"without labels best {best}, {reached} ({BASELINE} is {lacking}){picked}"
    lead = study.measured.lead(Place(*spot, best), over=Place(*spot, base))
    if lead is None:
        return f"without labels best {best}, {reached}, no seed in common with {BASELINE}{picked}"
    return f"without labels {_over(study, lead, best, base, reached, len(others))}{picked}"


def _over(study: Study, lead: Estimate, best: str, base: str, reached: str, looked_at: int) -> str:
    """The lead over the source's model, with an interval for all that were looked at."""
    half = lead.half(1 - LEVEL / looked_at)
    ahead = study.measure.difference(Interval(abs(lead.mean), half, 1))
    side = f"{ahead} {study.measure.steps} {'behind' if lead.mean < 0 else 'ahead of'} {base}"
    if half is None:
        return f"best {best}, {reached}, {side} (interval unknown)"
    if lead.mean > half:
        return f"best {best}, {reached}, {side}"
    word = "nothing helps" if lead.mean < -half else "nothing is seen to help"
    return f"{word}: best {best}, {reached}, {side}"
