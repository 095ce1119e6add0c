"""Experiments side by side: accuracies and times, in the words and numbers of the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.accuracies import PLACE, Place, rows_of
from transfer_lab.reporting.blocks import Block, Cell, Fold, Picture, Table, cell
from transfer_lab.reporting.dashboard.lab import Shown
from transfer_lab.reporting.dashboard.selection import Selection
from transfer_lab.reporting.dashboard.wire import Told, told
from transfer_lab.reporting.figures import accuracy, time_accuracy
from transfer_lab.reporting.figures.pens import pens_of
from transfer_lab.reporting.figures.spec import Figure, Key, Pen
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import RULE_MARK, accuracy_cell, regime_name, seconds

LEGEND = (
    "Mean test accuracy in percent ± the half-width of its 95 % interval, and the number of seeds. "
    f"Bold: the best trained regime of what is shown. {RULE_MARK}: what rule_av prescribes."
)

Look = Mapping[str, Pen]


def look_of(experiments: Iterable[Experiment]) -> Look:
    """A pen for every regime, whatever the filters leave of it; controls are grey."""
    chosen = {name: regime for one in experiments for name, regime in one.regimes.items()}
    controls = [name for name, regime in chosen.items() if regime_entry(regime).control]
    return pens_of([name for name in chosen if name not in controls], controls)


def comparison(shown: list[Shown], selection: Selection) -> Told:
    """A column for each study of which anything is measured, its figures first; of the others
    there is nothing to draw."""
    look = look_of(one.planned.experiment for one in shown)
    columns, unrun = [], []
    for one in shown:
        measured = _measured(one.study, selection)
        if not measured:
            unrun.append(one.name)
            continue
        blocks = [told(block) for block in _blocks(one.study, selection, measured, look)]
        columns.append({"title": one.name, "blocks": blocks})
    return {"legend": LEGEND, "columns": columns, "unrun": unrun}


def _measured(study: Study, selection: Selection) -> frozenset[Place]:
    """The places that are looked at and of which a run has finished."""
    places = rows_of(study.done[list(PLACE)].drop_duplicates(), *PLACE)
    return frozenset(Place(*names) for names in places if selection.keeps_place(*names))


def _blocks(
    study: Study, selection: Selection, measured: frozenset[Place], look: Look
) -> Iterator[Block]:
    backbones = [b for b in selection.backbones(study) if any(p.backbone == b for p in measured)]
    figure = narrowed(accuracy.figure(study, look), study, selection)
    alt = "Dots with intervals of test accuracy, a panel for each scenario"
    yield Picture("accuracy", "Test accuracy by regime", alt, figure)
    for backbone in backbones:
        yield _matrix(study, selection, backbone)
    arms = {
        place: arm
        for place, arm in time_accuracy.arms(study).items()
        if selection.keeps_place(*place)
    }
    if arms:
        figure = narrowed(time_accuracy.figure(study, arms), study, selection)
        alt = "Test accuracy against seconds, a panel for each scenario"
        yield Picture("time", "Test accuracy against the time of a target task", alt, figure)
    yield Fold("Fit times", tuple(_times(study, selection, backbone) for backbone in backbones))


def narrowed(figure: Figure, study: Study, selection: Selection) -> Figure:
    """The figure, of a panel a scenario, without what is not looked at and without empty panels."""
    panels = tuple(
        replace(panel, series=series)
        for scenario, panel in zip(study.corners, figure.panels, strict=True)
        if selection.keeps("scenario", scenario)
        and (series := tuple(s for s in panel.series if s.x and _kept(s.facets, selection)))
    )
    names = tuple(name for name in figure.y.names if selection.keeps("regime", name))
    keys = tuple(key for key in figure.keys if _key_kept(key, selection))
    return replace(figure, panels=panels, keys=keys, y=replace(figure.y, names=names))


def _kept(facets: Mapping[str, object], selection: Selection) -> bool:
    return all(
        not isinstance(value, str) or selection.keeps(facet, value)
        for facet, value in facets.items()
    )


def _key_kept(key: Key, selection: Selection) -> bool:
    return selection.keeps(key.facet, key.value)


def _matrix(study: Study, selection: Selection, backbone: str) -> Table:
    scenarios, regimes = selection.scenarios(study), _regimes(study, selection, backbone)
    best, ruled = {}, {}
    for scenario in scenarios:
        among = tuple(r for r in study.contenders(scenario, backbone) if r in regimes)
        best[scenario] = study.best(scenario, backbone, among)
        ruled[scenario] = rule_regime(study, scenario, backbone)

    def entry(scenario: str, regime: str) -> Cell:
        mark = f"{RULE_MARK} " if regime == ruled[scenario] else ""
        summary = study.summary(scenario, backbone, regime)
        return accuracy_cell(summary, mark=mark, strong=regime == best[scenario])

    rows = tuple(
        ((regime_name(study, regime),), *(entry(scenario, regime) for scenario in scenarios))
        for regime in regimes
    )
    return Table(f"Test accuracy (%), {backbone}", ("regime", *scenarios), rows)


def _times(study: Study, selection: Selection, backbone: str) -> Table:
    scenarios = selection.scenarios(study)

    def entry(scenario: str, regime: str) -> Cell:
        spent = study.summary(scenario, backbone, regime).seconds
        return cell(seconds(spent) if spent else "–")

    rows = tuple(
        ((regime_name(study, regime),), *(entry(scenario, regime) for scenario in scenarios))
        for regime in _regimes(study, selection, backbone)
    )
    return Table(f"Fit time (s), {backbone}", ("regime", *scenarios), rows)


def _regimes(study: Study, selection: Selection, backbone: str) -> tuple[str, ...]:
    return tuple(r for r in study.regimes_on(backbone) if selection.keeps("regime", r))
