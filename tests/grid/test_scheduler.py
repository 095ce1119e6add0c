"""A grid: parents first, each run once, a failure costs nothing but itself and its children."""

import os
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    choice,
    done,
    experiment,
    failed,
    leave_weights,
    one_by_one,
    records_in,
)
from transfer_lab.experiment.one_pass import peers
from transfer_lab.experiment.plan import parents_of, plan, runs_of
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.engines import EngineError
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.store.records import RecordStore

CELLS = plan(
    experiment(
        seeds=[0, 1],
        backbones={"mlp": choice("mlp")},
        regimes={name: choice(name) for name in ("from_scratch", "full_finetune", "lp_ft")},
        pretrain={"per_seed": True},
    )
)
RUNS = runs_of(CELLS)
PARENTS = parents_of(RUNS.values())
CHILDREN = {run.id for run in RUNS.values() if run.init}


class DeadWorkerError(RuntimeError):
    """What an engine reports when a worker died."""


DEAD = DeadWorkerError("it died")


class Now:
    """An engine that runs each call at once, here."""

    def __init__(self, slots: int = 1):
        self.slots = slots

    def submit(self, call, *args) -> Future:
        future = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class Trainer:
    """Stands in for training: stores what a run would store, or fails as it is told."""

    def __init__(self, store: RecordStore, *, failing=(), crashing=(), error=DEAD):
        self.store, self.failing, self.crashing, self.error = store, failing, crashing, error
        self.calls: list[tuple[str, bool]] = []

    def __call__(self, run: Run, keep_weights: bool):
        self.calls.append((run.id, keep_weights))
        if run.id in self.crashing:
            raise self.error
        if run.id in self.failing:
            record = failed(run)
        else:
            sha256 = leave_weights(run, self.store) if keep_weights else None
            record = done(run, weights_sha256=sha256)
        self.store.put(record)
        return record

    @property
    def trained(self) -> list[str]:
        return [run_id for run_id, _ in self.calls]


class Watch:
    """Notes what it is told."""

    def __init__(self):
        self.events: list[tuple[str, str]] = []

    def started(self, runs):
        self.events += [("started", run.id) for run in runs]

    def ended(self, run, record):
        assert record.run_id == run.id
        self.events.append((record.status, run.id))


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path)


def grid(store, *, cells=CELLS, engine=None, **faults):
    """One call of the grid: the trainer, what the watch saw, the summary."""
    trainer, watch = Trainer(store, **faults), Watch()
    summary = run_grid(todo(cells, store), store, engine or Now(), one_by_one(trainer), watch)
    return trainer, watch, summary


def outcomes(store) -> dict[str, tuple]:
    """What counts of every record."""
    return {i: (r.status, r.test_accuracy) for i, r in records_in(store).items()}


def a_parent() -> Run:
    return next(RUNS[run_id] for run_id in RUNS if run_id in PARENTS)


def children_of(run: Run) -> set[str]:
    return {child.id for child in RUNS.values() if child.init and child.init.id == run.id}


def test_the_grid_of_these_tests_has_parents_children_and_others():
    assert len(PARENTS) == 4
    assert len(CHILDREN) == 16
    assert len(RUNS) == 24


@pytest.mark.parametrize("slots", [1, 3, 100])
def test_each_distinct_run_is_trained_once_after_its_parent(store, slots):
    trainer, watch, summary = grid(store, engine=Now(slots))
    assert sorted(trainer.trained) == sorted(RUNS)
    for run_id in CHILDREN:
        parent = RUNS[run_id].init.id
        assert watch.events.index(("done", parent)) < watch.events.index(("started", run_id))
    assert sorted(summary.done) == sorted(RUNS)
    assert (summary.failed, summary.blocked) == ([], [])


def test_parents_are_trained_before_anything_that_does_not_wait(store):
    trainer, _, _ = grid(store)
    assert set(trainer.trained[: len(PARENTS)]) == PARENTS


def test_among_runs_that_do_not_wait_the_largest_are_trained_first(store):
    trainer, _, _ = grid(store)
    sizes = [RUNS[run_id].per_class for run_id in trainer.trained[len(PARENTS) :]]
    assert sizes == sorted(sizes, reverse=True)


def test_only_parents_are_asked_to_leave_weights(store):
    trainer, _, _ = grid(store)
    assert {run_id for run_id, keep in trainer.calls if keep} == PARENTS


def test_a_second_call_trains_nothing(store):
    grid(store)
    before = outcomes(store)
    assert todo(CELLS, store).runs == {}
    trainer, watch, _ = grid(store)
    assert (trainer.calls, watch.events) == ([], [])
    assert outcomes(store) == before


def test_a_larger_grid_trains_only_what_is_new(store):
    grid(store, cells=[c for c in CELLS if c.seed == 0])
    known = set(outcomes(store))
    trainer, _, _ = grid(store)
    assert set(trainer.trained) == set(RUNS) - known


def test_the_total_counts_every_run_of_the_grid(store):
    grid(store, cells=[c for c in CELLS if c.seed == 0])
    assert todo(CELLS, store).total == len(RUNS)


def test_a_failure_stops_no_other_run(store):
    bad = next(iter(CHILDREN))
    _, watch, summary = grid(store, failing={bad})
    assert summary.failed == [bad]
    assert set(summary.done) == set(RUNS) - {bad}
    assert summary.blocked == []
    assert ("failed", bad) in watch.events


def test_children_of_a_failed_parent_are_blocked_and_never_started(store):
    parent = a_parent()
    trainer, _, summary = grid(store, failing={parent.id})
    assert set(summary.blocked) == children_of(parent)
    assert not set(trainer.trained) & children_of(parent)
    assert set(summary.done) == set(RUNS) - children_of(parent) - {parent.id}
    assert not set(outcomes(store)) & children_of(parent)


def test_failed_runs_and_blocked_children_are_tried_again_by_the_next_call(store):
    parent = a_parent()
    grid(store, failing={parent.id})
    trainer, _, summary = grid(store)
    assert trainer.trained[0] == parent.id
    assert set(trainer.trained) == children_of(parent) | {parent.id}
    assert set(summary.done) == set(trainer.trained)
    assert {status for status, _ in outcomes(store).values()} == {"done"}


@pytest.mark.parametrize(("error", "kind"), [(DEAD, "crash"), (OSError("full"), "io")])
def test_a_crash_in_the_engine_is_a_failed_record_of_its_run(store, error, kind):
    bad = next(iter(CHILDREN))
    _, _, summary = grid(store, crashing={bad}, error=error)
    assert summary.failed == [bad]
    record = store.get(bad)
    assert (record.status, record.error_kind) == ("failed", kind)
    assert str(error) in record.error
    assert set(summary.done) == set(RUNS) - {bad}


def test_an_engine_without_workers_ends_the_grid_and_no_run_is_blamed(store):
    bad = next(iter(CHILDREN))
    with pytest.raises(EngineError, match="none left"):
        grid(store, crashing={bad}, error=EngineError("none left"))
    assert {record.status for record in records_in(store).values()} == {"done"}
    assert bad not in records_in(store)
    _, _, summary = grid(store)
    assert not summary.failed
    assert not summary.elsewhere


def test_a_crash_of_a_run_that_had_stored_its_record_loses_nothing(store):
    bad = next(iter(CHILDREN))

    def train(run, keep_weights):
        record = Trainer(store)(run, keep_weights)
        if run.id == bad:
            raise DEAD
        return record

    run_grid(todo(CELLS, store), store, Now(), one_by_one(train), Watch())
    assert store.get(bad).status == "done"


def test_a_parent_is_trained_again_only_if_a_pending_child_needs_its_weights(store):
    grid(store)
    parent = a_parent()
    store.file(parent.id, "backbone.safetensors").unlink()
    assert todo(CELLS, store).runs == {}

    child = sorted(children_of(parent))[0]
    store.file(child, "record.json").unlink()
    trainer, _, _ = grid(store)
    assert trainer.calls == [(parent.id, True), (child, False)]


def test_a_pending_child_starts_from_the_weights_that_are_there(store):
    grid(store)
    child = next(iter(CHILDREN))
    store.file(child, "record.json").unlink()
    trainer, _, _ = grid(store)
    assert trainer.calls == [(child, False)]


def test_a_parent_whose_record_is_gone_is_not_needed_by_finished_children(store):
    grid(store)
    store.file(a_parent().id, "record.json").unlink()
    assert todo(CELLS, store).runs == {}


def test_a_run_that_is_both_a_cell_and_a_parent_is_trained_once_and_leaves_weights(store):
    latin = {"size": "large", "similarity": "similar", "per_class": "all"}
    asked = experiment(
        seeds=[0],
        backbones={"mlp": choice("mlp")},
        regimes={name: choice(name) for name in ("from_scratch", "linear_probe")},
        scenarios={
            "there": {"source": "latin", "target": "cyrillic", **latin},
            "back": {"source": "cyrillic", "target": "latin", **latin},
        },
    )
    cells = plan(asked)
    assert len(runs_of(cells)) == 4
    trainer, _, _ = grid(store, cells=cells)
    assert len(trainer.calls) == 4
    assert sum(keep for _, keep in trainer.calls) == 2
    assert todo(cells, store).runs == {}


MANY = plan(
    experiment(
        seeds=list(range(11)),
        backbones={"mlp": choice("mlp")},
        regimes={name: choice(name) for name in ("linear_probe", "full_finetune")},
    )
)
PROBES = {i: run for i, run in runs_of(MANY).items() if run.regime.kind == "linear_probe"}


class Groups:
    """Notes what is trained in one pass, and dies at the runs it is told to die at."""

    def __init__(self, store, deadly=()):
        self.trainer, self.deadly = Trainer(store), deadly
        self.seen: list[list[str]] = []

    def __call__(self, runs, keep_weights):
        self.seen.append([run.id for run in runs])
        records = []
        for run in runs:
            if run.id in self.deadly:
                raise DEAD
            records.append(self.trainer(run, keep_weights))
        return records

    @property
    def sizes(self) -> list[int]:
        return sorted(map(len, self.seen), reverse=True)


def train_many(store, slots=1, **faults):
    train, watch = Groups(store, **faults), Watch()
    return train, watch, run_grid(todo(MANY, store), store, Now(slots), train, watch)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_peers_are_trained_in_one_pass_each_run_once_and_nothing_else_is(store, slots):
    train, watch, summary = train_many(store, slots)
    assert sorted(train.trainer.trained) == sorted(summary.done) == sorted(runs_of(MANY))
    groups = [ids for ids in train.seen if len(ids) > 1]
    assert groups and max(train.sizes) <= 4
    for ids in groups:
        assert len({peers(PROBES[run_id]) for run_id in ids}) == 1
    kinds = [kind for kind, _ in watch.events]
    assert kinds.count("started") == kinds.count("done") == len(runs_of(MANY))


def test_peers_stay_apart_where_other_slots_would_stand_idle(store):
    train, _, _ = train_many(store, slots=100)
    assert set(train.sizes) == {1}


def test_peers_in_a_process_that_dies_are_tried_one_by_one_and_what_was_stored_stays(store):
    bad = list(PROBES)[3]
    train, _, summary = train_many(store, deadly={bad})
    assert summary.failed == [bad] and store.get(bad).error_kind == "crash"
    assert set(summary.done) == set(runs_of(MANY)) - {bad} and not summary.elsewhere
    assert [bad] in train.seen
    trained = train.trainer.trained
    assert len(trained) == len(set(trained))  # a record that is there is not made again


@settings(max_examples=30)
@given(st.sets(st.sampled_from(sorted(PROBES))), st.integers(1, 4))
def test_whatever_dies_in_one_pass_everything_else_is_trained(deadly, slots):
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(folder)
        _, _, summary = train_many(store, slots, deadly=deadly)
        assert set(summary.failed) == deadly
        assert sorted(summary.done) == sorted(set(runs_of(MANY)) - deadly)
        again, _, _ = train_many(store, slots)
        assert sorted(again.trainer.trained) == sorted(deadly)


def test_no_more_runs_are_handed_out_than_the_engine_has_slots(store):
    lock, busy, most = threading.Lock(), 0, 0

    def train(run, keep_weights):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        record = Trainer(store)(run, keep_weights)
        with lock:
            busy -= 1
        return record

    with ThreadPoolExecutor(8) as pool:
        pool.slots = 2
        summary = run_grid(todo(CELLS, store), store, pool, one_by_one(train), Watch())
    assert most <= 2
    assert set(summary.done) == set(RUNS)


UNDISTURBED = {run.id: ("done", done(run).test_accuracy) for run in RUNS.values()}
SOME_RUNS = st.sets(st.sampled_from(sorted(RUNS)))


@settings(max_examples=40)
@given(SOME_RUNS, SOME_RUNS, st.integers(1, 5))
def test_whatever_fails_first_a_clean_call_ends_as_an_undisturbed_grid(failing, crashing, slots):
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(folder)
        faults = {"failing": failing, "crashing": crashing}
        first, _, summary = grid(store, engine=Now(slots), **faults)
        bad = failing | crashing
        blocked = {child for child in CHILDREN if RUNS[child].init.id in bad}
        assert set(summary.blocked) == blocked
        assert set(summary.failed) == bad - blocked
        assert set(summary.done) == set(RUNS) - bad - blocked
        # What a crash has ended is tried once more.
        assert sorted(first.trained) == sorted([*set(RUNS) - blocked, *crashing - blocked])

        second, _, _ = grid(store, engine=Now(slots))
        assert set(second.trained) == bad | blocked
        assert outcomes(store) == UNDISTURBED


def test_a_crash_that_cannot_be_stored_does_not_stop_the_grid(store, monkeypatch):
    told = []
    store.warn = told.append
    victim = next(run_id for run_id in RUNS if run_id not in PARENTS)
    trainer = Trainer(store, crashing={victim})
    put = store.put

    def full_disk(record):
        if record.status == "failed":
            raise OSError("No space left on device")
        put(record)

    monkeypatch.setattr(store, "put", full_disk)
    summary = run_grid(todo(CELLS, store), store, Now(), one_by_one(trainer), Watch())
    assert summary.failed == [victim]
    assert len(summary.done) == len(RUNS) - 1
    assert victim in told[0]
    assert "No space left" in told[0]
    assert "tried once more" in told[1]


def with_teacher():
    """The cells of a student and its teacher, and what is trained for them: source run, teacher,
    student, in this order."""
    cells = plan(
        experiment(
            scenarios={
                "small_similar": {
                    "source": "latin",
                    "target": "cyrillic",
                    "per_class": 5,
                    "size": "small",
                    "similarity": "similar",
                }
            },
            seeds=[0],
            backbones={"mlp": choice("mlp")},
            regimes={
                "distillation": choice("distillation")
                | {"teacher": {"backbone": "mlp", "regime": "linear_probe"}},
                "linear_probe": choice("linear_probe"),
            },
        )
    )
    student = next(cell.run for cell in cells if cell.regime == "distillation")
    source, teacher = student.parents
    return cells, (source, teacher, student)


def test_a_run_waits_for_all_that_it_draws_on(tmp_path):
    cells, (source, teacher, student) = with_teacher()
    assert teacher.parent.id == source.id
    assert [*runs_of(cells)] == [source.id, teacher.id, student.id]
    trainer, _, summary = grid(RecordStore(tmp_path), cells=cells)
    assert trainer.calls == [(source.id, True), (teacher.id, True), (student.id, False)]
    assert summary.done == [source.id, teacher.id, student.id]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_blocks_all_that_draws_on_it_however_far(tmp_path, failing):
    cells, runs = with_teacher()
    _, _, summary = grid(RecordStore(tmp_path), cells=cells, failing=[runs[failing].id])
    assert summary.failed == [runs[failing].id]
    assert sorted(summary.blocked) == sorted(run.id for run in runs[failing + 1 :])


def test_what_a_finished_run_started_from_is_not_needed_again(tmp_path):
    """However many generations there are, and a teacher that left no weights is trained anew."""
    cells, (source, teacher, student) = with_teacher()
    store = RecordStore(tmp_path)
    grid(store, cells=cells)
    store.file(source.id, "backbone.safetensors").unlink()
    assert [*todo(cells, store).runs] == []
    store.file(student.id, "record.json").unlink()
    assert [*todo(cells, store).runs] == [source.id, student.id], "it starts from the source run"
    store.file(teacher.id, "backbone.safetensors").unlink()
    assert [*todo(cells, store).runs] == [source.id, teacher.id, student.id]
    alone = tuple(cell for cell in cells if cell.regime == "linear_probe")
    assert [*todo(alone, store).runs] == []
