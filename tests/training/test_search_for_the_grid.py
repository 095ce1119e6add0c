"""Searches at a seed of their own: no test image is in sight, and every run goes by them."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.builders import done, tiny_run
from tests.toys import Blocks
from tests.training.test_search import GOOD, MAD, SLOW, on_blocks, rows, tuned
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.scheduler import todo
from transfer_lab.grid.worker import execute, execute_all
from transfer_lab.store.layout import CURVE, PREDICTIONS, TRIALS, WEIGHTS
from transfer_lab.store.records import RecordStore
from transfer_lab.store.trials import Trial, TrialsError, choose_over, from_csv, to_csv
from transfer_lab.system.files import write_atomically
from transfer_lab.training import run as training
from transfer_lab.training.run import Setting, train

assert on_blocks  # the fixture


def searching(*trials: dict, **changes: object) -> Run:
    return tuned(*trials, purpose="search", **changes)


def going_by(*searches: Run, seed: int = 1, **changes: object) -> Run:
    """A run that takes its options from searches."""
    first = searches[0]
    content = {name: getattr(first, name) for name in Run.model_fields}
    fixed = {"tune": None, "purpose": "result", "searches": searches, "seed": seed}
    return Run(**content | fixed | changes)


def trial(accuracy: float | None, loss: float = 1.0) -> Trial:
    return Trial({}, accuracy, loss, 1, 1, 0.5, "diverged" if accuracy is None else "done")


class NoTest(Blocks):
    """Whatever is asked of the test set raises."""

    def image_blocks(self, part):
        assert part == "train"
        return super().image_blocks(part)

    def labels(self, part):
        assert part == "train"
        return super().labels(part)

    def loader(self, section, *args, **more):
        assert section != "test"
        return super().loader(section, *args, **more)


@pytest.mark.parametrize(
    ("kind", "trials"),
    [("from_scratch", (SLOW, GOOD, MAD)), ("random_features", (SLOW, GOOD))],
    ids=["one by one", "heads in one pass"],
)
def test_a_search_never_reads_the_test_set(on_blocks, tmp_path, kind, trials):
    on_blocks[1].cls = NoTest
    store, run = RecordStore(tmp_path), searching(*trials, regime=Choice(kind=kind))
    record = train(run, store, Setting())
    assert record.status == "done"
    assert record.n_test is record.test_accuracy is record.eval_seconds is None
    assert (record.n_train, record.n_val, record.trials) == (24, 8, len(trials))
    left = {path.name for path in store.folder(run.id).iterdir()}
    assert not left & {PREDICTIONS, WEIGHTS, CURVE}
    with pytest.raises(AssertionError):  # and the domain does raise
        train(run.refit(GOOD), store, Setting())


def test_a_search_makes_one_fit_a_trial_and_none_on_validation_images(
    on_blocks, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "fit_and_test", pytest.fail)
    store, run = RecordStore(tmp_path), searching(SLOW, GOOD)
    train(run, store, Setting())
    assert {len(domain.split.val) for domain in on_blocks[0]} == {8}
    assert store.trials(run)[1].val_accuracy > store.trials(run)[0].val_accuracy


def test_trials_of_a_search_are_those_of_the_same_tuned_run(on_blocks, tmp_path):
    store = RecordStore(tmp_path)
    alone, whole = searching(SLOW, GOOD), tuned(SLOW, GOOD)
    train(alone, store, Setting())
    train(whole, store, Setting())
    scores = [
        [(r["val_accuracy"], r["val_loss"]) for r in rows(store, r_)] for r_ in (alone, whole)
    ]
    assert scores[0] == scores[1]


def test_frozen_features_are_charged_to_a_search_since_no_fit_pays_them(on_blocks, tmp_path):
    store = RecordStore(tmp_path)
    for made in (searching, tuned):
        train(made(SLOW, GOOD, regime=Choice(kind="random_features")), store, Setting())
    charged = [
        sum(float(r["feature_seconds"]) for r in rows(store, made(SLOW, GOOD, regime=kind)))
        for made in (searching, tuned)
        for kind in (Choice(kind="random_features"),)
    ]
    assert charged[0] > 0 == charged[1]


@pytest.mark.parametrize(
    ("searches", "place"),
    [
        ([[trial(0.5), trial(0.6)], [trial(0.9), trial(0.7)]], 0),
        ([[trial(0.5), trial(0.6)], [trial(0.6), trial(0.5)]], 0),
        ([[trial(0.5, 2.0), trial(0.6, 1.0)], [trial(0.6, 2.0), trial(0.5, 2.0)]], 1),
        ([[trial(0.9), trial(0.1)], [trial(None), trial(0.1)]], 1),
        ([[trial(0.9), trial(None)], [trial(None), trial(0.1)]], None),
        ([[trial(0.2), trial(0.3)]], 1),
    ],
    ids=["mean", "the first of equals", "mean loss among equals", "diverged once", "all", "one"],
)
def test_the_mean_over_searches_chooses(searches, place):
    assert choose_over(searches) == place


def test_a_run_is_the_untuned_run_with_what_the_searches_chose(on_blocks, tmp_path):
    """Its validation images held back as ever, and nothing of the search in its seconds."""
    store = RecordStore(tmp_path)
    search = searching(SLOW, GOOD)
    train(search, store, Setting())
    run = going_by(search)
    record = train(run, store, Setting())
    by_hand = train(run.trial(GOOD), store, Setting())
    for name in ("test_accuracy", "test_log_loss", "val_accuracy", "n_train", "n_val", "epochs"):
        assert getattr(record, name) == getattr(by_hand, name)
    assert json.loads(record.chosen_options) == GOOD
    assert (record.trials, record.tune_seconds) == (2, None)
    assert run.id != run.trial(GOOD).id


def test_seeds_that_go_by_the_same_searches_are_fitted_in_one_pass(tmp_path):
    store = RecordStore(tmp_path)
    source = tiny_run(seed=5)
    train(source, store, Setting(), keep_weights=True)
    like = tiny_run("linear_probe", seed=0, init=source)
    content = {name: getattr(like, name) for name in Run.model_fields}
    search = Run(**content | {"purpose": "search", "tune": ({"lr": 0.001}, {"lr": 0.1})})
    train(search, store, Setting())
    runs = [going_by(search, seed=seed) for seed in (1, 2, 3)]
    records = execute_all(runs, tmp_path, Setting(), False)
    assert {record.together for record in records} == {3}
    alone = execute_all(runs[:1], tmp_path / "alone", Setting(), False)
    assert alone[0].status == "failed"  # without what it goes by
    chosen = json.loads(records[0].chosen_options)
    assert records[0].test_log_loss == train(runs[0].trial(chosen), store, Setting()).test_log_loss


def test_where_all_trials_diverge_the_search_fails(on_blocks, tmp_path):
    record = execute(searching(MAD, {"lr": 1e29}), tmp_path, Setting(), False)
    assert (record.status, record.error_kind) == ("failed", "diverged")
    assert "all 2 trials diverged" in record.error


def test_where_each_trial_diverges_somewhere_the_run_fails_and_says_so(on_blocks, tmp_path):
    store = RecordStore(tmp_path)
    first = searching(MAD, GOOD)
    train(first, store, Setting())
    second = searching(MAD, GOOD, seed=9)
    diverged, done_ = store.trials(first)
    flipped = (done_._replace(options=MAD), diverged._replace(options=GOOD))
    _left(store, second, flipped)
    record = execute(going_by(first, second), tmp_path, Setting(), False)
    assert (record.status, record.error_kind) == ("failed", "diverged")
    assert f"every trial diverged in one of the searches {first.id}, {second.id}" in record.error


def _left(store: RecordStore, run: Run, trials: tuple[Trial, ...]) -> None:
    """A search with these trials, as it is stored."""
    content = to_csv(trials, None)
    write_atomically(store.file(run.id, TRIALS), lambda handle: handle.write(content))
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(done(run, trials_sha256=sha256, test_accuracy=None))


@pytest.mark.parametrize("damage", ["missing", "another number", "no table"])
def test_trials_that_are_damaged_are_not_used_and_tried_anew(on_blocks, tmp_path, damage):
    store = RecordStore(tmp_path)
    search = searching(SLOW, GOOD)
    train(search, store, Setting())
    run, path = going_by(search), store.file(search.id, TRIALS)
    assert store.is_done(search, with_weights=False)
    before = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(before.replace(b"0.", b"1.", 1) if damage == "another number" else b"x")
    failed = execute(run, tmp_path, Setting(), False)
    assert (failed.status, failed.error_kind) == ("failed", "data")
    assert search.id in failed.error and "`run` tries them anew" in failed.error
    assert not store.is_done(search, with_weights=False)
    known = [trial[:3] for trial in from_csv(before)]
    train(search, store, Setting())
    assert [trial[:3] for trial in store.trials(search)] == known
    assert execute(run, tmp_path, Setting(), False).chosen_options == json.dumps(GOOD)


def test_trials_of_another_search_are_refused(on_blocks, tmp_path):
    store = RecordStore(tmp_path)
    search, other = searching(SLOW, GOOD), searching(SLOW, {"lr": 0.03})
    train(other, store, Setting())
    _left(store, search, store.trials(other))
    with pytest.raises(TrialsError, match="the trials of another one"):
        store.trials(search)


def test_after_an_interruption_the_same_choice_is_made_and_no_search_is_made_again(
    on_blocks, tmp_path
):
    store = RecordStore(tmp_path)
    search = searching(SLOW, GOOD)
    runs = [going_by(search, seed=seed) for seed in (1, 2)]
    train(search, store, Setting())
    first = train(runs[0], store, Setting())
    left = todo(_cells(runs), store)
    assert set(left.runs) == {runs[1].id}
    second = train(runs[1], store, Setting())
    assert first.chosen_options == second.chosen_options
    assert todo(_cells(runs), store).runs == {}


def test_a_search_that_only_finished_runs_go_by_is_not_needed_again(on_blocks, tmp_path):
    store = RecordStore(tmp_path)
    search = searching(SLOW, GOOD)
    run = going_by(search)
    train(search, store, Setting())
    train(run, store, Setting())
    store.file(search.id, TRIALS).unlink()
    assert todo(_cells([run]), store).runs == {}
    other = going_by(search, seed=2)
    assert set(todo(_cells([run, other]), store).runs) == {search.id, other.id}


def _cells(runs):
    class Place:
        def __init__(self, run):
            self.run = run

    return [Place(run) for run in runs]
