"""Workers that have ceased to do anything: what foreign code waits for may never come."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from transfer_lab.grid.engines.errors import WorkerHungError

PATIENCE = 600.0
"""Seconds: no disk, and no server that still answers, is silent for longer."""
_LOOKS = 60
_LEAST = 0.1
"""Seconds of a processor that count as work: a wait that wakes up now and then takes less."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Deeds(NamedTuple):
    """What a process and those that it has started have done so far."""

    processes: frozenset[int]
    cpu_seconds: float
    bytes_moved: int
    held: bool
    """Whether one of them is stopped, as by Ctrl-Z: then it is not its own doing."""

    def beyond(self, before: Deeds) -> bool:
        """Whether anything was done since."""
        return (
            self.held
            or self.processes != before.processes
            or self.cpu_seconds - before.cpu_seconds > _LEAST
            or self.bytes_moved != before.bytes_moved
        )


def wait_while_it_works(connection: Connection, pid: int) -> None:
    """Return when there is something to receive from the process, or it has hung up.

    Raises WorkerHungError when it has neither computed nor read nor written anything for
    `PATIENCE` seconds; what it has started is ended then, since that may hold the other end of the
    connection. Looks are counted, not seconds, so that a pause of this process, or of the whole
    machine, is none of the other's. Where the system does not tell (it is Linux's /proc), it is
    waited for as long as it takes.
    """
    since, idle = deeds(pid), 0
    while not connection.poll(PATIENCE / _LOOKS):
        now = deeds(pid)
        if now is None or since is None or now.beyond(since):
            since, idle = now, 0
            continue
        idle += 1
        if idle >= _LOOKS:
            _end(now.processes - {pid})
            raise WorkerHungError(
                f"for {PATIENCE / 60:g} min it has neither computed nor read nor written anything"
            )


def deeds(pid: int) -> Deeds | None:
    """What the process and its descendants have done; None where the system does not tell."""
    seconds, moved, held = 0.0, 0, False
    try:
        pids = _with_descendants(pid)
        for one in pids:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            held |= fields[0] in "Tt"
            seconds += (int(fields[11]) + int(fields[12])) / _TICKS
            moved += _moved(one)
    except (OSError, ValueError, IndexError):
        return None
    return Deeds(frozenset(pids), seconds, moved, held)


def _with_descendants(pid: int) -> list[int]:
    """The process, its children, theirs, and so on."""
    listed = [pid]
    for one in listed:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread has ended
                listed += map(int, path.read_text().split())
    return listed


def _end(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _moved(pid: int) -> int:
    """Bytes that the process has read and written; 0 where only the superuser is told."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar", "wchar")))
    return 0
