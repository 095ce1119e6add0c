"""What a worker process does: sets itself up, then executes call after call."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from transfer_lab.grid.engines.allocator import keep_freed_memory

Outcome = tuple[object, BaseException | None]
"""A call's result, or what it raised."""


def work(connection: Connection, threads: int) -> None:
    """Execute the pickled calls that come, and send back each one's pickled outcome; the first
    thing sent is the process's id. The process ends when the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, calls), daemon=True).start()
    become_worker(threads)
    connection.send(os.getpid())
    while True:
        connection.send_bytes(_answer(calls.get()))


def become_worker(threads: int) -> None:
    """Set this process up for runs, once in its life: torch is imported, with so many threads."""
    prepare(threads)
    import torch

    from transfer_lab.training.fit import look_once, quiet

    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        # Adam asks for a GPU at every step, and under Lightning's settings torch then looks for
        # the driver's library in all folders: a tenth of a millisecond unless nothing is visible.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    quiet()
    look_once()


def prepare(threads: int) -> None:
    """What must be so before numpy and torch are imported."""
    keep_freed_memory()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def _listen(connection: Connection, calls: queue.SimpleQueue[bytes]) -> None:
    """In a thread of its own, so that a worker in the middle of a run ends with its parent too."""
    try:
        while True:
            calls.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


def _answer(message: bytes) -> bytes:
    try:
        call, args = pickle.loads(message)  # nosec B301 # from the parent, by a pipe of its own
        return pickle.dumps((call(*args), None))
    except BaseException as error:
        error.add_note(f"In the worker process:\n{traceback.format_exc()}")
        return _pickled_error(error)


def _pickled_error(error: BaseException) -> bytes:
    try:
        return pickle.dumps((None, error))
    except Exception:  # it holds what cannot travel
        return pickle.dumps((None, RuntimeError("".join(traceback.format_exception(error)))))


def pickled(call: Callable[..., object], args: tuple[object, ...]) -> bytes:
    """A call as a worker takes it."""
    return pickle.dumps((call, args))


def result_of(answer: bytes) -> object:
    """The result that a worker has sent; what the call raised is raised here."""
    outcome: Outcome = pickle.loads(answer)  # nosec B301 # from a worker of this process
    result, error = outcome
    if error is not None:
        raise error
    return result
