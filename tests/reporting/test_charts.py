"""The interactive figures: their numbers are the records', and so are those of the picture."""

import math
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.reporting.blocks import pictures
from transfer_lab.reporting.figures import (
    accuracy as dots,
)
from transfer_lab.reporting.figures import (
    time_accuracy as pareto,
)
from transfer_lab.reporting.figures import (
    training_curves as lines,
)
from transfer_lab.reporting.figures.pens import pens
from transfer_lab.reporting.figures.plotly import chart, in_script
from transfer_lab.reporting.sections.order import sections
from transfer_lab.reporting.study import Place, StoredResults, Study
from transfer_lab.stats.intervals import Interval

from .invented import CORNERS, Grid, experiment

BACKBONES = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}


@pytest.fixture(scope="module")
def study() -> Study:
    grid = Grid(experiment(backbones=BACKBONES, seeds=3))
    grid.finish(lambda cell: cell.regime != "lp_ft" or cell.seed < 2)
    return Study.of(grid.experiment, StoredResults(grid.frame, grid.curves))


def done(study: Study, place: Place):
    rows = study.done
    for column, value in zip(Place._fields, place, strict=True):
        rows = rows[rows[column] == value]
    return rows


def places(figure, study: Study):
    """Every trace that stands for a place, with that place."""
    for panel, scenario in zip(chart(figure).panels, study.scenarios, strict=True):
        for trace in panel.traces:
            if "meta" in trace:
                yield Place(scenario, trace["meta"]["backbone"], trace["meta"]["regime"]), trace


def test_every_dot_and_interval_follows_from_the_records(study):
    means = [(p, t) for p, t in places(dots.figure(study), study) if "seed" not in t["meta"]]
    assert len(means) == 4 * 2 * 7
    for place, trace in means:
        scores = done(study, place)["test_accuracy"]
        assert trace["x"] == [pytest.approx(100 * scores.mean(), rel=1e-3)]
        assert f"({len(scores)} of 3)" in trace["text"][0] or "(n=3)" in trace["text"][0]
        t = {2: 12.706, 3: 4.303}[len(scores)]
        seeds = t * statistics.stdev(scores) / math.sqrt(len(scores))
        mean = scores.mean()
        half = 100 * math.hypot(seeds, 1.961 * math.sqrt(mean * (1 - mean) / 2220))
        assert trace["error_x"]["array"] == [pytest.approx(half, rel=2e-3, abs=1e-6)]


def test_every_seed_is_a_point_that_can_be_filtered(study):
    seeds = [(p, t) for p, t in places(dots.figure(study), study) if "seed" in t["meta"]]
    for place, trace in seeds:
        rows = done(study, place)
        known = dict(zip(rows["seed"].astype(int).astype(str), rows["test_accuracy"], strict=True))
        assert trace["meta"]["seed"] == list(known)
        assert trace["x"] == [pytest.approx(100 * v, rel=1e-3) for v in known.values()]
        assert len(trace["x"]) == len(trace["y"]) == len(trace["text"])


def test_rows_are_what_was_measured_and_the_rules_is_shaded():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2))
    grid.finish(lambda cell: cell.regime != "lp_ft")
    study = Study.of(grid.experiment, StoredResults(grid.frame))
    (panel,) = chart(dots.figure(study)).panels
    assert "lp_ft" not in panel.rows
    assert panel.rows[-2:] == ("majority", "random_features")
    assert panel.shaded == ("linear_probe",)


def test_learning_curves_are_means_over_seeds(study):
    means = lines.mean_curves(study, "val_accuracy")
    figure = lines.figure(study, "cnn", "val_accuracy", means)
    for place, trace in places(figure, study):
        curves = [study.curves[run_id] for run_id in done(study, place)["run_id"]]
        for epoch, value, n in zip(trace["x"], trace["y"], trace["customdata"], strict=True):
            at = [c.loc[c["epoch"] == epoch, "val_accuracy"].item() for c in curves]
            assert (value, n) == (pytest.approx(100 * statistics.mean(at), rel=1e-3), len(at))


def test_the_front_is_what_no_other_arm_beats_in_both(study):
    found = pareto.arms(study)
    assert found
    assert not any(study.is_control(place.regime) for place in found)
    for scenario in study.scenarios:
        here = {place: arm for place, arm in found.items() if place.scenario == scenario}
        front = set(pareto.front(found, scenario))
        for place, arm in here.items():
            beaten = any(
                other.seconds.mean <= arm.seconds.mean
                and other.accuracy.mean >= arm.accuracy.mean
                and name != place
                for name, other in here.items()
            )
            assert (place in front) == (not beaten)


def test_time_is_that_of_the_whole_target_task(study):
    for place, trace in places(pareto.figure(study, pareto.arms(study)), study):
        rows = done(study, place)
        parts = ("decode_seconds", "feature_seconds", "fit_seconds", "eval_seconds")
        assert trace["x"] == [pytest.approx(sum(rows[p].mean() for p in parts), rel=1e-3)]
        assert trace["y"] == [pytest.approx(100 * rows["test_accuracy"].mean(), rel=1e-3)]


@given(st.floats(1e-3, 1e5), st.floats(1, 1e6))
def test_the_axis_of_seconds_shows_at_least_two_numbers(study, fastest, ratio):
    accuracy = Interval(0.5, None, 1)
    found = {
        Place("elsewhere", "cnn", regime): pareto.Arm(accuracy, Interval(spent, None, 1))
        for regime, spent in (("linear_probe", fastest), ("lp_ft", fastest * ratio))
    }
    axis = chart(pareto.figure(study, found)).panels[0].layout["xaxis"]
    low, high = axis["range"]
    assert 2 <= len(axis["tickvals"]) <= 12
    assert all(low <= math.log10(tick) <= high for tick in axis["tickvals"])


def test_no_time_no_figure():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=1)).finish(decode_seconds=None)
    assert pareto.picture(Study.of(grid.experiment, StoredResults(grid.frame))) is None


def test_regimes_differ_in_more_than_their_colour():
    names = {f"tune_{n}": {"kind": "full_finetune", "options": {"lr": n}} for n in range(12)}
    made = experiment(corners=CORNERS[:1])
    made = type(made)(**made.model_dump() | {"regimes": names})
    look = pens(Study.of(made, StoredResults(Grid(made).frame)))
    assert len(set(look.values())) == 12
    assert all(one.dash != other.dash for one, other in pairwise(look.values()))


def test_every_picture_has_a_twin(study):
    found = pictures(sections(study))
    assert {p.name.partition("-")[0] for p in found} == {"accuracy.png", "time", "train", "val"}
    assert all(in_script(chart(picture.figure)) for picture in found)
