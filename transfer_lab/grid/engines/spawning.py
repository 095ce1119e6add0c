"""Processes that are spawned in the folder of their parent, without its main module."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from types import ModuleType

from transfer_lab.grid.engines.errors import EngineError

_hiding = threading.Lock()


def spawned(target: Callable[..., object], args: tuple[object, ...]) -> BaseProcess:
    """A new process that executes `target(*args)`. EngineError without a working folder."""
    working_folder()
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    with _main_module_hidden():
        process.start()
    return process


def working_folder() -> str:
    """This process's, in which new ones begin. EngineError if somebody has removed it."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise EngineError(
            f"the working folder{_removed()} does not exist any more, and workers begin in it; "
            "give the command again in a folder that exists"
        ) from error


def _removed() -> str:
    """The folder as Linux remembers it; nothing on other systems."""
    try:
        return " " + os.readlink("/proc/self/cwd").removesuffix(" (deleted)")
    except OSError:
        return ""


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
