"""Accuracy against depth: which regime stands for which depth, in the figure and the tables."""

from __future__ import annotations

import math

import pytest

from transfer_lab.experiment.choices import Regime
from transfer_lab.reporting.blocks import pictures
from transfer_lab.reporting.figures.mpl import png
from transfer_lab.reporting.figures.plotly import chart
from transfer_lab.reporting.sections.depth import FROZEN, PROBE, depth, depth_curves

from .invented import CORNERS, Grid, experiment
from .reading import markdown_tables

REGIMES = {
    "from_scratch": {"kind": "from_scratch"},
    "everything": {"kind": "full_finetune"},
    "freeze_1": {"kind": "partial_finetune", "options": {"k": 1}},
    "freeze_2": {"kind": "partial_finetune", "options": {"k": 2}},
    "freeze_2_fast": {"kind": "partial_finetune", "options": {"k": 2, "lr": 0.1}},
    "renewed": {"kind": "partial_finetune", "options": {"k": 1, "reinit": True}},
    "tuned_k": {"kind": "partial_finetune", "options": {}},
    "early": {"kind": "linear_probe", "options": {"stage": 1}},
    "probe": {"kind": "linear_probe"},
    "lp_ft": {"kind": "lp_ft"},
}


def grid(names=tuple(REGIMES), **more: object) -> Grid:
    plain = experiment(corners=CORNERS[:2], seeds=3, **more)
    regimes = {name: Regime(**REGIMES[name]) for name in names}
    return Grid(plain.model_copy(update={"regimes": regimes}))


def test_each_depth_has_its_regime_and_of_several_validation_chooses():
    made = grid().finish()
    made.finish(lambda cell: cell.regime == "freeze_2", val_accuracy=0.9, test_accuracy=0.2)
    made.finish(lambda cell: cell.regime == "freeze_2_fast", val_accuracy=0.3, test_accuracy=0.8)
    found = {(c.scenario, c.what): c.regimes for c in depth_curves(made.study())}
    frozen = {0: "everything", 1: "freeze_1", 2: "freeze_2", math.inf: "probe"}
    for scenario in ("small_similar", "small_dissimilar"):
        assert found[scenario, FROZEN] == frozen
        assert found[scenario, PROBE] == {1: "early", math.inf: "probe"}


def test_the_tables_hold_the_accuracies_of_the_records():
    made = grid().finish()
    table = markdown_tables(made.markdown())["Test accuracy (%) by depth in stages, cnn"]
    head, *rows = table
    assert head == ["question", "scenario", "0", "1", "2", "all"]
    frame = made.frame
    names = {
        FROZEN: ("everything", "freeze_1", None, "probe"),
        PROBE: (None, "early", None, "probe"),
    }
    assert len(rows) == 4
    for what, scenario, *entries in rows:
        for regime, entry in zip(names[what], entries, strict=True):
            if regime:
                here = frame[(frame["scenario"] == scenario) & (frame["regime"] == regime)]
                mean = 100 * here["test_accuracy"].mean()
                assert float(entry.split(" ±")[0]) == pytest.approx(mean, abs=0.0501)
    assert rows[-1][2] == "–"


def test_the_figure_and_its_twin_show_the_same_points():
    made = grid(backbones={"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp"}}).finish()
    section = depth(made.study())
    (picture,) = pictures((section,))
    assert png(picture.figure)[:4] == b"\x89PNG"
    plots = chart(picture.figure).panels
    assert [panel.title.split()[0] for panel in plots] == [
        "small_similar",
        "small_dissimilar",
    ]
    for panel in plots:
        assert {(t["meta"]["backbone"], t["meta"]["question"]) for t in panel.traces} == {
            (backbone, what) for backbone in ("cnn", "mlp") for what in (FROZEN, PROBE)
        }
        for trace in panel.traces:
            frozen = trace["meta"]["question"] == FROZEN
            assert trace["x"] == (["0", "1", "2", "all"] if frozen else ["1", "all"])
            assert len(trace["y"]) == len(trace["x"]) == len(trace["text"])


@pytest.mark.parametrize(
    "names",
    [
        ("from_scratch", "lp_ft"),
        ("everything", "probe"),
        ("early", "probe", "from_scratch"),
        ("everything", "tuned_k", "probe"),
        ("everything", "renewed", "probe"),
    ],
)
def test_fewer_than_three_depths_are_no_curve(names):
    assert depth(grid(names).finish().study()) is None


def test_what_is_not_measured_is_left_out():
    made = grid(("everything", "freeze_1", "freeze_2", "probe"))
    made.finish(lambda cell: cell.regime != "freeze_1" and cell.scenario == "small_similar")
    (curve,) = depth_curves(made.study())
    assert curve.regimes == {0: "everything", 2: "freeze_2", math.inf: "probe"}
    assert depth(made.study()) is not None
