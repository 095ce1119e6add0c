"""Worker processes on this machine, reused from run to run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize

from transfer_lab.grid.engines import fork_server
from transfer_lab.grid.engines.errors import EngineError, WorkerCrashError, WorkerHungError
from transfer_lab.grid.engines.idleness import wait_while_it_works
from transfer_lab.grid.engines.spawning import spawned
from transfer_lab.grid.engines.worker_process import pickled, result_of, work


class LocalEngine:
    """`jobs` worker processes with `threads` threads each, started once.

    A crash is blamed on the run that was in the worker and costs no other run anything; the worker
    is then replaced, and so is one that has run foreign code before it runs anything else, or that
    waits there for what never comes.
    """

    def __init__(self, jobs: int, threads: int = 1):
        self.slots, self._threads = jobs, threads
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._starting, self._killed = threading.Lock(), False
        self._dispatch = ThreadPoolExecutor(jobs, thread_name_prefix="dispatch")
        with _interrupts_ignored():
            self._workers = {_Worker(threads) for _ in range(jobs)}
        for worker in self._workers:
            self._free.put(worker)
        # Before multiprocessing, at the end of this process, waits for them.
        self._at_exit = Finalize(None, self.kill, exitpriority=fork_server.FIRST_AT_EXIT)

    def submit(self, call: Callable[..., object], *args: object) -> Future:
        """Run `call(*args)` in the next free worker; WorkerCrashError if the worker dies,
        EngineError if there is none and none can be started."""
        return self._dispatch.submit(self._run, None, call, *args)

    def submit_apart(self, code: str, call: Callable[..., object], *args: object) -> Future:
        """The same of what runs foreign code, in a worker that has run and will run no other;
        WorkerHungError if it ceases to do anything."""
        return self._dispatch.submit(self._run, code, call, *args)

    def close(self) -> None:
        """Wait for what runs, then end the workers."""
        self._dispatch.shutdown(wait=True, cancel_futures=True)
        # Nothing is lost by then, and to take its modules apart costs a worker two seconds.
        self.kill()
        for worker in self._workers:
            worker.join()

    def kill(self) -> None:
        """End the workers now; what they were running is abandoned."""
        self._at_exit.cancel()
        with self._starting:
            self._killed = True
            self._dispatch.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.kill()

    def _run(self, code: str | None, call: Callable[..., object], *args: object) -> object:
        message = pickled(call, args)
        worker = self._free.get()
        try:
            if worker.code not in (None, code):
                worker.kill()
                worker = self._replace(worker)
            worker.code = code
            try:
                worker.send(message)
            except OSError:  # it died while it was idle: not this call's doing
                worker = self._replace(worker)
                worker.code = code
                worker.send(message)
            answer = worker.receive()
        except WorkerHungError:
            worker.kill()
            with contextlib.suppress(EngineError):
                worker = self._replace(worker)
            raise
        except (EOFError, OSError) as error:
            with contextlib.suppress(EngineError):  # which is for the next call to hear
                worker = self._replace(worker)
            raise WorkerCrashError("the worker process died (killed or crashed)") from error
        finally:
            self._free.put(worker)
        return result_of(answer)

    def _replace(self, dead: _Worker) -> _Worker:
        """Another worker, unless the engine was killed."""
        with self._starting:
            if self._killed:
                return dead
            self._workers.discard(dead)
            dead.join()
            worker = _Worker(self._threads)
            self._workers.add(worker)
            return worker


class _Worker:
    """A worker process, forked where that is possible and spawned elsewhere, and the way to it."""

    def __init__(self, threads: int):
        self._connection, theirs = multiprocessing.Pipe()
        self._process: BaseProcess | None = None
        self._pid = 0  # until it has begun
        self.code: str | None = None
        """What foreign code it has run."""
        self._forked: _Forked | None = None
        with theirs:
            if fork_server.usable():
                fork_server.fork_worker(self._connection, theirs, threads)
            else:
                self._process = spawned(work, (theirs, threads))

    def send(self, message: bytes) -> None:
        """Hand it a call. OSError if it is dead."""
        self._connection.send_bytes(message)

    def receive(self) -> bytes:
        """Wait for the answer. EOFError or OSError if it dies, WorkerHungError if foreign code
        ceases to do anything."""
        if not self._pid:
            self._pid = self._connection.recv()
            self._forked = None if self._process else _forked(self._pid)
        if self.code:
            wait_while_it_works(self._connection, self._pid)
        return self._connection.recv_bytes()

    def kill(self) -> None:
        """End it now, or as soon as it begins."""
        if self._connection.closed:
            return
        with contextlib.suppress(OSError):
            if self._process:
                self._process.kill()
            elif not (self._forked and self._forked.kill()):
                with socket.socket(fileno=os.dup(self._connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait for its end."""
        with self._connection, contextlib.suppress(EOFError, OSError):
            while True:
                self._connection.recv_bytes()
        if self._process:
            self._process.join()
        if self._forked:
            self._forked.close()


class _Forked:
    """A process that is no child of this one, held by a descriptor: its number may be another
    process's once it is dead. AttributeError or OSError where there are no such descriptors."""

    def __init__(self, pid: int):
        self._send, self._descriptor = signal.pidfd_send_signal, os.pidfd_open(pid)
        self.close = weakref.finalize(self, os.close, self._descriptor)

    def kill(self) -> bool:
        """End it; whether it was there to be ended."""
        try:
            self._send(self._descriptor, signal.SIGKILL)
        except OSError:
            return False
        return True


def _forked(pid: int) -> _Forked | None:
    """The process, or None where it cannot be held."""
    try:
        return _Forked(pid)
    except (AttributeError, OSError):
        return None


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
