"""Worker processes: reused, isolated, pinned, and never left behind."""

import errno
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.builders import ENVIRONMENT, ROOT, alive, descendants_of, tiny_run, until, workers
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Fit
from transfer_lab.grid.engines import EngineError, fork_server, spawning
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


def position():
    """Where a worker stands: its parent, and whether it had training before its first call."""
    return os.getppid(), "transfer_lab.training" in sys.modules


def surroundings(name):
    return os.getenv(name), os.getcwd(), sys.path[0]


def state_of_chance():
    return np.random.random(), random.random(), tempfile.mktemp()


def descendants() -> set[int]:
    return descendants_of(os.getpid())


def first_answer(threads, call, *args):
    """The answer of a new worker."""
    engine = LocalEngine(1, threads)
    try:
        return engine.submit(call, *args).result()
    finally:
        engine.close()


forks = pytest.mark.skipif(not fork_server.usable(), reason="workers are spawned on this machine")


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


@forks
def test_what_has_the_number_of_a_worker_that_died_idle_is_not_killed(monkeypatch):
    stopped, killed, kill = LocalEngine(1), [], os.kill
    pid = stopped.submit(os.getpid).result()
    kill(pid, signal.SIGKILL)
    assert until(lambda: not alive(pid), 5)
    monkeypatch.setattr(os, "kill", lambda *signalled: killed.append(signalled))
    stopped.kill()
    assert killed == []


@forks
def test_workers_are_ended_where_processes_have_no_descriptors(monkeypatch):
    def refuse(pid):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    stopped = LocalEngine(1)
    pid = stopped.submit(os.getpid).result()
    held = stopped.submit(whoami, 60)
    assert until(held.running, 5)
    stopped.kill()
    assert isinstance(held.exception(timeout=10), WorkerCrashError)
    assert until(lambda: not alive(pid), 5)


@forks
def test_descriptors_of_workers_are_closed():
    first_answer(1, double, 1)
    before = sorted(os.listdir("/proc/self/fd"))
    first_answer(1, double, 1)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "forked", [fork_server.usable(), pytest.param(False, marks=pytest.mark.slow)]
)
def test_a_removed_working_folder_is_named_and_no_crash(forked, monkeypatch, tmp_path):
    monkeypatch.setattr(fork_server, "usable", lambda: forked)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    engine = LocalEngine(1)
    engine.submit(abs, 1).result()
    (tmp_path / "gone").rmdir()
    with pytest.raises(WorkerCrashError):
        engine.submit(leave).result()
    for _ in range(2):
        with pytest.raises(EngineError, match="gone does not exist any more, and workers begin"):
            engine.submit(abs, 1).result()
    with pytest.raises(EngineError, match="in a folder that exists"):
        LocalEngine(1)
    monkeypatch.chdir(tmp_path)
    assert engine.submit(abs, -1).result() == 1
    engine.close()


@forks
def test_workers_are_forked_from_one_process_that_has_imported_training(engine):
    parents = {engine.submit(os.getppid).result() for _ in range(4)}
    assert {first_answer(1, position) for _ in range(2)} == {(pid, True) for pid in parents}
    assert len(parents) == 1
    assert os.getpid() not in parents


def test_a_worker_takes_over_what_has_changed_in_its_parent(engine, monkeypatch, tmp_path):
    engine.submit(double, 1).result()
    monkeypatch.setenv("SINCE_THE_FIRST_WORKER", "changed")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    now = ("changed", str(tmp_path), str(tmp_path / "modules"))
    assert first_answer(1, surroundings, "SINCE_THE_FIRST_WORKER") == now
    monkeypatch.delenv("SINCE_THE_FIRST_WORKER")
    assert first_answer(1, surroundings, "SINCE_THE_FIRST_WORKER") == (None, *now[1:])
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert first_answer(1, threads) == (1, "1")


def test_workers_share_no_random_state():
    ours = [first_answer(1, state_of_chance) for _ in range(2)]
    assert all(one != other for one, other in zip(*ours, strict=True))


@forks
def test_a_fork_server_that_died_is_replaced(engine):
    server = engine.submit(os.getppid).result()
    os.kill(server, signal.SIGKILL)
    assert until(lambda: not alive(server), 5)
    assert first_answer(1, double, 2) == 4
    assert engine.submit(double, 3).result() == 6


@forks
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_forked_worker_trains_to_the_bits_of_a_spawned_one(threads, tmp_path, monkeypatch):
    letters = Choice(kind="latin", options={"letters": "ABCD", "train_per_class": 32})
    convolutional = Architecture(kind="cnn", options={})
    run = tiny_run().model_copy(
        update={
            "domain": letters,
            "image_size": 32,
            "per_class": 32,
            "backbone": convolutional,
            "fit": Fit(epochs=3, batch_size=32),
        }
    )
    from transfer_lab.grid.worker import execute
    from transfer_lab.training.run import Setting

    weights = []
    for name, forked in (("forked", True), ("spawned", False)):
        monkeypatch.setattr(fork_server, "usable", lambda forked=forked: forked)
        setting = Setting(threads=threads)
        record = first_answer(threads, execute, run, tmp_path / name, setting, True)
        assert record.status == "done", record
        weights.append(record.weights_sha256)
    assert weights[0] == weights[1]


def test_where_there_is_a_gpu_nothing_is_forked(tmp_path):
    (tmp_path / "null").touch()
    assert fork_server.usable(tmp_path) == (sys.platform == "linux")
    (tmp_path / "nvidiactl").touch()
    assert not fork_server.usable(tmp_path)


def test_where_nothing_is_forked_workers_are_spawned(monkeypatch):
    monkeypatch.setattr(fork_server, "usable", lambda: False)
    others, engine = descendants(), LocalEngine(1)
    try:
        assert engine.submit(os.getppid).result() == os.getpid()
        assert engine.submit(threads).result() == (1, "1")
        assert not engine.submit(handles_interrupts).result()
        with pytest.raises(WorkerCrashError):
            engine.submit(leave).result()
    finally:
        engine.kill()
    assert until(lambda: not descendants() - others, 5)


def ended(script: str, folder: Path) -> list[str]:
    """What a script that knows the package from its own `sys.path` alone prints; all processes
    that it names at the end of its output are gone, and it says nothing else."""
    (folder / "script.py").write_text(
        f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.builders import descendants_of\n"
        f"from transfer_lab.grid.engines.local import LocalEngine\n{script}\n"
        "print(*descendants_of(os.getpid()))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True, text=True, timeout=120, cwd=folder, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    *said, processes = done.stdout.splitlines()
    pids = list(map(int, processes.split()))
    assert len(pids) > 1
    assert until(lambda: not any(map(alive, pids)), 5)
    return said


@forks
def test_training_is_preloaded_whatever_path_it_was_found_by(tmp_path):
    """No guard around the main part, an engine that nobody closes, and nothing is left."""
    script = """
engine = LocalEngine(2)
print(engine.submit(eval, "'transfer_lab.training' in __import__('sys').modules").result())
print(engine.submit(eval, "__import__('transfer_lab').__file__").result())"""
    assert ended(script, tmp_path) == ["True", str(ROOT / "transfer_lab" / "__init__.py")]


def test_what_is_killed_while_it_starts_is_gone_at_once(tmp_path):
    """That is when impatient people press Ctrl-C."""
    script = """
import time
engine = LocalEngine(2)
held = [engine.submit(abs, n) for n in range(4)]
while not held[1].running(): pass
began = time.monotonic()
engine.kill()
print(*[type(future.exception(timeout=10)).__name__ for future in held[:2]])
print(*[future.cancelled() for future in held[2:]], time.monotonic() - began < 1)"""
    crash = WorkerCrashError.__name__
    assert ended(script, tmp_path) == [f"{crash} {crash}", "True True True"]


@pytest.mark.slow
@forks
def test_a_process_of_multiprocessing_that_has_used_an_engine_ends():
    """Whether the engine was closed or not: both at once, since each imports training."""
    script = """
import multiprocessing, sys
from transfer_lab.grid.engines.local import LocalEngine

def use(closes):
    engine = LocalEngine(1)
    assert engine.submit(abs, -3).result() == 3
    if closes:
        engine.close()

context = multiprocessing.get_context("fork")
children = [context.Process(target=use, args=(closes,)) for closes in (True, False)]
for child in children:
    child.start()
for child in children:
    child.join(60)
print(*[child.exitcode for child in children])
for child in children:
    child.kill()
"""
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=150, env=ENVIRONMENT)
    assert (done.stdout, done.stderr) == ("0 0\n", "")


def test_processes_spawned_from_two_threads_leave_the_main_module_where_it_was(monkeypatch):
    main, ways = sys.modules["__main__"], {"one": threading.Event(), "two": threading.Event()}
    seen = {}

    def start(name):
        seen[name] = sys.modules["__main__"]
        ways[name].wait(10)

    def process(target, args):
        return SimpleNamespace(start=lambda: target(*args))

    monkeypatch.setattr(
        spawning.multiprocessing, "get_context", lambda _: SimpleNamespace(Process=process)
    )
    first, second = (
        threading.Thread(target=spawning.spawned, args=(start, (name,))) for name in ways
    )
    first.start()
    assert until(lambda: "one" in seen, 5)
    second.start()
    until(lambda: "two" in seen, 0.3)  # it may begin now or once the first is through
    ways["one"].set()
    first.join()
    ways["two"].set()
    second.join()
    assert seen.keys() == ways.keys()
    assert main not in seen.values()
    assert sys.modules["__main__"] is main


def test_kill_ends_workers_and_what_waits_for_them_and_starts_no_others():
    assert first_answer(1, double, 1) == 2  # what workers are forked from stays
    others = descendants()
    stopped = LocalEngine(1)
    held = [stopped.submit(whoami, 60) for _ in range(3)]
    assert until(lambda: held[0].running() and descendants() - others, 20)
    stopped.kill()
    assert isinstance(held[0].exception(timeout=10), WorkerCrashError)
    assert all(future.cancelled() for future in held[1:])
    assert until(lambda: not descendants() - others, 3)
    assert not until(lambda: descendants() - others, 1)


def test_close_waits_for_what_runs_and_leaves_no_worker(engine):
    """The last test of this file: the shared workers do not survive it."""
    pids = {f.result() for f in [engine.submit(whoami, 0.3) for _ in range(4)]}
    last = [engine.submit(whoami, 0.3) for _ in pids]
    assert until(lambda: all(future.running() for future in last), 5)
    engine.close()
    workers.cache_clear()
    assert all(future.done() for future in last)
    assert {future.result() for future in last} == pids
    assert until(lambda: not pids & descendants(), 5)
