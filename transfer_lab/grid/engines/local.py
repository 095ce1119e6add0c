"""Worker processes on this machine, reused from run to run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from types import ModuleType

from transfer_lab.grid.engines.allocator import keep_freed_memory


class WorkerCrashError(RuntimeError):
    """A worker process died while it was running something."""


class LocalEngine:
    """`jobs` worker processes with `threads` threads each, started once.

    Every worker is a pool of one process, so that a crash is blamed on the run that was in it and
    costs no other run anything; the worker is then replaced.
    """

    def __init__(self, jobs: int, threads: int = 1):
        self.slots, self._threads = jobs, threads
        self._workers: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        self._processes: set[BaseProcess] = set()
        self._starting, self._killed = threading.Lock(), False
        self._dispatch = ThreadPoolExecutor(jobs, thread_name_prefix="dispatch")
        with _interrupts_ignored():
            for _ in range(jobs):
                self._workers.put(self._start())

    def submit(self, call: Callable[..., object], *args: object) -> Future:
        """Run `call(*args)` in the next free worker; WorkerCrashError if the worker dies."""
        return self._dispatch.submit(self._run, call, *args)

    def close(self) -> None:
        """Wait for what runs, then end the workers."""
        self._dispatch.shutdown(wait=True, cancel_futures=True)
        # Nothing is lost by then, and to take its modules apart costs a worker two seconds.
        self.kill()
        for process in self._processes:
            process.join()

    def kill(self) -> None:
        """End the workers now; what they were running is abandoned."""
        with self._starting:
            self._killed = True
            self._dispatch.shutdown(wait=False, cancel_futures=True)
            for process in self._processes:
                process.kill()

    def _run(self, call: Callable[..., object], *args: object) -> object:
        worker = self._workers.get()
        try:
            try:
                future = worker.submit(call, *args)
            except BrokenProcessPool:  # it died while it was idle: not this call's doing
                worker = self._start()
                if self._killed:
                    raise
                future = worker.submit(call, *args)
            return future.result()
        except BrokenProcessPool as error:
            worker = self._start()
            raise WorkerCrashError("the worker process died (killed or crashed)") from error
        finally:
            self._workers.put(worker)

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, _begin_worker, (self._threads,))
        with self._starting:
            if not self._killed:
                before = set(multiprocessing.active_children())
                with _main_module_hidden():
                    pool.submit(os.getpid)  # a pool starts its process with its first call
                self._processes |= set(multiprocessing.active_children()) - before
        return pool


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Children inherit it: Ctrl-C reaches the parent alone, which then decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    """A spawned process imports the main module of its parent, and so would run a user's script
    again unless its main part is guarded. Workers need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _begin_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    become_worker(threads)


def become_worker(threads: int) -> None:
    """Set this process up for runs, once in its life: torch is imported, with so many threads."""
    keep_freed_memory()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    from transfer_lab.training.fit import quiet

    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        # Adam asks for a GPU at every step, and under Lightning's settings torch then looks for
        # the driver's library in all folders: a tenth of a millisecond unless nothing is visible.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    quiet()


def _die_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
