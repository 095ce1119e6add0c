"""bf16 against fp32: on a slice of the default grid (the MLP), and how a whole grid is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.grid import GRID
from benchmarks.precision import NUMBERS, Answers, answers, judged, margin_shown
from tests.builders import experiment
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell
from transfer_lab.stats.estimates import Estimate
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.training.fit import quiet
from transfer_lab.training.run import Setting, train

SLICE = ("from_scratch", "random_features")
"""Of regimes that need no source run, one that fits everything and one that fits a head."""
LABELS = np.arange(400) % 4


def sliced() -> list[Cell]:
    """The MLP with 5 images per class: 2 regimes, 3 seeds, 2,000 test images."""
    cells = plan(load_experiment(GRID).experiment)
    return [
        cell
        for cell in cells
        if cell.scenario == "small_similar" and cell.backbone == "mlp" and cell.regime in SLICE
    ]


@pytest.mark.slow
def test_on_a_slice_of_the_default_grid_bf16_and_fp32_differ_by_less_than_the_margins(tmp_path):
    """Two one-sided tests over seeds and test images, at margins that the slice's six runs a side
    can decide; `make bench ARGS=precision` takes the whole grid, and a margin of a point."""
    quiet()
    torch.set_num_threads(1)  # small batches: a second thread costs more than it gives
    stores = {numbers: RecordStore(tmp_path / numbers) for numbers in NUMBERS}
    for numbers, store in stores.items():
        store.root.mkdir()
        (store.root / IMAGES).symlink_to(tmp_path)
        for cell in sliced():
            assert train(cell.run, store, Setting(precision=numbers)).precision == numbers
    found = {regime: one for (*_, regime), one in answers(sliced(), stores).items()}
    assert {one.right.shape for one in found.values()} == {(2, 3, 2000)}
    assert not np.array_equal(*found["from_scratch"].right)
    assert margin_shown(found["random_features"].difference) < 0.01
    assert margin_shown(Answers.together([*found.values()]).difference) < 0.025


def made(shift: float, *, seeds: int = 3, chance: int = 0) -> Answers:
    """Answers of two networks of which the second is right more often by so much."""
    draws = np.random.default_rng(chance).random((seeds, len(LABELS)))
    return Answers(np.stack([draws < 0.5, draws < 0.5 + shift]), LABELS)


def test_a_shift_is_found_and_equal_answers_are_found_equal():
    places = {(name,): made(shift) for name, shift in (("a", 0.0), ("b", 0.1), ("c", -0.1))}
    verdicts = judged({place: one.difference for place, one in places.items()})
    assert [verdicts[name,].told for name in "abc"] == ["equal", "different", "different"]
    assert places["b",].difference.mean > 0.05 > -0.05 > places["c",].difference.mean
    assert margin_shown(places["b",].difference) > 0.1 > margin_shown(places["a",].difference) == 0


def test_one_seed_shows_nothing():
    one = {("a",): made(0.0, seeds=1).difference}
    assert judged(one)["a",].told == "undecided"
    assert margin_shown(one["a",]) == float("inf")


def test_the_margin_that_is_shown_is_the_smallest_that_two_one_sided_tests_accept():
    for mean, spread in ((0.003, 1e-6), (-0.01, 4e-6), (0.0, 1e-5)):
        found = Estimate(mean, spread, spread, 3, 2000)
        margin = margin_shown(found)
        assert found.equal_within(margin * 1.001)
        assert not found.equal_within(margin * 0.999)


def test_the_more_places_are_judged_the_harder_each_is_to_decide():
    few = {(str(n),): made(0.02, chance=n).difference for n in range(2)}
    many = few | {(str(n),): made(0.02, chance=n).difference for n in range(2, 40)}
    for place, verdict in judged(few).items():
        assert verdict.differ <= judged(many)[place].differ
        assert verdict.equal <= judged(many)[place].equal


def test_several_places_together_differ_by_the_mean_of_their_differences():
    parts = [made(0.04), made(0.02, chance=1)]
    together = Answers.together(parts)
    means = [part.difference.mean for part in parts]
    assert together.difference.mean == pytest.approx(np.mean(means))
    assert together.accuracies == pytest.approx(np.mean([p.accuracies for p in parts], axis=0))


@pytest.fixture
def stores(tmp_path):
    found = {numbers: RecordStore(tmp_path / numbers) for numbers in NUMBERS}
    rng = np.random.default_rng(0)
    for store in found.values():
        for run in {cell.run.id: cell.run for cell in plan(experiment())}.values():
            predicted = rng.integers(0, 4, len(LABELS))
            accuracy = float((predicted == LABELS).mean())
            store.put(Record(run_id=run.id, status="done", test_accuracy=accuracy))
            path = store.file(run.id, "predictions.npz")
            np.savez_compressed(path, label=LABELS, predicted=predicted)
    return found


def test_every_learnt_run_of_a_grid_is_compared_with_itself_once(stores):
    cells = plan(experiment())
    found = answers(cells, stores)
    compared = sum(one.right.shape[1] for one in found.values())
    assert compared == len({c.run.id for c in cells if c.regime != "majority"})
    assert not any("majority" in place for place in found)
    (place, one), *_ = found.items()
    runs = [c.run for c in cells if (c.scenario, c.backbone, c.regime) == place]
    expected = [[stores[n].get(run.id).test_accuracy for run in runs] for n in NUMBERS]
    assert one.right.mean(axis=2) == pytest.approx(np.array(expected))


def test_absent_predictions_are_an_error_that_names_the_place(stores):
    cell = plan(experiment())[0]
    stores["bf16"].file(cell.run.id, "predictions.npz").unlink()
    with pytest.raises(ValueError, match=f"{cell.scenario}, .*, {cell.regime}: .*missing"):
        answers([cell], stores)
