"""The accuracy matrix: regimes by scenarios and networks."""

from __future__ import annotations

from transfer_lab.reporting.blocks import Block, Cell, Note, Section
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.sections.grid import grid_tables
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import RULE_MARK, accuracy_cell, seeds_of

UNITS = {"%": "percent", "nats": "nats, of which less is better,"}
SEES_MORE = (
    " Regimes that see more than labelled images of the target and source weights say what; they "
    "are no rivals of the rules and win nowhere but where the target has no labels."
)
LEGEND = (
    "Mean test {measure} ± the half-width of its 95 % interval, which holds the error of "
    "the seeds and of the test set; the number of seeds n is said where it is not the usual one, "
    "(k of n) where only k of n planned seeds are done; far below: so many of these trainings "
    "failed (see Flags). Bold: the best trained regime of the "
    f"column. {RULE_MARK}: what rule_av prescribes. Controls cannot win. A dash is a number that "
    "was not measured, with the reason."
)


def accuracy(study: Study) -> Section:
    """Mean test accuracy and its interval in every place of the grid."""
    legend = LEGEND if all(map(study.is_comparable, study.trained)) else LEGEND + SEES_MORE
    best, ruled = set(), set()
    for scenario in study.scenarios:
        for backbone in study.backbones:
            contenders = study.contenders(scenario, backbone)
            best.add(Place(scenario, backbone, study.best(scenario, backbone, contenders) or ""))
            ruled.add(Place(scenario, backbone, rule_regime(study, scenario, backbone) or ""))
    usual, measure = study.usual_seeds, study.measure
    counted = f"{usual} folds" if study.experiment.folds else seeds_of(usual)
    legend = legend.replace("{measure}", f"{measure.title} in {UNITS[measure.unit]}")

    def entry(place: Place) -> Cell:
        summary = study.summary(*place)
        mark = f"{RULE_MARK} " if place in ruled else ""
        return accuracy_cell(summary, mark=mark, strong=place in best, usual=usual)

    tables: tuple[Block, ...] = grid_tables(study, f"Test {measure.heading}", entry)
    lead = (
        f"Mean test {measure.title} of every regime, {counted} unless said otherwise; bold "
        f"is the best of its column, {RULE_MARK} what the rule of thumb prescribes."
    )
    title = measure.title[0].upper() + measure.title[1:]
    return Section(title, (*tables, Note(legend)), lead)
