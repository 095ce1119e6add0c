"""Worker processes: reused, isolated, pinned, and never left behind."""

import os
import platform
import resource
import signal
import time

import pytest
import torch

from tests.builders import children_of, until, workers
from transfer_lab.grid.engines.local import LocalEngine, WorkerCrashError


def double(number):
    return 2 * number


def refuse(message):
    raise ValueError(message)


def whoami(seconds=0.0):
    time.sleep(seconds)
    return os.getpid()


def leave():
    os._exit(3)


def threads():
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def faults(size, times):
    """Pages that the system maps for a block that is taken and given back again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(size, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def handles_interrupts():
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def children() -> set[int]:
    """Living child processes of this one but multiprocessing's own resource tracker."""
    from multiprocessing.resource_tracker import _resource_tracker

    return children_of(os.getpid()) - {_resource_tracker._pid}


@pytest.fixture
def engine():
    return workers()


def test_results_come_back(engine):
    futures = [engine.submit(double, n) for n in range(20)]
    assert [future.result() for future in futures] == [2 * n for n in range(20)]


def test_an_exception_comes_back_and_costs_no_worker(engine):
    before = {engine.submit(whoami, 0.1).result() for _ in range(2)}
    with pytest.raises(ValueError, match="as asked"):
        engine.submit(refuse, "as asked").result()
    after = {f.result() for f in [engine.submit(whoami, 0.1) for _ in range(4)]}
    assert before <= after
    assert len(after) == 2


def test_workers_are_as_many_as_asked_and_reused(engine):
    pids = {f.result() for f in [engine.submit(whoami, 0.02) for _ in range(12)]}
    assert len(pids) == engine.slots == 2
    assert os.getpid() not in pids
    assert pids == {f.result() for f in [engine.submit(whoami, 0.02) for _ in range(12)]}


def test_every_worker_has_the_threads_it_was_given(engine):
    assert {engine.submit(threads).result() for _ in range(4)} == {(1, "1")}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone this is known")
def test_a_worker_keeps_the_memory_of_large_blocks(engine):
    size = 64 * 2**20
    pages = size // resource.getpagesize()
    assert engine.submit(faults, size, 20).result() < 10 * pages


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to be seen")
def test_a_worker_without_a_gpu_looks_for_none_again(engine):
    assert {engine.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result() for _ in range(4)} == {""}


def test_workers_leave_interrupts_to_the_parent(engine):
    assert not any(engine.submit(handles_interrupts).result() for _ in range(4))


def test_the_parent_keeps_its_own_interrupt_handler(engine):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_that_dies_costs_only_its_own_call(engine):
    elsewhere = engine.submit(whoami, 0.5)
    died = engine.submit(leave)
    later = [engine.submit(double, n) for n in range(6)]
    with pytest.raises(WorkerCrashError):
        died.result()
    survivor = elsewhere.result()
    assert [future.result() for future in later] == [0, 2, 4, 6, 8, 10]
    pids = {f.result() for f in [engine.submit(whoami, 0.3) for _ in range(4)]}
    assert len(pids) == 2
    assert survivor in pids


def test_a_worker_that_died_idle_is_replaced_before_the_next_call(engine):
    (pid, *_) = {f.result() for f in [engine.submit(whoami, 0.3) for _ in range(4)]}
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    assert [engine.submit(double, n).result() for n in range(4)] == [0, 2, 4, 6]


def test_kill_ends_workers_and_what_waits_for_them_and_starts_no_others():
    """While the workers are still starting: that is when impatient people press Ctrl-C."""
    others = children()
    engine = LocalEngine(1)
    held = [engine.submit(double, n) for n in range(3)]
    assert until(held[0].running, 5)
    assert children() - others
    engine.kill()
    ended = until(lambda: not children() - others, 3) and not until(lambda: children() - others, 1)
    for pid in children() - others:
        os.kill(pid, signal.SIGKILL)
    assert ended
    assert isinstance(held[0].exception(timeout=10), WorkerCrashError)
    assert all(future.cancelled() for future in held[1:])


def test_close_waits_for_what_runs_and_leaves_no_worker(engine):
    """The last test of this file: the shared workers do not survive it."""
    pids = {f.result() for f in [engine.submit(whoami, 0.3) for _ in range(4)]}
    last = [engine.submit(whoami, 0.3) for _ in pids]
    assert until(lambda: all(future.running() for future in last), 5)
    engine.close()
    workers.cache_clear()
    assert all(future.done() for future in last)
    assert {future.result() for future in last} == pids
    assert until(lambda: not pids & children(), 5)
