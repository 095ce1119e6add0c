"""The four lines of Yosinski et al. 2014: which regime stands where, and what BnB says."""

from __future__ import annotations

import pytest

from transfer_lab.experiment.choices import Regime
from transfer_lab.experiment.spec import Experiment, Scenario
from transfer_lab.reporting.blocks import Paragraph, pictures
from transfer_lab.reporting.figures.mpl import png
from transfer_lab.reporting.figures.plotly import chart
from transfer_lab.reporting.sections.stage_transfer import (
    IN_BOTH,
    IN_TEST,
    OPTIMISATION,
    stage_panels,
    stage_transfer,
)

from .invented import SKILL, Grid, experiment
from .reading import markdown_tables

SKILL.setdefault("partial_transfer", (0.3, 0.65))
FROZEN = {f"frozen_{k}": ("partial_finetune", {"k": k, "reinit": True}) for k in (1, 2, 3)}
LEARNING = {f"learning_{k}": ("partial_transfer", {"k": k}) for k in (1, 2, 3)}
SCRATCH = {"from_scratch": ("from_scratch", {})}
PLACES = {"target": "cyrillic", "per_class": 200, "size": "large"}
ITSELF = Scenario(control="self", similarity="similar", **PLACES)
SIMILAR = Scenario(source="latin", similarity="similar", **PLACES)
FAR = Scenario(source="textures", similarity="dissimilar", **PLACES)
SCENARIOS = {"itself": ITSELF, "similar": SIMILAR, "far": FAR}


def written(regimes=SCRATCH | FROZEN | LEARNING, scenarios=SCENARIOS) -> Experiment:
    named = {name: Regime(kind=kind, options=options) for name, (kind, options) in regimes.items()}
    return experiment(seeds=3).model_copy(update={"regimes": named, "scenarios": scenarios})


def measured(tested: float, fitted: float) -> Grid:
    """BnB at n = 2 lies below n = 0 by so much in test and in training accuracy; seeds differ."""
    grid = Grid(written())
    for seed in range(3):
        noise = 0.004 * seed

        def here(cell, seed=seed):
            return cell.seed == seed

        grid.finish(here, test_accuracy=0.7 + noise, train_accuracy=0.9 + noise)

        def parted(cell, seed=seed):
            place = (cell.scenario, cell.regime, cell.seed)
            return place == ("itself", "frozen_2", seed)

        lower = {"test_accuracy": 0.7 - tested + noise, "train_accuracy": 0.9 - fitted + noise}
        grid.finish(parted, **lower)
    return grid


def told(grid: Grid) -> str:
    section = stage_transfer(grid.study())
    return next(block.text for block in section.blocks if isinstance(block, Paragraph))


def test_each_scenario_has_its_own_lines_beside_those_of_the_target_itself():
    panels = stage_panels(Grid(written()).finish().study())
    assert [panel.scenario for panel in panels] == ["similar", "far"]
    for panel in panels:
        assert [(line.name, line.scenario) for line in panel.lines] == [
            ("AnB", panel.scenario),
            ("AnB+", panel.scenario),
            ("BnB", "itself"),
            ("BnB+", "itself"),
        ]
        for line in panel.lines:
            kind = "learning" if line.name.endswith("+") else "frozen"
            assert line.regimes == {0: "from_scratch"} | {n: f"{kind}_{n}" for n in (1, 2, 3)}


def test_a_target_that_is_its_own_source_stands_alone_where_there_are_no_others():
    others = {"itself": ITSELF, "fewer": SIMILAR.model_copy(update={"per_class": 5})}
    for scenarios, expected in (({"itself": ITSELF}, ["itself"]), (others, ["fewer", "itself"])):
        panels = stage_panels(Grid(written(scenarios=scenarios)).finish().study())
        assert [panel.scenario for panel in panels] == expected
        assert [line.name for line in panels[-1].lines] == ["BnB", "BnB+"]


@pytest.mark.parametrize(
    "regimes",
    [
        SCRATCH | {"frozen_1": FROZEN["frozen_1"], "learning_1": LEARNING["learning_1"]},
        SCRATCH | {f"kept_{k}": ("partial_finetune", {"k": k}) for k in (1, 2, 3)},
        SCRATCH | {"full_finetune": ("full_finetune", {})},
    ],
)
def test_fewer_than_three_depths_or_nothing_that_starts_anew_are_no_section(regimes):
    assert stage_transfer(Grid(written(regimes)).finish().study()) is None


def test_a_fall_in_training_too_is_no_overfitting():
    text = told(measured(0.1, 0.08))
    start = "BnB in itself on cnn is lowest at n = 2, picked by these test accuracies. It is 10.0"
    assert text.startswith(start)
    for what in ("n = 0", "BnB+ at the same n"):
        assert f"points below {what} in test accuracy and 8.0 ± 0.0 points in training" in text
    assert text.count(IN_BOTH) == 2 and text.endswith(f"{OPTIMISATION}.")


@pytest.mark.parametrize("fitted", [0.0, -0.05])
def test_a_fall_that_training_does_not_show_is_said_to_be_that(fitted):
    text = told(measured(0.1, fitted))
    assert text.count(IN_TEST) == 2 and OPTIMISATION not in text


def test_where_no_fall_is_shown_nothing_is_explained():
    text = told(measured(0.0001, 0.08))
    assert text.count("no fall is shown") == 2 and OPTIMISATION not in text


def test_training_accuracies_that_are_not_there_are_not_made_up():
    grid = measured(0.1, 0.08)
    grid.records = {
        key: record.model_copy(update={"train_accuracy": None})
        for key, record in grid.records.items()
    }
    assert told(grid).endswith("training accuracies are not known.")
    rows = markdown_tables(grid.markdown())["Accuracy (%) by transferred stages, cnn"][1:]
    assert {entry for row in rows if row[2] == "training" for entry in row[3:]} == {"–"}


def test_the_table_holds_test_and_training_of_every_line():
    head, *rows = markdown_tables(measured(0.1, 0.08).markdown())[
        "Accuracy (%) by transferred stages, cnn"
    ]
    assert head == ["line", "scenario", "accuracy", "n = 0", "n = 1", "n = 2", "n = 3"]
    assert len(rows) == 12, "the lines of the target itself stand there once"
    found = {tuple(row[:3]): row[3:] for row in rows}
    assert found["BnB", "itself", "test"][2].startswith("60.4")
    assert found["BnB", "itself", "training"][2].startswith("82.4")
    assert found["AnB", "far", "test"][2].startswith("70.4")


def test_training_accuracy_is_dotted_in_the_figure():
    (picture,) = pictures((stage_transfer(measured(0.1, 0.08).study()),))
    assert png(picture.figure)[:4] == b"\x89PNG"
    for panel in picture.figure.panels:
        looks = {(s.facets["line"], s.facets["accuracy"]): s.pen for s in panel.series}
        assert len(looks) == 8
        for (name, what), pen in looks.items():
            assert pen.dash == {"test": "-", "training": ":"}[what]
            assert pen.colour == looks[name, "test"].colour
    for panel in chart(picture.figure).panels:
        assert all(trace["x"] == ["0", "1", "2", "3"] for trace in panel.traces)
