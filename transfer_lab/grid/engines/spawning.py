"""Processes that are spawned without the main module of their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from types import ModuleType

_hiding = threading.Lock()


def spawned(target: Callable[..., object], args: tuple[object, ...]) -> BaseProcess:
    """A new process that executes `target(*args)`."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    with _main_module_hidden():
        process.start()
    return process


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    """A spawned process imports the main module of its parent, and so would run a user's script
    again unless its main part is guarded. Workers need nothing of it. One thread at a time, or
    the second would take the first one's stand-in for the main module."""
    with _hiding:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
