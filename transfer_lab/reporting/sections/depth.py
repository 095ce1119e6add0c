"""Accuracy against depth: how many stages stay frozen, and after which stage a probe stands."""

from __future__ import annotations

import math
from collections import defaultdict

from transfer_lab.experiment.choices import Regime
from transfer_lab.reporting.blocks import Cell, Note, Picture, Section, Table, cell
from transfer_lab.reporting.figures.depth import DepthCurve, depth_name, figure
from transfer_lab.reporting.hypotheses import Spot
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import accuracy_cell

TITLE = "How deep to freeze"
FEWEST = 3
"""Depths from which a curve is drawn."""
FROZEN, PROBE = "stages frozen, the rest fine-tuned", "linear probe after a stage"
LEAD = "Test scores by how many stages stay frozen, or give the features of a linear head."
LEGEND = (
    "Two questions about depth. Stages frozen: that many leading stages stay as the source left "
    "them, and the rest is fine-tuned, from none (full_finetune) to all (linear_probe). Linear "
    "probe: a linear head on what the source's stage of this number gives. Stages are numbered "
    "from the input (transfer-lab plan -v lists them). Each depth has the options that the "
    "experiment gives its regime; of several regimes of the same depth the one with the best "
    "validation accuracy is shown. Exploratory: 95 % intervals over seeds and test images, no "
    "comparison is corrected."
)


def depth(study: Study) -> Section | None:
    """Curves and their tables; no section where fewer than three depths were measured."""
    found = depth_curves(study)
    if not any(len(curve.regimes) >= FEWEST for curve in found):
        return None
    alt = f"Lines of test {study.measure.title} by depth, one for each network and question"
    caption = (
        f"Test {study.measure.title} against depth with 95 % intervals, one panel for each "
        f"scenario; solid: {FROZEN}; dotted: {PROBE}."
    )
    picture = Picture("depth.png", caption, alt, figure(study, found))
    tables = tuple(
        _table(study, backbone, [c for c in found if c.backbone == backbone])
        for backbone in study.backbones
        if any(curve.backbone == backbone for curve in found)
    )
    return Section(TITLE, (picture, *tables, Note(LEGEND)), LEAD)


def depth_curves(study: Study) -> list[DepthCurve]:
    """What was measured at two depths or more."""
    found = []
    for scenario in study.scenarios:
        for backbone in study.backbones:
            for what in (FROZEN, PROBE):
                regimes = _by_depth(study, Spot(scenario, backbone), what)
                if len(regimes) > 1:
                    found.append(DepthCurve(scenario, backbone, what, regimes))
    return found


def _by_depth(study: Study, spot: Spot, what: str) -> dict[float, str]:
    candidates: dict[float, list[str]] = defaultdict(list)
    for name in study.contenders(*spot):
        at = _frozen(study.experiment.regimes[name])
        if what == PROBE:
            at = _probed(study.experiment.regimes[name])
        if at is not None:
            candidates[at].append(name)
    chosen = {at: study.preferred(*spot, tuple(candidates[at])) for at in sorted(candidates)}
    return {at: regime for at, regime in chosen.items() if regime}


def _frozen(regime: Regime) -> float | None:
    """How many stages a regime leaves frozen while it learns the others."""
    match regime.kind:
        case "full_finetune":
            return 0
        case "partial_finetune" if not regime.options.get("reinit"):
            return regime.options.get("k")
        case "linear_probe" if regime.options.get("stage") is None:
            return math.inf
    return None


def _probed(regime: Regime) -> float | None:
    """After which stage a regime's linear head stands."""
    if regime.kind != "linear_probe":
        return None
    stage = regime.options.get("stage")
    return math.inf if stage is None else stage


def _table(study: Study, backbone: str, curves: list[DepthCurve]) -> Table:
    depths = sorted({at for curve in curves for at in curve.regimes})
    rows = tuple(
        (
            cell(curve.what),
            cell(curve.scenario),
            *(_entry(study, curve, at) for at in depths),
        )
        for curve in sorted(curves, key=lambda curve: curve.what == PROBE)
    )
    head = ("question", "scenario", *(depth_name(at) for at in depths))
    caption = f"Test {study.measure.heading} by depth in stages, {backbone}"
    return Table(caption, head, rows, texts=2, about=(("backbone", backbone),))


def _entry(study: Study, curve: DepthCurve, at: float) -> Cell:
    regime = curve.regimes.get(at)
    if regime is None:
        return cell("–")
    return accuracy_cell(
        study.summary(curve.scenario, curve.backbone, regime), usual=study.usual_seeds
    )
