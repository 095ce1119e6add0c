"""Accuracy against time: which arms no other arm beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence

from transfer_lab.reporting.blocks import Cell, Fold, Line, Note, Section, Table, cell
from transfer_lab.reporting.costs import Arm, arms
from transfer_lab.reporting.figures.time_accuracy import picture
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import accuracy_cell, amount

LEGEND = (
    "Seconds a target takes: decoding, cold extraction of frozen features, fit and evaluation, and "
    "the share of pretraining it bears where one, ten or infinitely many targets use the same "
    "source run (ready-made weights are paid for by others). An arm is on the frontier if no other "
    "arm of its scenario has at least its mean accuracy in at most its time, and one of both "
    "better; the columns of time say for how many targets it is. Means over seeds: exploratory, "
    "neighbours on the frontier need not be separated."
)
SHARING = {"one target": 1, "ten": 10, "infinitely many": math.inf}


def time_accuracy(study: Study) -> Section | None:
    """The frontier of every scenario; none where fewer than two arms have times."""
    found = {scenario: timed(study, scenario) for scenario in study.scenarios}
    found = {scenario: arms for scenario, arms in found.items() if len(arms) > 1}
    if not found:
        return None
    tables = tuple(_table(study, scenario, arms) for scenario, arms in found.items())
    rest = Fold("Time and accuracy of every arm", tables)
    figure = picture(study)
    blocks = (
        *mixed_conditions(study),
        *((figure,) if figure else ()),
        _frontier_table(study, found),
    )
    return Section("Accuracy against time", (*blocks, rest, Note(LEGEND)))


def timed(study: Study, scenario: str) -> tuple[Arm, ...]:
    """The arms of a scenario whose time was measured."""
    return tuple(arm for arm in arms(study, scenario) if not math.isnan(arm.cost.cold))


def frontier(found: Sequence[Arm], targets: float) -> tuple[Arm, ...]:
    """The arms that none dominates where so many targets share the pretraining, fastest first."""

    def dominated(arm: Arm) -> bool:
        own = (arm.cost.shared_by(targets), -arm.accuracy)
        return any(
            (other.cost.shared_by(targets), -other.accuracy) != own
            and other.cost.shared_by(targets) <= own[0]
            and other.accuracy >= arm.accuracy
            for other in found
        )

    kept = (arm for arm in found if not dominated(arm))
    return tuple(sorted(kept, key=lambda arm: arm.cost.shared_by(targets)))


def _frontier_table(study: Study, found: dict[str, tuple[Arm, ...]]) -> Table:
    rows = []
    for scenario, of_scenario in found.items():
        fronts = {name: frontier(of_scenario, n) for name, n in SHARING.items()}
        shown = [arm for arm in of_scenario if any(arm in front for front in fronts.values())]
        for arm in sorted(shown, key=lambda arm: arm.cost.cold):
            rows.append((cell(scenario), *_arm(study, arm), *_times(arm, fronts)))
    measure = study.measure
    head = ("scenario", "backbone", "regime", measure.heading, *SHARING)
    caption = "On the frontier of accuracy and time (s a target, by targets that share pretraining)"
    return Table(caption, head, tuple(rows), texts=3)


def _arm(study: Study, arm: Arm) -> tuple[Cell, ...]:
    accuracy = accuracy_cell(study.summary(*arm.place), usual=study.usual_seeds)
    return (cell(arm.place.backbone), cell(arm.place.regime), accuracy)


def _times(arm: Arm, fronts: dict[str, tuple[Arm, ...]]) -> tuple[Cell, ...]:
    return tuple(
        (Line(amount(arm.cost.shared_by(n)), "" if arm in fronts[name] else "(dominated)"),)
        for name, n in SHARING.items()
    )


def _table(study: Study, scenario: str, found: tuple[Arm, ...]) -> Table:
    fronts = {name: frontier(found, n) for name, n in SHARING.items()}
    rows = tuple(
        (*_arm(study, arm), *_times(arm, fronts))
        for arm in sorted(found, key=lambda arm: arm.cost.cold)
    )
    measure = study.measure
    head = ("backbone", "regime", measure.heading, *SHARING)
    return Table(f"Time (s a target) and accuracy, {scenario}", head, rows, texts=2)
