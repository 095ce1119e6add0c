"""A search gives every regime the same chances, chooses by validation, and never sees the test."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import tiny_run
from tests.toys import Blocks, Leaky
from transfer_lab.experiment.budget import Augment
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.grid.worker import execute
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.store.trials import Trial, choose
from transfer_lab.training import building
from transfer_lab.training import run as training
from transfer_lab.training.curve import NonFiniteLossError
from transfer_lab.training.fit import FitResult, epochs_for
from transfer_lab.training.frozen_features import FrozenFeatures
from transfer_lab.training.run import Setting, train
from transfer_lab.training.search import search

SLOW, GOOD, MAD = {"lr": 1e-9}, {"lr": 0.02}, {"lr": 1e30}


def trial(accuracy: float | None, loss: float | None = 1.0) -> Trial:
    return Trial({}, accuracy, loss, 1, 1, 0.5, "diverged" if accuracy is None else "done")


def tuned(*trials: dict, **changes: object) -> Run:
    run = tiny_run("from_scratch")
    content = {name: getattr(run, name) for name in Run.model_fields}
    fit = Fit(epochs=6, batch_size=8, val_fraction=0.25)
    return Run(**content | {"tune": trials, "fit": fit} | changes)


@pytest.fixture
def on_blocks(monkeypatch):
    """Runs see the toy domain; gives the domains that were built."""
    built = []

    def build(run, cache):
        domain = build.cls()
        built.append(domain)
        building.draw(domain, run)
        return domain

    build.cls = Blocks
    monkeypatch.setattr(training, "build_domain", build)
    monkeypatch.setattr(building, "build_backbone", lambda choice, size: Leaky())
    built_with = build
    return built, built_with


def rows(store: RecordStore, run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(store.file(run.id, "trials.csv").read_text().splitlines()))


@pytest.mark.parametrize(
    ("trials", "place"),
    [
        ([trial(0.5), trial(0.7), trial(0.6)], 1),
        ([trial(0.5, 2.0), trial(0.5, 1.0)], 1),
        ([trial(0.5, 1.0), trial(0.5, 1.0)], 0),
        ([trial(None, None), trial(0.0, 9.0)], 1),
        ([trial(None, None), trial(None, None)], None),
    ],
    ids=["accuracy", "loss among equals", "the first of twins", "not the diverged", "none"],
)
def test_validation_chooses(trials, place):
    assert choose(trials) == place


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8),
    st.randoms(),
)
def test_the_choice_is_the_best_whatever_the_order(scores, random):
    made = [trial(a / 4, float(loss)) for a, loss in scores]
    best = made[choose(made)]
    random.shuffle(made)
    assert made[choose(made)][1:3] == best[1:3]
    assert best.val_accuracy == max(t.val_accuracy for t in made)


def test_each_trial_is_an_untuned_run_of_the_same_seed_and_budget():
    seen = []

    def fit(run: Run, result: FitResult) -> None:
        seen.append(run)
        result.curve.rows.append(
            {"epoch": 1, "steps": 1, "val_loss": 1.0, "val_accuracy": run.regime.options["lr"]}
        )

    run = tuned(SLOW, GOOD, regime=Choice(kind="from_scratch", options={"weight_decay": 0.1}))
    assert search(run, fit).chosen.options == GOOD
    assert [r.regime.options for r in seen] == [{"weight_decay": 0.1} | t for t in (SLOW, GOOD)]
    for made in seen:
        assert (made.seed, made.fit, made.tune, made.init) == (run.seed, run.fit, None, run.init)
    assert len({made.id for made in (*seen, run)}) == 3


def test_one_fit_on_all_labelled_images_follows_the_choice(on_blocks, tmp_path, monkeypatch):
    fits = []
    fit = training.fit_and_test

    def watched(regime, domain, budget, **more):
        fits.append((regime.lr, len(domain.split.train), len(domain.split.val)))
        return fit(regime, domain, budget, **more)

    monkeypatch.setattr(training, "fit_and_test", watched)
    store, run = RecordStore(tmp_path), tuned(SLOW, GOOD)
    record = train(run, store, Setting())
    assert fits == [(GOOD["lr"], 32, 0)]
    assert (record.n_train, record.n_val) == (24, 8)
    assert json.loads(record.chosen_options) == GOOD
    assert record.trials == 2
    assert record.epochs == epochs_for(run.fit, 32)
    first, second = rows(store, run)
    assert [row["chosen"] for row in (first, second)] == ["False", "True"]
    assert json.loads(second["options"]) == GOOD
    assert float(second["val_accuracy"]) == record.val_accuracy > float(first["val_accuracy"])
    seconds = [float(row["seconds"]) for row in (first, second)]
    assert min(seconds) > 0
    assert {row["feature_seconds"] for row in (first, second)} == {"0"}  # nothing is frozen
    assert record.tune_seconds == pytest.approx(sum(seconds))


def test_frozen_outputs_that_only_trials_need_are_charged_to_the_search_once():
    costs = {1: 3.0, 2: 5.0, 3: 8.0}
    tried = [(1, 0.2), (2, 0.4), (1, 0.3), (2, 0.9), (3, None)]

    def fit(run: Run, result: FitResult) -> None:
        k, accuracy = run.regime.options["k"], run.regime.options["reached"]
        result.features |= {(f"prefix {k}", s): costs[k] / 2 for s in ("train", "val")}
        if accuracy is None:
            raise NonFiniteLossError("the training loss is nan in epoch 1")
        row = {"epoch": 1, "steps": 1, "val_loss": 1.0, "val_accuracy": accuracy}
        result.curve.rows.append(row)

    found = search(tuned(*({"k": k, "reached": accuracy} for k, accuracy in tried)), fit)
    assert found.place == 3
    assert [trial.feature_seconds for trial in found.trials] == [3.0, 0, 0, 0, 8.0]
    assert found.seconds == pytest.approx(11.0 + sum(trial.seconds for trial in found.trials))


def test_a_search_for_the_frozen_depth_records_what_each_depth_costs(on_blocks, tmp_path):
    """Whether the outputs are in the store already makes no difference: the charge is cold."""
    store = RecordStore(tmp_path)
    trials = [{"k": k, "lr": lr} for k in (1, 2) for lr in (0.02, 1e-9)]
    run = tuned(*trials, regime=Choice(kind="partial_finetune"))
    first, second = (train(run, store, Setting()) for _ in range(2))
    found = rows(store, run)
    charged = [float(row["feature_seconds"]) for row in found]
    chosen = json.loads(first.chosen_options)["k"]
    depths = [json.loads(row["options"])["k"] for row in found]
    others = [n for n, k in enumerate(depths) if k != chosen]
    assert [n for n, seconds in enumerate(charged) if seconds > 0] == others[:1]
    own = sum(float(row["seconds"]) for row in found)
    assert second.tune_seconds == pytest.approx(own + sum(charged))
    assert first.feature_seconds == second.feature_seconds > 0


@pytest.mark.parametrize(
    ("kind", "trials"),
    [
        ("random_features", [SLOW, GOOD]),  # in one pass
        ("partial_finetune", [{"k": 1, "lr": 0.02}, {"k": 1, "lr": 1e-9}]),
        ("partial_finetune", [{"k": 1}, {"k": 2}, {"k": 2, "lr": 1e-9}]),
    ],
)
@pytest.mark.parametrize("augment", [None, Augment(flip=True)])
def test_what_the_final_fit_computes_itself_it_pays_and_the_search_all_else(
    on_blocks, tmp_path, monkeypatch, kind, trials, augment
):
    """With augmentation frozen outputs of validation images, which the final fit has none of."""
    needed, asked = [], FrozenFeatures._computed

    def computed(data, section):
        found = asked(data, section)
        needed.append((data._key, section, data.costs[data._key, section]))
        return found

    monkeypatch.setattr(FrozenFeatures, "_computed", computed)
    fit = Fit(epochs=6, batch_size=8, val_fraction=0.25, augment=augment)
    run = tuned(*trials, regime=Choice(kind=kind), fit=fit)
    store = RecordStore(tmp_path)
    record = train(run, store, Setting())
    # The final fit is the last: validation images (of which there are none) and the test set.
    count = 3 if augment is None else 2
    searched, final = needed[:-count], needed[-count:]
    assert [section for _, section, _ in final][-2:] == ["val", "test"]
    assert final[-2][2] == 0
    paid = {key for key, section, _ in final if section == "train"}
    costs = {(key, section): cost for key, section, cost in searched if key not in paid}
    found = [float(row["feature_seconds"]) for row in rows(store, run)]
    assert sum(found) == pytest.approx(sum(costs.values()))
    assert (sum(found) > 0) == (augment is not None or len({key for key, *_ in searched}) > 1)
    assert record.feature_seconds == pytest.approx(sum(cost for *_, cost in final))


def test_the_result_is_that_of_the_chosen_options_on_train_and_validation(on_blocks, tmp_path):
    """What else was tried, and in which order, leaves no trace in the model."""
    store = RecordStore(tmp_path)
    by_search = [train(tuned(*t), store, Setting()) for t in ((SLOW, GOOD), (GOOD, SLOW, MAD))]
    by_hand = train(tuned(SLOW, GOOD).refit(GOOD), store, Setting())
    assert {r.test_log_loss for r in by_search} == {by_hand.test_log_loss}
    assert by_hand.trials is by_hand.tune_seconds is by_hand.chosen_options is None


def test_the_test_images_are_not_touched_before_the_choice(on_blocks, tmp_path, monkeypatch):
    order = []

    class Watched(Blocks):
        def image_blocks(self, part):
            order.append(part)
            return super().image_blocks(part)

        def loader(self, section, *args, **more):
            order.append(f"{section} loader")
            return super().loader(section, *args, **more)

    on_blocks[1].cls = Watched
    searched = training.searches
    monkeypatch.setattr(
        training, "searches", lambda *a, **k: (searched(*a, **k), order.append("chosen"))[0]
    )
    train(tuned(SLOW, GOOD, MAD), RecordStore(tmp_path), Setting())
    assert "test" not in order[: order.index("chosen")]
    assert "test loader" not in order[: order.index("chosen")]
    assert order.count("test loader") == 1
    assert order.index("test") > order.index("chosen")


def test_other_test_images_and_labels_lead_to_the_same_choice(on_blocks, tmp_path):
    class Permuted(Blocks):
        def labels(self, part):
            labels = super().labels(part)
            return labels if part == "train" else np.roll(labels, 17)

    class Blank(Permuted):
        def image_blocks(self, part):
            for images in super().image_blocks(part):
                yield images if part == "train" else np.zeros_like(images)

    run = tuned({"lr": 0.001}, GOOD, {"lr": 0.1})
    found = []
    for cls in (Blocks, Permuted, Blank):
        on_blocks[1].cls = cls
        store = RecordStore(tmp_path / cls.__name__)
        record = train(run, store, Setting())
        kept = [(r["val_accuracy"], r["val_loss"], r["chosen"]) for r in rows(store, run)]
        found.append((record.chosen_options, kept, record.test_accuracy))
    assert found[0][:2] == found[1][:2] == found[2][:2]
    assert len({accuracy for *_, accuracy in found}) > 1


def test_a_trial_that_diverges_loses_and_ends_no_other(on_blocks, tmp_path):
    store, run = RecordStore(tmp_path), tuned(MAD, GOOD)
    record = train(run, store, Setting())
    assert json.loads(record.chosen_options) == GOOD
    first, second = rows(store, run)
    assert (first["status"], first["val_accuracy"]) == ("diverged", "")
    assert second["status"] == "done"


def test_a_run_fails_where_all_trials_diverge_and_keeps_them(on_blocks, tmp_path):
    run = tuned(MAD, {"lr": 1e29})
    record = execute(run, tmp_path, Setting(), False)
    assert (record.status, record.error_kind) == ("failed", "diverged")
    assert "all 2 trials diverged" in record.error
    assert [row["status"] for row in rows(RecordStore(tmp_path), run)] == ["diverged"] * 2


def test_any_other_error_in_a_trial_is_the_runs(tmp_path):
    def broken(run: Run, result: FitResult) -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError):
        search(tuned(SLOW, GOOD), broken)


def test_a_validation_loss_that_is_not_finite_is_a_divergence():
    def fit(run: Run, result: FitResult) -> None:
        loss = math.inf if run.regime.options == SLOW else 1.0
        result.curve.rows.append(
            {"epoch": 1, "steps": 1, "val_loss": loss, "val_accuracy": 1 / (1 + loss)}
        )

    found = search(tuned(SLOW, GOOD), fit)
    assert [t.status for t in found.trials] == ["diverged", "done"]
    assert found.place == 1


def test_a_diverged_fit_says_how_far_it_came(monkeypatch):
    def fit(run: Run, result: FitResult) -> None:
        result.curve.rows.append({"epoch": 3, "steps": 9})
        raise NonFiniteLossError

    assert search(tuned(SLOW, GOOD), fit).trials[0][3:5] == (3, 9)


def test_the_weights_of_each_trial_start_alike(on_blocks, tmp_path, monkeypatch):
    starts = []
    begin = FromScratch.begin

    def watched(regime, phase, **more):
        starts.append(torch.cat([p.detach().flatten().clone() for p in regime.parameters()]))
        begin(regime, phase, **more)

    monkeypatch.setattr(FromScratch, "begin", watched)
    train(tuned(SLOW, GOOD), RecordStore(tmp_path), Setting())
    assert len(starts) == 3
    assert all(torch.equal(start, starts[0]) for start in starts)


def test_a_record_from_before_there_were_trials_still_loads():
    old = Record(run_id="0" * 16, status="done").model_dump()
    for name in ("trials", "tune_seconds", "chosen_options"):
        del old[name]
    assert Record(**old).trials is None


def test_every_run_of_a_tuned_experiment_is_tuned_but_sources_and_what_learns_nothing():
    from tests.builders import experiment

    cells = plan(experiment(tune=[SLOW, GOOD]))
    for run in runs_of(cells).values():
        source = run.domain.kind != "cyrillic"
        assert (run.tune is None) == (source or run.regime.kind == "majority")
    lp = next(c.run for c in cells if c.regime == "linear_probe")
    assert lp.regime.options == {}


def test_trials_of_other_stages_are_not_trained_on_one_of_them(on_blocks, tmp_path):
    """In one pass only what differs in the rate alone; else each trial as if it were alone."""
    trials = [{"stage": stage} for stage in (1, 2)]  # of equal width
    run = tuned(*trials, regime=Choice(kind="random_features", options={"lr": 0.01}))
    store = RecordStore(tmp_path)
    train(run, store, Setting())
    found = [float(row["val_loss"]) for row in rows(store, run)]
    for options, loss in zip(trials, found, strict=True):
        alone = train(run.trial(options), store, Setting())
        curve = list(
            csv.DictReader(store.file(alone.run_id, "metrics.csv").read_text().splitlines())
        )
        assert float(curve[-1]["val_loss"]) == loss
    assert found[0] != found[1]


def test_a_head_that_diverges_at_once_loses_and_ends_no_other(on_blocks, tmp_path):
    regime = Choice(kind="random_features", options={"recipe": "keras_sgd"})
    run, store = tuned({"lr": 1e38}, {"lr": 0.01}, regime=regime), RecordStore(tmp_path)
    record = train(run, store, Setting())
    assert [row["status"] for row in rows(store, run)] == ["diverged", "done"]
    assert json.loads(record.chosen_options) == {"lr": 0.01}
