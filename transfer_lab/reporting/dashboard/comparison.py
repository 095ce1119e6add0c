"""Experiments side by side: accuracies and times, in the words and numbers of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.accuracies import PLACE, Place, rows_of
from transfer_lab.reporting.blocks import Block, Cell, Fold, Picture, Table, cell
from transfer_lab.reporting.dashboard.lab import Lab, Shown
from transfer_lab.reporting.dashboard.selection import Selection
from transfer_lab.reporting.dashboard.wire import Told, told
from transfer_lab.reporting.figures import accuracy, time_accuracy
from transfer_lab.reporting.figures.pens import pens, pens_of
from transfer_lab.reporting.figures.spec import Figure, Pen, Series
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.sections.cards import Answers, board_of, layout
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


def cards(lab: Lab, shown: list[Shown], selection: Selection) -> Told:
    """The report's answers by study, of the network that is looked at or of the best of all."""
    return {one.name: _cards(lab.answers(one.study), selection) for one in shown}


def _cards(answers: Answers, selection: Selection) -> list[Told]:
    study = answers.study
    networks = selection.backbones(study)
    only = networks[0] if len(networks) == 1 < len(study.backbones) else None
    board, places = board_of(answers, only), layout(study)[2]
    return [
        {"scenario": scenario} | card._asdict()
        for scenario, card in zip(places, board.cards, strict=True)
        if scenario and card and card.name and selection.keeps("scenario", scenario)
    ]


def _measured(study: Study, selection: Selection) -> frozenset[Place]:
    """The places that are looked at and of which a run has finished."""
    places = rows_of(study.done[list(PLACE)].drop_duplicates(), *PLACE)
    return frozenset(Place(*names) for names in places if selection.keeps_place(*names))


def _blocks(
    study: Study, selection: Selection, found: frozenset[Place], look: Look
) -> Iterator[Block]:
    figure = narrowed(accuracy.figure(study), study, selection, look)
    alt = "Dots with intervals of test accuracy, a panel for each scenario"
    yield Picture("accuracy", "Test accuracy by regime", alt, figure)
    yield _accuracies(study, selection, found)
    known = time_accuracy.arms(study)
    if arms := {place: arm for place, arm in known.items() if place in found}:
        figure = narrowed(time_accuracy.figure(study, arms), study, selection, look)
        alt = "Test accuracy against seconds, a panel for each scenario"
        yield Picture("time", "Test accuracy against the time of a target task", alt, figure)
    yield Fold("Fit times", (_times(study, found),))


def narrowed(figure: Figure, study: Study, selection: Selection, look: Look) -> Figure:
    """The figure, of a panel a scenario, without what is not looked at and without empty panels, in
    colours that are the same for all experiments."""
    own = pens(study)

    def drawn(series: Series) -> Series:
        regime = series.facets.get("regime")
        return replace(series, pen=look[regime]) if series.pen == own.get(regime) else series

    panels = tuple(
        replace(panel, series=series)
        for scenario, panel in zip(study.scenarios, figure.panels, strict=True)
        if selection.keeps("scenario", scenario)
        and (series := tuple(drawn(s) for s in panel.series if s.x and _kept(s.facets, selection)))
    )
    names = tuple(name for name in figure.y.names if selection.keeps("regime", name))
    drawn_of = {pair for panel in panels for series in panel.series for pair in _said(series)}
    keys = tuple(
        replace(key, colour=look[key.value].colour) if key.facet == "regime" else key
        for key in figure.keys
        if (key.facet, key.value) in drawn_of
    )
    return replace(figure, panels=panels, keys=keys, y=replace(figure.y, names=names))


def _kept(facets: Mapping[str, object], selection: Selection) -> bool:
    return all(
        not isinstance(value, str) or selection.keeps(facet, value)
        for facet, value in facets.items()
    )


def _said(series: Series) -> Iterator[tuple[str, str]]:
    """What all of its points show."""
    return ((facet, value) for facet, value in series.facets.items() if isinstance(value, str))


def _accuracies(study: Study, selection: Selection, found: frozenset[Place]) -> Table:
    best, ruled = set(), set()
    for scenario, backbone in _spots(study, found):
        among = tuple(
            r for r in study.contenders(scenario, backbone) if selection.keeps("regime", r)
        )
        best.add(Place(scenario, backbone, study.best(scenario, backbone, among) or ""))
        ruled.add(Place(scenario, backbone, rule_regime(study, scenario, backbone) or ""))

    def entry(place: Place) -> Cell:
        mark = f"{RULE_MARK} " if place in ruled else ""
        return accuracy_cell(study.summary(*place), mark=mark, strong=place in best)

    return _table(study, found, "Test accuracy (%)", entry)


def _times(study: Study, found: frozenset[Place]) -> Table:
    def entry(place: Place) -> Cell:
        spent = study.summary(*place).seconds
        return cell(seconds(spent) if spent else "–")

    return _table(study, found, "Fit time (s)", entry)


def _spots(study: Study, found: frozenset[Place]) -> list[tuple[str, str]]:
    """Scenarios and networks of which there is something, in the report's order."""
    known = {(place.scenario, place.backbone) for place in found}
    return [(s, b) for s in study.scenarios for b in study.backbones if (s, b) in known]


def _table(
    study: Study, found: frozenset[Place], caption: str, entry: Callable[[Place], Cell]
) -> Table:
    """Rows are regimes, groups of columns scenarios, columns networks: where anything finished."""
    spots, regimes = _spots(study, found), {place.regime for place in found}
    rows = tuple(
        ((regime_name(study, regime),), *(entry(Place(*spot, regime)) for spot in spots))
        for regime in study.regimes
        if regime in regimes
    )
    groups = Counter(scenario for scenario, _ in spots)
    head = ("regime", *(backbone for _, backbone in spots))
    return Table(caption, head, rows, groups=(("", 1), *groups.items()))
