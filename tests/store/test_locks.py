"""Two calls on one store: each run is trained once, and what a dead call had is taken over."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.builders import (
    ENVIRONMENT,
    choice,
    done,
    experiment,
    failed,
    one_by_one,
    records_in,
    until,
)
from transfer_lab.experiment.plan import plan
from transfer_lab.grid import scheduler as runner
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.store.locks import NAME, RunLocks
from transfer_lab.store.records import RecordStore

CELLS = plan(
    experiment(
        seeds=[0],
        backbones={"mlp": choice("mlp")},
        regimes={name: choice(name) for name in ("from_scratch", "lp_ft")},
    )
)


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def test_a_run_has_one_owner_until_it_is_given_back(store):
    first, second = RunLocks(store.root), RunLocks(store.root)
    assert first.take("a") and first.take("b")
    assert not second.take("a")
    first.give_back("a")
    assert second.take("a") and not first.take("a") and not second.take("b")
    with first:
        pass
    assert second.take("b")
    second.give_back("a")
    second.give_back("b")
    assert not list(store.root.rglob(NAME))


def test_a_file_that_a_dead_process_left_is_no_owner(store):
    (store.root / "a").mkdir(parents=True)
    (store.root / "a" / NAME).touch()
    assert RunLocks(store.root).take("a")


def test_a_file_that_is_removed_before_it_is_locked_is_not_the_lease(store, monkeypatch):
    """Its owner gave it back in between; a third process may hold the new file."""
    lock, path = fcntl.flock, store.root / "a" / NAME
    calls = []

    def late(handle, operation):
        if not calls:
            path.unlink()
        calls.append(handle)
        return lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    first = RunLocks(store.root)
    assert first.take("a") and len(calls) == 2
    assert not RunLocks(store.root).take("a")


@pytest.mark.parametrize(("where", "name"), [(Path, "unlink"), (os, "close")])
def test_a_lease_that_cannot_be_tidied_up_is_given_back_and_so_are_all_others(
    store, monkeypatch, where, name
):
    """A folder that is no longer written to, or a file system that reports its errors late."""
    call, calls, names = getattr(where, name), [], "abc"

    def fails(*given, **more):
        calls.append(given)
        if name == "close":
            call(*given)
        raise OSError(errno.EIO, "broken")

    with RunLocks(store.root) as first, monkeypatch.context() as patch:
        assert all(map(first.take, names))
        patch.setattr(where, name, fails)
        first.__exit__(None, None, None)
    assert len(calls) == len(names)
    other = RunLocks(store.root)
    assert all(map(other.take, names))
    with other:
        pass
    assert not list(store.root.rglob(NAME))


def test_a_lease_is_given_back_by_an_interrupted_call(store, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    first = RunLocks(store.root)
    assert first.take("a")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", interrupted)
        first.give_back("a")
    assert RunLocks(store.root).take("a")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_everybody_gets_every_lease(store, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunLocks(store.root) as first, RunLocks(store.root) as second:
        assert first.take("a") and second.take("a")


def test_a_store_that_cannot_be_written_to_is_the_runs_problem_and_not_the_leases(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with RunLocks(tmp_path / "runs") as leases:
        assert leases.take("a")


class Threads:
    """An engine of threads."""

    def __init__(self, slots=2):
        self.slots, self._pool = slots, ThreadPoolExecutor(slots)

    def submit(self, call, *arguments):
        return self._pool.submit(call, *arguments)


class Watch:
    def __init__(self):
        self.ends = []

    def started(self, runs):
        pass

    def ended(self, run, record):
        self.ends.append((run.id, record.status))


def go(store, train, watch=None):
    return run_grid(todo(CELLS, store), store, Threads(), one_by_one(train), watch or Watch())


def stored(store, make=done):
    def train(run, keep_weights):
        from tests.builders import leave_weights

        sha256 = {"weights_sha256": leave_weights(run, store)} if keep_weights else {}
        record = make(run, **sha256) if make is done else make(run)
        store.put(record)
        return record

    return train


def test_what_another_process_has_finished_meanwhile_is_not_trained_again(store, monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.01)
    work, watch, calls = todo(CELLS, store), Watch(), []
    go(store, stored(store))
    summary = run_grid(work, store, Threads(), lambda *a: calls.append(a), watch)
    assert calls == [] and summary.done == []
    assert set(summary.elsewhere) == set(work.runs) == {run_id for run_id, _ in watch.ends}


def test_what_another_process_trains_is_waited_for_and_said_while_the_rest_goes_on(
    store, monkeypatch
):
    monkeypatch.setattr(runner, "_PATIENCE", 0.01)
    said, results = [], []
    store.warn = said.append
    taken = next(iter(todo(CELLS, store).runs.values()))
    other = RunLocks(store.root)
    assert other.take(taken.id)
    thread = threading.Thread(target=lambda: results.append(go(store, stored(store))))
    thread.start()
    assert until(lambda: said, 20)
    assert taken.id not in records_in(store) and records_in(store)
    stored(store)(taken, True)
    other.give_back(taken.id)
    thread.join(20)
    (summary,) = results
    assert summary.elsewhere == [taken.id] and not summary.failed
    assert len(said) == 1 and "another process trains 1 of these runs" in said[0]
    assert len(summary.done) == len(todo(CELLS, RecordStore(store.root / "none")).runs) - 1


def test_what_failed_elsewhere_is_tried_here(store, monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.01)
    work = todo(CELLS, store)
    (first, *_) = work.runs.values()
    stored(store, failed)(first, False)
    assert not run_grid(work, store, Threads(), one_by_one(stored(store)), Watch()).failed


def test_a_grid_that_is_interrupted_gives_everything_back(store):
    class Interrupted(Watch):
        def started(self, runs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(store, stored(store), Interrupted())
    with RunLocks(store.root) as leases:
        assert all(leases.take(run_id) for run_id in todo(CELLS, store).runs)


CALL = """
import os, sys, time
from pathlib import Path
from tests.builders import one_by_one
from tests.store.test_locks import CELLS, Threads, Watch, stored
from transfer_lab.store.records import RecordStore
from transfer_lab.grid.scheduler import run_grid, todo

store, log, stuck = RecordStore(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3] == "stuck"
store.warn = lambda text: print(text, flush=True)

def train(run, keep_weights):
    with log.open("a") as file:
        file.write(f"{os.getpid()} {run.id}\\n")
    time.sleep(1000 if stuck else 0.02)
    return stored(store)(run, keep_weights)

summary = run_grid(todo(CELLS, store), store, Threads(), one_by_one(train), Watch())
print(len(summary.done), len(summary.elsewhere), len(summary.failed), flush=True)
"""


def start(folder: Path, kind: str) -> subprocess.Popen:
    words = [sys.executable, "-c", CALL, str(folder / "runs"), str(folder / "log"), kind]
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def lines(folder: Path) -> list[list[str]]:
    path = folder / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_two_processes_share_a_grid_and_train_no_run_twice(tmp_path):
    calls = [start(tmp_path, "quick") for _ in range(2)]
    told = [call.communicate(timeout=60)[0].splitlines()[-1].split() for call in calls]
    trained = Counter(run_id for _, run_id in lines(tmp_path))
    runs = todo(CELLS, RecordStore(tmp_path / "none")).runs
    assert set(trained) == set(runs) and set(trained.values()) == {1}
    assert [call.returncode for call in calls] == [0, 0]
    assert sum(int(done) for done, _, _ in told) == len(runs)
    assert not list((tmp_path / "runs").rglob(NAME))


def test_a_process_that_is_killed_leaves_its_runs_to_the_other(tmp_path):
    stuck = start(tmp_path, "stuck")
    assert until(lambda: len(lines(tmp_path)) == 2, 60)
    held = {run_id for _, run_id in lines(tmp_path)}
    other = start(tmp_path, "quick")
    assert "another process trains 2 of these runs" in other.stdout.readline()
    assert not held & set(records_in(RecordStore(tmp_path / "runs")))
    os.kill(stuck.pid, signal.SIGKILL)
    told = other.communicate(timeout=60)[0].split()
    stuck.communicate()
    assert told[1:] == ["0", "0"] and int(told[0]) == len(
        todo(CELLS, RecordStore(tmp_path / "none")).runs
    )
