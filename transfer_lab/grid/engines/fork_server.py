"""A process that has imported training once and forks workers from itself.

The imports cost seconds of a processor, and every worker would pay them. `multiprocessing`'s own
fork server belongs to the whole program, finds no module that only the parent's `sys.path` knows,
and keeps one environment; this one is spawned, so it starts with the parent's path, environment
and folder, and hands what has changed since to each worker.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from pathlib import Path

from transfer_lab.grid.engines.spawning import spawned, working_folder
from transfer_lab.grid.engines.worker_process import prepare, work

PRELOADED = "transfer_lab.grid.worker"
"""What workers need; it imports torch, Lightning and the training code."""
FIRST_AT_EXIT = 100
"""Before what multiprocessing itself registers, with priorities from -100 to 15."""
_GPUS = ("nvidia*", "dxg", "kfd")
"""Device files of NVIDIA's driver, of a GPU under Windows (WSL), of AMD's driver."""


def usable(devices: Path = Path("/dev")) -> bool:
    """Whether workers may be forked from a process that has imported torch.

    Not where there is a GPU: a fork of a process that has used one cannot use it, and what the
    imports do with it is theirs to change. Nor on macOS, whose libraries do not survive a fork.
    """
    gpus = (found for pattern in _GPUS for found in devices.glob(pattern))
    return sys.platform == "linux" and next(gpus, None) is None


@dataclass(frozen=True)
class Surroundings:
    """What a worker takes over from its parent as it is when the worker starts."""

    environment: dict[str, str]
    path: list[str]
    folder: str

    @classmethod
    def of_this_process(cls) -> Surroundings:
        """The environment, module path and working folder. EngineError if that was removed."""
        return cls(dict(os.environ), list(sys.path), working_folder())

    def enter(self) -> None:
        """Make them this process's own."""
        os.environ.clear()
        os.environ.update(self.environment)
        sys.path[:] = self.path
        os.chdir(self.folder)


class ForkServer:
    """Forks workers with `threads` threads; ends with the process that started it."""

    def __init__(self, threads: int):
        self.threads, self._owner = threads, os.getpid()
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = spawned(_serve, (theirs, threads))
        # Before multiprocessing, at the end of this process, waits for the other one; `atexit` is
        # too late for that in a process that multiprocessing has started.
        self._at_exit = Finalize(None, self.end, exitpriority=FIRST_AT_EXIT)

    def fork(self, connection: Connection) -> None:
        """Ask for a worker at the other end of what `connection` is connected to, which gets its
        surroundings from there first. OSError if the server has died."""
        socket.send_fds(self._requests, [b"w"], [connection.fileno()])

    def serves(self, threads: int) -> bool:
        """Whether it forks such workers for this process."""
        return (self._owner, self.threads) == (os.getpid(), threads)

    def end(self) -> None:
        """End the server; workers that it has forked live on."""
        self._at_exit.cancel()
        if self._owner == os.getpid():  # before it can take this for the end of its owner
            self._process.kill()
            self._process.join()
        self._requests.close()


_server: ForkServer | None = None
_starting = threading.Lock()


def fork_worker(ours: Connection, theirs: Connection, threads: int) -> None:
    """Start a worker at `theirs` from this process's fork server, which is started at need.
    EngineError without a working folder."""
    global _server
    surroundings = Surroundings.of_this_process()
    with _starting:
        if _server and not _server.serves(threads):
            _server.end()
            _server = None
        try:
            _server = _server or ForkServer(threads)
            _server.fork(theirs)
        except BrokenPipeError:  # somebody has killed it
            _server.end()
            _server = ForkServer(threads)
            _server.fork(theirs)
    with contextlib.suppress(OSError):  # it has died since: whoever calls the worker will notice
        ours.send(surroundings)


def _serve(requests: socket.socket, threads: int) -> None:
    """The server's life. Whenever it forks, no thread of Python runs beside this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(threads)
    with _ending_with_the_other_side(requests), contextlib.suppress(Exception):
        importlib.import_module(PRELOADED)  # what fails here fails again, loudly, in the worker
    gc.freeze()  # so that no collection in a worker writes to, and thereby copies, shared pages
    context = multiprocessing.get_context("fork")
    while True:
        message, descriptors, *_ = socket.recv_fds(_ready(requests), 1, 1)
        if not message:  # the other side was killed: a stopped worker cannot see that itself
            for worker in multiprocessing.active_children():
                worker.kill()
            os._exit(0)
        os.set_inheritable(descriptors[0], False)
        with Connection(descriptors[0]) as connection:
            context.Process(target=_forked, args=(requests, connection, threads)).start()


def _ready(requests: socket.socket) -> socket.socket:
    """Collect workers that end, until there is something to read."""
    ended = [worker.sentinel for worker in multiprocessing.active_children()]
    while requests not in wait([requests, *ended]):
        ended = [worker.sentinel for worker in multiprocessing.active_children()]
    return requests


@contextlib.contextmanager
def _ending_with_the_other_side(requests: socket.socket):
    """Within this, the process ends at once when the other side hangs up."""
    done, watched = os.pipe()
    poll = select.poll()
    poll.register(requests, select.POLLHUP)
    poll.register(done, select.POLLHUP)

    def watch() -> None:
        if requests.fileno() in dict(poll.poll()):
            os._exit(0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(watched)
        thread.join()
        os.close(done)


def _forked(requests: socket.socket, connection: Connection, threads: int) -> None:
    """The life of a worker."""
    requests.close()
    try:
        connection.recv().enter()
    except EOFError:  # its engine was ended before it began
        return
    _forget_randomness()
    work(connection, threads)


def _forget_randomness() -> None:
    """numpy's global generator is the server's, the same in every worker; `random` sees to itself,
    and torch begins at the same seed in any process."""
    import numpy as np

    np.random.seed()
