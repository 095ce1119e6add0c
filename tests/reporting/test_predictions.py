"""Predictions are read where they are needed, and what is wrong with them is never an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer_lab.reporting.accuracies import Place
from transfer_lab.reporting.predictions import Predictions

from .invented import CORNERS, Grid, experiment

PLACES = (Place("small_similar", "cnn", "lp_ft"), Place("small_similar", "cnn", "from_scratch"))


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    asked = experiment(corners=CORNERS[:1], regimes=["lp_ft", "from_scratch"], seeds=3)
    return Grid(asked).finish().predict(tmp_path / "runs")


def damage(grid: Grid, how: str) -> None:
    path = grid.locate(grid.cells[0].run.id)
    arrays = dict(np.load(path))
    match how:
        case "missing":
            path.unlink()
        case "cut off":
            path.write_bytes(path.read_bytes()[:200])
        case "empty":
            path.write_bytes(b"")
        case "flipped":
            content = bytearray(path.read_bytes())
            content[60:120] = bytes(60)
            path.write_bytes(bytes(content))
        case "pickled":
            np.savez(path, label=np.array([{}], dtype=object), predicted=arrays["predicted"])
        case "a column lacking":
            np.savez(path, label=arrays["label"])
        case "of other lengths":
            np.savez(path, label=arrays["label"], predicted=arrays["predicted"][:-1])
        case "of another run":
            np.savez(path, label=arrays["label"], predicted=arrays["predicted"][::-1])
        case "of no image":
            np.savez(path, label=arrays["label"][:0], predicted=arrays["predicted"][:0])


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "missing"),
        ("cut off", "damaged"),
        ("empty", "damaged"),
        ("flipped", "damaged"),
        ("pickled", "damaged"),
        ("a column lacking", "damaged"),
        ("of other lengths", "damaged"),
        ("of no image", "damaged"),
        ("of another run", "not those of the record"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_the_accuracies_are_used(grid, how, reason):
    whole = grid.study().measured.lead(*PLACES)
    damage(grid, how)
    study = grid.study()
    found = study.measured.lead(*PLACES)
    assert study.predictions.problems == {reason: 1}
    assert found.mean == pytest.approx(whole.mean)
    assert found.over_seeds == pytest.approx(whole.over_seeds)
    assert found.over_images > whole.over_images
    text = grid.markdown()
    assert f"1 runs: {reason}" in text
    assert f"here: 1 {reason}" in text


def test_a_place_whose_predictions_are_damaged_has_no_recalls(grid):
    for cell in grid.cells:
        grid.locate(cell.run.id).write_bytes(b"no archive")
    assert "cyrillic: – (predictions damaged)." in grid.markdown()


def test_seeds_tested_on_other_images_are_not_compared_image_by_image(grid):
    path = grid.locate(grid.cells[0].run.id)
    arrays = dict(np.load(path))
    np.savez(path, **{k: v[::-1] for k, v in arrays.items()})
    study = grid.study()
    bound = study.measured.lead(*PLACES)
    assert not study.predictions.problems
    accuracy = [study.measured.estimate(place).mean for place in PLACES]
    assert bound.over_images == pytest.approx(sum(p * (1 - p) / 370 for p in accuracy))


def test_nothing_is_read_before_it_is_asked_for_and_nothing_twice(grid):
    asked = []

    def locate(run_id: str) -> Path:
        asked.append(run_id)
        return grid.locate(run_id)

    found = Predictions(locate)
    assert asked == []
    record = grid.records[grid.cells[0].run.id]
    first = found.of(record.run_id, record.test_accuracy)
    assert found.of(record.run_id, record.test_accuracy) is first
    assert len(asked) == 1


def test_equal_labels_are_kept_once(grid):
    found = Predictions(grid.locate)
    labels = [found.of(r.run_id, r.test_accuracy).labels for r in grid.records.values()]
    assert all(one is labels[0] for one in labels)


def test_a_report_without_predictions_says_so():
    text = Grid(experiment(seeds=2)).finish().markdown()
    assert "not handed to the report" in text
