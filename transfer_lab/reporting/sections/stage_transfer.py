"""Up to which stage features are general: the four lines of Yosinski et al. 2014."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from transfer_lab.experiment.choices import Regime
from transfer_lab.reporting.blocks import Cell, Note, Paragraph, Picture, Section, Table, cell
from transfer_lab.reporting.figures.stage_transfer import LINES, StageLine, StagePanel, figure
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import accuracy_cell, gap, percent
from transfer_lab.stats.intervals import Interval

TITLE = "How transferable the stages are"
IN_BOTH, IN_TEST = "it falls in both", "no fall in training accuracy is shown"
LEAD = "Accuracy by the number of stages that come from the source."
FEWEST = 3
"""Numbers of stages from which a line is drawn."""
LEGEND = (
    "The first n stages come from the source and all else starts at random (Yosinski et al. 2014). "
    "AnB: the n stages stay frozen. AnB+: they learn with the rest. BnB and BnB+: the same with "
    "the target as its own source, of the same images, so that no line below n = 0 can be laid to "
    "the source's other classes. Where BnB lies below n = 0, stages that were learnt together have "
    "been parted; where AnB lies below BnB, its stages are the source's own. Training accuracy is "
    "that of the last epoch, while the network learns. Of several regimes with the same n the one "
    "with the best validation accuracy is shown. Exploratory: 95 % intervals, none is corrected."
)
OPTIMISATION = (
    "What falls in training accuracy too is no overfitting, as it has been called: a network that "
    "overfits fits its training images no worse. It is one of optimisation, or of what the frozen "
    "stages lack: those above them find less of a fit than all of them find together"
)


def stage_transfer(study: Study) -> Section | None:
    """Lines and tables, and what BnB says; no section where fewer than three depths were
    measured."""
    study = study.by_accuracy  # which training has, too
    panels = stage_panels(study)
    if not any(len(line.regimes) >= FEWEST for panel in panels for line in panel.lines):
        return None
    alt = "Lines of accuracy by the number of transferred stages; values below"
    caption = (
        "Accuracy against the number of transferred stages, one panel for each scenario; solid: "
        "test, with 95 % intervals; dotted: training."
    )
    picture = Picture("stage-transfer.png", caption, alt, figure(study, panels))
    lines = tuple(dict.fromkeys((one.scenario, one.name) for p in panels for one in p.lines))
    tables = tuple(
        _table(study, backbone, panels, lines)
        for backbone in study.backbones
        if any(panel.backbone == backbone for panel in panels)
    )
    told = tuple(Paragraph(text) for text in _parted(study, panels))
    return Section(TITLE, (picture, *told, *tables, Note(LEGEND)), LEAD)


def stage_panels(study: Study) -> list[StagePanel]:
    """The scenarios with a line, each beside those in which its target is its own source; these
    alone where there are no others."""
    places = study.experiment.scenarios
    itself = [name for name in study.scenarios if places[name].control == "self"]
    others = [name for name in study.scenarios if name not in itself]
    found = []
    for backbone in study.backbones:
        of = {name: tuple(_lines(study, name, backbone)) for name in study.scenarios}
        for name in others:
            here = (places[name].target, places[name].per_class)
            beside = [s for s in itself if (places[s].target, places[s].per_class) == here]
            lines = (*of[name], *(line for one in beside for line in of[one]))
            if of[name]:
                found.append(StagePanel(name, backbone, lines))
        shown = {line.scenario for panel in found for line in panel.lines}
        rest = [name for name in itself if name not in shown and of[name]]
        found += [StagePanel(name, backbone, of[name]) for name in rest]
    return found


def _lines(study: Study, scenario: str, backbone: str) -> Iterator[StageLine]:
    names = LINES[2:] if study.experiment.scenarios[scenario].control == "self" else LINES[:2]
    for kind, name in zip(("partial_finetune", "partial_transfer"), names, strict=True):
        candidates: dict[int, list[str]] = defaultdict(list)
        for regime in study.contenders(scenario, backbone):
            n = _transferred(study.experiment.regimes[regime], kind)
            if n is not None:
                candidates[n].append(regime)
        chosen = {n: study.preferred(scenario, backbone, (*candidates[n],)) for n in candidates}
        known = {n: regime for n, regime in sorted(chosen.items()) if regime}
        if any(known):
            yield StageLine(name, scenario, backbone, known)


def _transferred(regime: Regime, kind: str) -> int | None:
    """How many stages a regime takes from the source, of those that belong to a line."""
    if regime.kind == "from_scratch":
        return 0
    all_else_anew = kind == "partial_transfer" or regime.options.get("reinit")
    return regime.options.get("k") if regime.kind == kind and all_else_anew else None


def _table(
    study: Study, backbone: str, panels: list[StagePanel], order: tuple[tuple[str, str], ...]
) -> Table:
    lines = {
        (line.scenario, line.name): line
        for panel in panels
        for line in panel.lines
        if panel.backbone == backbone
    }
    depths = sorted({n for line in lines.values() for n in line.regimes})
    rows = tuple(
        (
            *(cell(line.name), cell(line.scenario), cell(what)),
            *(entry(study, line.place(n)) if n in line.regimes else cell("–") for n in depths),
        )
        for key in order
        if (line := lines.get(key))
        for what, entry in (("test", _tested), ("training", _fitted))
    )
    head = ("line", "scenario", "accuracy", *(f"n = {n}" for n in depths))
    caption = f"Accuracy (%) by transferred stages, {backbone}"
    return Table(caption, head, rows, texts=3, about=(("backbone", backbone),))


def _tested(study: Study, place: Place) -> Cell:
    return accuracy_cell(study.summary(*place), usual=study.usual_seeds)


def _fitted(study: Study, place: Place) -> Cell:
    known = study.fitted(place)
    return cell(percent(known)) if known else cell("–")


def _parted(study: Study, panels: list[StagePanel]) -> Iterator[str]:
    """What BnB says where it is lowest: against n = 0, and against BnB+ at the same n, from which
    it differs in what is frozen alone."""
    told = {line[:3]: line for panel in panels for line in panel.lines if line.name.startswith("B")}
    for (name, *where), line in told.items():
        means = {n: study.accuracy(*line.place(n)).mean for n in line.regimes if n}
        if name != "BnB" or not means:
            continue
        n = min(means, key=means.__getitem__)
        thawed = told.get(("BnB+", *where))
        others = {"n = 0": line.place(0)} if 0 in line.regimes else {}
        if thawed and n in thawed.regimes:
            others["BnB+ at the same n"] = thawed.place(n)
        said = [_fall(study, line.place(n), what, other) for what, other in others.items()]
        ends = [f" {OPTIMISATION}."] if any(IN_BOTH in text for text in said) else []
        found = f"BnB in {' on '.join(where)} is lowest at n = {n}, picked by these test accuracies"
        yield f"{found}. {' '.join(said)}{''.join(ends)}"


def _fall(study: Study, here: Place, what: str, other: Place) -> str:
    lead = study.measured.lead(other, here)
    if lead is None:
        return f"It has no seed in common with {what}."
    tested, fitted = lead.interval(), fall_in_training(study, other, here)
    start = f"It is {gap(lead)} below {what} in test accuracy"
    if fitted:
        start += f" and {percent(fitted)} points in training accuracy"
    if not _shown(tested):
        return f"{start}: no fall is shown."
    if fitted is None:
        return f"{start}; training accuracies are not known."
    return f"{start}: {IN_BOTH if _shown(fitted) else IN_TEST}."


def fall_in_training(study: Study, start: Place, end: Place) -> Interval | None:
    """By how much training accuracy falls from one place to another, paired by seed."""
    before, after = study.fitted_by_seed(start), study.fitted_by_seed(end)
    return interval([before[seed] - after[seed] for seed in before if seed in after])


def _shown(fall: Interval) -> bool:
    return fall.half is not None and fall.mean - fall.half > 0
