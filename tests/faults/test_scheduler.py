"""What ends a run for a reason that may be gone by the next minute costs that run nothing; what is
no run's doing ends the grid."""

from __future__ import annotations

import errno
import os
from concurrent.futures import Future

import pytest

from tests.builders import done, failed, one_by_one, records_in
from tests.grid.test_scheduler import CELLS, CHILDREN, PARENTS, RUNS, Now, Watch
from transfer_lab.experiment.foreign import foreign_code
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines.errors import WorkerCrashError, WorkerHungError
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system.files import DiskFullError, write_atomically

LEAF = next(run_id for run_id in RUNS if run_id in CHILDREN and run_id not in PARENTS)


class Faulty:
    """Trains everything; what befalls one run, and how often, is told."""

    def __init__(self, store, fault, times, victim=LEAF):
        self.store, self.fault, self.times, self.victim = store, fault, times, victim
        self.tried: list[str] = []

    def __call__(self, run, keep_weights):
        self.tried.append(run.id)
        if run.id == self.victim and self.tried.count(run.id) <= self.times:
            record = self.fault(run)
        else:
            from tests.builders import leave_weights

            sha256 = leave_weights(run, self.store) if keep_weights else None
            record = done(run, weights_sha256=sha256)
        self.store.put(record)
        return record


def crash(_):
    raise WorkerCrashError("the worker process died")


def io_error(run):
    return Record.failure(run, "io", "OSError: [Errno 5] Input/output error")


def other_error(run):
    return failed(run)


def hang(_):
    raise WorkerHungError("it has neither computed nor read nor written anything")


@pytest.fixture
def store(tmp_path):
    said = []
    store = RecordStore(tmp_path, said.append)
    store.said = said
    return store


def ran(store, train):
    return run_grid(todo(CELLS, store), store, Now(), one_by_one(train), Watch())


@pytest.mark.parametrize("fault", [crash, io_error])
@pytest.mark.parametrize("victim", [LEAF, min(PARENTS)])
def test_a_run_that_a_crash_or_an_io_error_has_ended_is_tried_once_more(store, fault, victim):
    train = Faulty(store, fault, 1, victim)
    summary = ran(store, train)
    assert not summary.failed and not summary.blocked
    assert train.tried.count(victim) == 2 and len(train.tried) == len(RUNS) + 1
    assert {record.status for record in records_in(store).values()} == {"done"}
    assert sum("tried once more" in text and victim in text for text in store.said) == 1


@pytest.mark.parametrize("fault", [crash, io_error])
def test_and_fails_if_that_happens_again(store, fault):
    train = Faulty(store, fault, 9)
    assert ran(store, train).failed == [LEAF]
    assert train.tried.count(LEAF) == 2


@pytest.mark.parametrize("fault", [other_error, hang])
def test_what_fails_by_itself_is_not_tried_again(store, fault):
    train = Faulty(store, fault, 9)
    assert ran(store, train).failed == [LEAF]
    assert train.tried.count(LEAF) == 1
    statuses = [record.status for record in records_in(store).values()]
    assert sorted(set(statuses)) == ["done", "failed"] and statuses.count("failed") == 1


def test_a_full_disk_ends_the_grid_at_once_and_blames_no_run(store, tmp_path):
    def full(run):
        raise DiskFullError.of(tmp_path / run.id, 512, errno.ENOSPC)

    victim = min(PARENTS)
    train = Faulty(store, full, 99, victim)
    with pytest.raises(DiskFullError) as told:
        ran(store, train)
    assert train.tried[-1] == victim and train.tried.count(victim) == 1
    assert victim not in records_in(store)
    assert str(tmp_path / victim) in str(told.value)
    assert "512 bytes of it were written" in str(told.value) and " are free" in str(told.value)
    train.times = 0
    assert not ran(store, train).failed


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_file_without_room_is_named_with_bytes(tmp_path, monkeypatch, number, call):
    import pickle

    path = tmp_path / "file"
    path.write_bytes(b"before")

    def no_room(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, no_room)
    with pytest.raises(DiskFullError) as told:
        write_atomically(path, lambda handle: handle.write(b"x" * 5000))
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
    travelled = pickle.loads(pickle.dumps(told.value))
    assert str(travelled) == str(told.value) and travelled.errno == number
    assert str(path) in str(travelled) and os.strerror(number) in str(travelled)


def test_a_folder_that_cannot_be_flushed_calls_no_stored_file_failed(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def only_files(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "file", lambda handle: handle.write(b"stored"))
    assert (tmp_path / "file").read_bytes() == b"stored" and len(calls) == 2


class Apart(Now):
    """An engine that notes what is to be kept apart."""

    def __init__(self):
        super().__init__()
        self.asked: list[str | None] = []

    def submit(self, call, *args) -> Future:
        self.asked.append(None)
        return super().submit(call, *args)

    def submit_apart(self, code, call, *args) -> Future:
        self.asked.append(code)
        return super().submit(call, *args)


def test_runs_of_foreign_code_are_handed_over_apart(store, tmp_path):
    from tests.own_code import REGIME
    from transfer_lab.experiment.loading import load_experiment

    (tmp_path / "own.py").write_text(REGIME)
    (tmp_path / "own.yaml").write_text(
        "name: own\nimage_size: 12\ndomains: {latin: {letters: ABCD}, greek: {letters: ΓΔΘΛ}}\n"
        "scenarios:\n  small_similar: {source: latin, target: greek, per_class: 2}\n"
        "backbones: {mlp: {width: 8}}\nregimes:\n  from_scratch: {}\n"
        "  guess: {module: 'own.py:Guess'}\nseeds: [0, 1]\n"
    )
    cells = plan(load_experiment(tmp_path / "own.yaml").experiment)
    engine = Apart()
    train = Faulty(store, failed, 0)
    run_grid(todo(cells, store), store, engine, one_by_one(train), Watch())
    codes = [foreign_code(cell.run) for cell in cells]
    assert sorted(engine.asked, key=str) == sorted(codes, key=str)
    assert len(set(codes)) == 2 and None in codes
