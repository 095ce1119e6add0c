"""A grid with searches: they come first, leave trials and no weights, and block what they fail."""

from __future__ import annotations

import hashlib

import pytest

from tests.builders import TINY_YAML, choice, done, experiment, leave_weights, write_tiny
from tests.cli.test_app import Lab, call
from tests.grid.test_scheduler import Now, Trainer, Watch, one_by_one
from tests.reporting.reading import html_tables
from transfer_lab.cli.plan import Planned
from transfer_lab.cli.status import Status
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.store.results import states
from transfer_lab.store.trials import Trial, to_csv

CELLS = plan(
    experiment(
        backbones={"mlp": choice("mlp")},
        regimes={name: choice(name) for name in ("from_scratch", "linear_probe", "majority")},
        pretrain={"per_seed": True},
        tune=[{"lr": 0.1}, {"lr": 0.2}],
        search={"seed": 7},
    )
)
RUNS = runs_of(CELLS)
SEARCHES = {run.id for run in RUNS.values() if run.purpose == "search"}


class Searching(Trainer):
    """Leaves the trials of searches, too."""

    def __call__(self, run, keep_weights):
        if run.purpose != "search" or run.id in self.failing:
            return super().__call__(run, keep_weights)
        self.calls.append((run.id, keep_weights))
        content = to_csv([Trial(options, 0.5, 1.0, 1, 1, 0.1) for options in run.tune], 0)
        path = self.store.file(run.id, "trials.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        record = done(run, test_accuracy=None, trials_sha256=hashlib.sha256(content).hexdigest())
        self.store.put(record)
        return record


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path)


def grid(store, slots=1, **faults):
    trainer = Searching(store, **faults)
    summary = run_grid(todo(CELLS, store), store, Now(slots), one_by_one(trainer), Watch())
    return trainer, summary


@pytest.mark.parametrize("slots", [1, 3])
def test_searches_come_after_their_source_runs_and_before_what_goes_by_them(store, slots):
    trainer, summary = grid(store, slots)
    assert sorted(trainer.trained) == sorted(RUNS) == sorted(summary.done)
    place = {run_id: number for number, run_id in enumerate(trainer.trained)}
    for run in RUNS.values():
        assert all(place[parent.id] < place[run.id] for parent in run.parents)
    assert len(SEARCHES) == 3  # of training from scratch one, of the probe one a source


def test_searches_leave_no_weights_and_are_not_asked_for_any(store):
    trainer, _ = grid(store)
    assert not {run_id for run_id, keep in trainer.calls if keep} & SEARCHES
    assert todo(CELLS, store).runs == {}


def test_a_failed_search_blocks_what_goes_by_it_and_the_next_call_tries_it_again(store):
    bad = next(run for run in RUNS.values() if run.id in SEARCHES and run.init)
    trainer, summary = grid(store, failing={bad.id})
    going_by = {run.id for run in RUNS.values() if bad in run.searches}
    assert summary.failed == [bad.id]
    assert set(summary.blocked) == going_by and going_by
    assert not set(trainer.trained) & going_by
    blocked = {cell.run.id: state for cell, state in states(CELLS, store) if cell.run.searches}
    for run_id in going_by:
        assert blocked[run_id].status == "blocked"
        assert blocked[run_id].error.startswith(f"search {bad.id} failed: ")
    again, _ = grid(store)
    assert set(again.trained) == going_by | {bad.id}


def test_a_search_whose_trials_are_gone_is_made_again_for_what_is_still_to_train(store):
    grid(store)
    search = next(run for run in RUNS.values() if run.id in SEARCHES and run.init)
    store.file(search.id, "trials.csv").unlink()
    assert todo(CELLS, store).runs == {}
    child = next(run for run in RUNS.values() if search in run.searches)
    store.file(child.id, "record.json").unlink()
    trainer, _ = grid(store)
    assert trainer.trained == [search.id, child.id]


def test_a_search_made_again_takes_the_weights_that_are_there(store):
    """Its source run has left them for it."""
    grid(store)
    search = next(run for run in RUNS.values() if run.id in SEARCHES and run.init)
    assert store.is_done(search.init, with_weights=True)
    assert leave_weights(search.init, store) == store.get(search.init.id).weights_sha256


TEXT = TINY_YAML + "tune: {lr: [0.001, 0.1]}\nsearch: {seed: 5}\n"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    found = Lab(tmp_path)
    write_tiny(tmp_path, TEXT)
    return found


def test_plan_counts_searches_and_status_names_one_that_failed(lab, capsys):
    made = load_experiment(lab.experiment).experiment
    store = RecordStore(lab.runs)
    planned = Planned(made, store)
    assert "13 distinct runs (3 of them searches at seed 5); 13 to train" in planned.text(None)
    assert planned.content()["runs"]["searches"] == 3
    bad = next(r for r in planned.runs.values() if r.purpose == "search" and r.init)
    store.put(Record.failure(bad, "diverged", "all 2 trials diverged"))
    text = Status(made, store).text(None)
    assert "(4 blocked, 8 missing)" in text
    assert "failed: search for mlp linear_probe, small_similar, seed 5" in text
    assert f"[{bad.id}]: all 2 trials diverged" in text


def test_a_whole_grid_goes_by_its_searches(lab, tmp_path):
    """Through the command, with real workers: the same choice whether interrupted or not."""
    assert call(*lab.words("run", "--jobs", "2")) == 0
    store, made = RecordStore(lab.runs), load_experiment(lab.experiment).experiment
    chosen: dict[str, set] = {}
    for cell in plan(made):
        record = store.get(cell.run.id)
        assert record.status == "done"
        if cell.run.searches:
            tried = [store.trials(search) for search in cell.run.searches]
            best = max(range(2), key=lambda i: sum(trials[i].val_accuracy for trials in tried))
            known = {json_of(trials.options) for trials in tried[0]}
            assert record.chosen_options in known
            means = [sum(trials[i].val_accuracy for trials in tried) for i in range(2)]
            if means[0] != means[1]:
                assert record.chosen_options == json_of(tried[0][best].options)
            chosen.setdefault(cell.regime, set()).add(record.chosen_options)
    assert {regime: len(options) for regime, options in chosen.items()} == {
        "from_scratch": 1,
        "linear_probe": 1,
    }
    for run in runs_of(plan(made)).values():
        if run.purpose == "search":
            record = store.get(run.id)
            assert record.test_accuracy is record.n_test is None
            assert not store.file(run.id, "predictions.npz").exists()
    before = {cell.run.id: store.get(cell.run.id).test_accuracy for cell in plan(made)}
    for cell in plan(made)[::2]:
        store.file(cell.run.id, "record.json").unlink(missing_ok=True)
    assert call(*lab.words("run", "--jobs", "2")) == 0
    after = {cell.run.id: store.get(cell.run.id).test_accuracy for cell in plan(made)}
    assert after == before
    page = html_tables((lab.reports / "tiny" / "index.html").read_text())
    (options,) = chosen["linear_probe"]
    shown = page["Options that validation chose, and their mean validation accuracy"]
    (row,) = (row for row in shown if row[0] == "linear_probe")
    assert row[1].startswith(options[2:-1].replace('"', "").replace(": ", "="))


def json_of(options) -> str:
    import json

    return json.dumps(options, sort_keys=True)
