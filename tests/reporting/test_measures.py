"""What leads in the report: each measure, from records and predictions whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.accuracies import Place
from transfer_lab.reporting.decision import decide
from transfer_lab.reporting.figures.accuracy import figure
from transfer_lab.reporting.measures import ACCURACY, MEASURES
from transfer_lab.reporting.wording import bounded, gap, points
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.intervals import Interval

from .invented import CORNERS, Grid, experiment
from .reading import markdown_tables
from .test_numbers import halfwidth

REGIMES = ("from_scratch", "linear_probe", "lp_ft", "majority")
PER_CLASS = (40, 20, 10, 10)
"""Test images of each class."""
RIGHT = {
    "from_scratch": (0.95, 0.9, 0.1, 0.1),
    "linear_probe": (0.7, 0.7, 0.7, 0.7),
    "lp_ft": (0.5, 0.5, 0.5, 0.5),
    "majority": (1, 0, 0, 0),
}
"""Recalls: the first regime has the higher accuracy, the second the higher balanced accuracy."""


def grid(folder: Path, measure: str, *, probabilities: bool = True, seeds: int = 4) -> Grid:
    made = Grid(experiment(corners=CORNERS[:1], regimes=REGIMES, seeds=seeds, measure=measure))
    made.finish().store = folder
    labels = np.repeat(np.arange(4), PER_CLASS)
    for cell in made.cells:
        chance = np.random.default_rng([cell.seed, REGIMES.index(cell.regime)])
        right = chance.random(len(labels)) < np.array(RIGHT[cell.regime])[labels]
        predicted = np.where(right, labels, (labels + 1) % 4)
        given = np.log(np.where(right, 0.8, 0.1) * chance.uniform(0.8, 1, len(labels)))
        arrays = {"label": labels.astype(np.uint16), "predicted": predicted.astype(np.uint16)}
        if probabilities:
            arrays["label_log_probability"] = given.astype(np.float16)
        made.locate(cell.run.id).parent.mkdir(parents=True)
        np.savez_compressed(made.locate(cell.run.id), **arrays)
        recalls = [float(right[labels == label].mean()) for label in range(4)]
        scores = {
            "test_accuracy": float(right.mean()),
            "test_balanced_accuracy": float(np.mean(recalls)),
            "test_macro_f1": f1(labels, predicted),
            "test_log_loss": float(-given.mean()),
        }
        known = made.records[cell.run.id]
        changes = {**scores, "n_test": len(labels), "num_classes": 4}
        made.records[cell.run.id] = known.model_copy(update=changes)
    return made


def f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    hits = [((labels == c) & (predicted == c)).sum() for c in range(4)]
    both = [(labels == c).sum() + (predicted == c).sum() for c in range(4)]
    return float(np.mean([2 * h / b for h, b in zip(hits, both, strict=True)]))


def records(made: Grid, regime: str, column: str) -> np.ndarray:
    return np.array(
        [getattr(made.records[c.run.id], column) for c in made.cells if c.regime == regime]
    )


@pytest.mark.parametrize(
    ("measure", "leader"),
    [
        ("accuracy", "from_scratch"),
        ("balanced_accuracy", "linear_probe"),
        ("macro_f1", "linear_probe"),
        ("log_loss", "from_scratch"),
    ],
)
def test_the_measure_chooses_what_leads(tmp_path, measure, leader):
    study = grid(tmp_path, measure).study()
    found = decide(study, "small_similar")
    assert found.leader.place.regime == leader
    assert found.bound < 0.2 * (3 if measure == "log_loss" else 1)
    column = MEASURES[measure].column
    shown = MEASURES[measure].shown(found.leader.accuracy.mean) / MEASURES[measure].scale
    assert shown == pytest.approx(records(grid(tmp_path / "again", measure), leader, column).mean())


def test_a_lead_in_log_loss_is_above_nought_where_the_loss_is_lower(tmp_path):
    made = grid(tmp_path, "log_loss")
    better, worse = (Place("small_similar", "cnn", r) for r in ("from_scratch", "lp_ft"))
    lead = made.study().measured.lead(better, over=worse)
    losses = [records(made, place.regime, "test_log_loss") for place in (better, worse)]
    assert lead.mean == pytest.approx((losses[1] - losses[0]).mean())
    assert lead.mean > 0


@pytest.mark.parametrize("measure", ["balanced_accuracy", "log_loss"])
def test_paired_errors_are_those_of_the_values_by_image(tmp_path, measure):
    made = grid(tmp_path, measure)
    one, other = (Place("small_similar", "cnn", r) for r in ("linear_probe", "lp_ft"))
    values = []
    for place in (one, other):
        files = [np.load(made.locate(c.run.id)) for c in made.cells if c.regime == place.regime]
        labels = files[0]["label"]
        if measure == "log_loss":
            values.append(np.array([f["label_log_probability"] for f in files], float))
        else:
            weights = (20 / np.array(PER_CLASS))[labels]
            values.append(np.array([(f["predicted"] == labels) * weights for f in files]))
    exact = halfwidth(values[0] - values[1], labels)
    assert made.study().measured.lead(one, other).half() == pytest.approx(exact, rel=1e-6)


def test_records_without_probabilities_have_the_error_of_the_seeds_alone(tmp_path):
    made = grid(tmp_path, "log_loss", probabilities=False)
    study = made.study()
    losses = records(made, "lp_ft", "test_log_loss")
    found = study.accuracy("small_similar", "cnn", "lp_ft")
    assert found.half == pytest.approx(stats.sem(losses) * stats.t.isf(0.025, 3))
    text = made.markdown()
    assert "16 without the probabilities of the record" in text
    assert "hold the error of the seeds alone" in text


@pytest.mark.parametrize("measure", MEASURES)
def test_the_report_speaks_of_the_measure_in_its_unit(tmp_path, measure):
    made = grid(tmp_path, measure)
    known = MEASURES[measure]
    text = made.markdown()
    tables = markdown_tables(text)
    caption = next(name for name in tables if name.startswith(f"Test {known.title} ({known.unit})"))
    rows = {row[0].split()[0]: row for row in tables[caption][1:]}
    mean = known.scale * records(made, "lp_ft", known.column).mean()
    assert f"{mean:.{known.decimals}f} ±" in " ".join(rows["lp_ft"])
    assert f"{known.title} ({known.unit})" in figure(made.study()).x.title
    assert ("nats" in text) == (measure == "log_loss")
    section = known.title[0].upper() + known.title[1:]
    assert f"## {section}\n" in text


@pytest.mark.parametrize("measure", MEASURES)
def test_a_page_of_every_measure_is_written(tmp_path, measure):
    made = grid(tmp_path / "store", measure)
    page = made.write(tmp_path / "out").read_text()
    assert MEASURES[measure].title in page


def test_claims_and_failed_trainings_are_about_accuracy_whatever_leads(tmp_path):
    study = grid(tmp_path, "log_loss").study()
    place = Place("small_similar", "cnn", "lp_ft")
    assert study.accuracies.measure is ACCURACY
    assert 0.3 < study.accuracies.estimate(place).mean < 0.7
    assert study.by_accuracy.accuracy(*place).mean == study.accuracies.estimate(place).mean


def test_no_run_is_another_one_for_it():
    asked = [experiment(corners=CORNERS[:1], measure=measure) for measure in MEASURES]
    ids = {tuple(cell.run.id for cell in plan(one)) for one in asked}
    assert len(ids) == 1


def test_how_numbers_read():
    loss = MEASURES["log_loss"]
    assert loss.text(Interval(-1.2345, 0.05, 3)) == "1.234 ± 0.050 nats"
    assert gap(Estimate(0.25, 0.0, 0.0, 3, 10), loss) == "0.250 ± 0.000 nats"
    assert (bounded(0.0312), bounded(0.0312, loss)) == ("3.2", "0.032")
    assert (points(1), points(0.5), points(1, loss)) == ("1 point", "0.5 points", "0.01 nats")
    assert ACCURACY.text(Interval(0.3412, 0.0123, 3)) == "34.1 ± 1.2 %"
