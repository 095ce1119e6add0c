"""The section on boxes and masks: means that add up, the blind answer, the random start."""

from __future__ import annotations

import pytest

from transfer_lab.experiment.choices import Regime
from transfer_lab.reporting.sections.dense import dense
from transfer_lab.reporting.study import Study

from .invented import CORNERS, Grid, experiment, record

FOUND = {"detection": (0.7, 0.8, 0.9), "at_random": (0.6, 0.6, 0.6)}
BLIND = 0.5


def study(found: dict[str, tuple[float, ...]] = FOUND, **options: object) -> Study:
    made = experiment(corners=CORNERS[:1], regimes=["full_finetune", "detection"], seeds=3)
    other = Regime(kind="detection", options={"start": "random"} | options)
    made = made.model_copy(update={"regimes": {**made.regimes, "at_random": other}})
    grid = Grid(made)
    for cell in grid.cells:
        ious = found.get(cell.regime, ())
        known = (
            {"test_iou": ious[cell.seed], "constant_iou": BLIND} if cell.seed < len(ious) else {}
        )
        grid.records[cell.run.id] = record(cell, **known)
    return grid.study()


def rows(made: Study) -> dict[str, list[str]]:
    table, _ = dense(made).blocks
    return {row[1][0].text: [line.text for c in row[2:] for line in c] for row in table.rows}


def test_a_grid_that_finds_nothing_has_no_such_section():
    assert dense(study({})) is None


def test_means_and_intervals_are_those_of_the_seeds_and_of_pairs():
    # The t quantile of two degrees of freedom is 4.303; 10 / sqrt(3) is the error of the mean.
    assert rows(study()) == {
        "detection": ["80.0 ± 24.8", "50.0 ± 0.0", "30.0 ± 24.8", "20.0 ± 24.8"],
        "at_random": ["60.0 ± 0.0", "50.0 ± 0.0", "10.0 ± 0.0", "–"],
    }


def test_only_seeds_of_both_are_paired_and_it_is_said_how_many_there_are():
    made = study({"detection": (0.7, 0.8, 0.9), "at_random": (0.6,)})
    assert rows(made)["detection"][-1] == "10.0"
    table, _ = dense(made).blocks
    assert [row[1][0].note for row in table.rows] == ["(n=3)", "(1 of 3)"]


@pytest.mark.parametrize("options", [{"lr": 0.5}, {"weight": 2.0}])
def test_a_random_start_with_other_options_is_no_twin(options):
    assert rows(study(**options))["detection"][-1] == "–"
