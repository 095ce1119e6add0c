"""Ends what is left of a Ray cluster of one's own when the process that started it was killed.

Ray's agents look only twice a minute whether their node still lives. Run as a script, by the path
of this file, it imports nothing of the lab's.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "TRANSFER_LAB_CLUSTER"
"""Variable that all processes of the cluster inherit, and no others."""
_KEEPS_ENVIRONMENT = "SPT_NOENV"
"""Without it setproctitle, which names Ray's processes, writes over what /proc shows of theirs."""
_BETWEEN_LOOKS = 0.2
_EMPTY_LOOKS = 5
"""In a row that must find no process: one may just be starting another."""


class Guard:
    """A process beside this one that ends the marked ones should this one die before it says so."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        nothing = subprocess.DEVNULL
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(os.getpid()), self.mark],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            cwd="/",
            start_new_session=True,  # what is sent to this process's group is not for it
        )

    @contextlib.contextmanager
    def marking(self) -> Iterator[None]:
        """Processes that are started within this, and theirs, are the cluster's."""
        marks = {MARK: self.mark, _KEEPS_ENVIRONMENT: "1"}
        before = {name: os.environ.get(name) for name in marks}
        os.environ.update(marks)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def end(self) -> None:
        """The cluster has been ended: there is nothing to guard."""
        self._process.kill()
        self._process.wait()


def usable() -> bool:
    """Whether the system shows the environment of processes (Linux's /proc)."""
    return Path("/proc/self/environ").exists()


def marked(mark: str) -> set[int]:
    """The processes of this user that have the mark."""
    wanted, found = f"{MARK}={mark}".encode(), set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


def watch(parent: int, mark: str) -> None:
    """Wait for the end of the parent, then end all that has its mark."""
    while os.getppid() == parent:
        time.sleep(_BETWEEN_LOOKS)
    empty = 0
    while empty < _EMPTY_LOOKS:
        pids = marked(mark)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        empty = 0 if pids else empty + 1
        time.sleep(_BETWEEN_LOOKS)


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2])
