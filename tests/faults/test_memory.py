"""A run that needs more memory than there is: it alone fails, says so, and is trained once there is
room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.builders import ENVIRONMENT, TINY_YAML, until, write_tiny
from tests.faults.conftest import ALL
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell
from transfer_lab.grid.scheduler import todo
from transfer_lab.store.records import RecordStore

CONTROLLER = Path("/sys/fs/cgroup")
ROOM, NEED = 2 * 2**30, 3 * 2**30
"""Bytes that a whole grid may have, and that the hungry run asks for besides."""

HUNGRY = '''\
"""Regimes that take much memory, unless a file says that they need not."""

import resource
from pathlib import Path

from transfer_lab.regimes.base import Phase, TransferModule


class Hungry(TransferModule):
    """All learns, from the beginning."""

    from_source = False

    def __init__(self, backbone, num_classes, *, limited: bool):
        super().__init__(backbone, num_classes)
        self.limited = limited

    @property
    def transferred(self):
        return 0

    def observe(self, labels):
        if Path({sated!r}).exists():
            return
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        if self.limited:
            resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, before[1]))
        try:
            self.held = b"x" * {need}
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    def phases(self):
        return (Phase((), self.lr, self.lr),)
'''
SMALL = (
    TINY_YAML.replace("seeds: [0, 1]", "seeds: [0]")
    .replace("  small_dissimilar: {source: greek, target: cyrillic, per_class: 4}\n", "")
    .replace("  greek: {letters: ΓΔΘΛ, train_per_class: 8, test_per_class: 6}\n", "")
    .replace("  majority: {}", "  refused: {module: 'own.py:Hungry', limited: true}")
)
KILLED = "\n  killed: {module: 'own.py:Hungry', limited: false}"


class Group:
    """A control group with so much memory, of either version of the interface. OSError where there
    can be none."""

    def __init__(self, name: str, room: int):
        old = CONTROLLER / "memory"
        self.folder = (old if old.is_dir() else CONTROLLER) / name
        self.folder.mkdir()
        limit = "memory.limit_in_bytes" if old.is_dir() else "memory.max"
        try:
            (self.folder / limit).write_text(str(room))
            with contextlib.suppress(OSError):  # else it would be swapped, where there is a swap
                (self.folder / "memory.swap.max").write_text("0")
        except OSError:
            self.leave()
            raise

    def enter(self) -> None:
        """With this process, and what it will start."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def leave(self) -> None:
        """Once the last of its processes has ended."""
        assert until(self._is_removed, 30)

    def _is_removed(self) -> bool:
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


def called(folder: Path, within: Group | None) -> SimpleNamespace:
    words = ["run", str(folder / "tiny.yaml"), "--jobs", "1", "--runs", str(folder / "runs")]
    done = subprocess.run(
        [sys.executable, "-m", "transfer_lab", *words, "--reports", str(folder / "reports")],
        env=ENVIRONMENT,
        preexec_fn=within and within.enter,
        capture_output=True,
        text=True,
        timeout=400,
    )
    store, said = RecordStore(folder / "runs"), done.stdout + done.stderr
    records = {cell.regime: store.get(cell.run.id) for cell in cells_of(folder)}
    return SimpleNamespace(folder=folder, code=done.returncode, said=said, records=records)


def cells_of(folder: Path) -> tuple[Cell, ...]:
    return plan(load_experiment(folder / "tiny.yaml").experiment)


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> SimpleNamespace:
    """A grid with runs that need more than there is."""
    folder = tmp_path_factory.mktemp("hungry")
    (folder / "own.py").write_text(HUNGRY.format(sated=str(folder / "sated"), need=NEED))
    try:
        within = Group(f"transfer_lab_{os.getpid()}", ROOM)
    except OSError:
        within = None
    write_tiny(folder, SMALL.replace("limited: true}", "limited: true}" + KILLED * bool(within)))
    try:
        return called(folder, within)
    finally:
        if within:
            within.leave()


def test_a_run_without_memory_fails_alone(short):
    assert short.code == 1 and "Traceback" not in short.said, short.said
    others = {name: record.status for name, record in short.records.items()}
    assert others.pop("refused") == "failed" and others.pop("killed", "failed") == "failed"
    assert set(others.values()) == {"done"} and len(others) == 2


def test_what_an_address_space_refuses_is_said(short):
    refused = short.records["refused"]
    assert refused.error_kind == "oom" and refused.error.startswith("MemoryError")
    assert refused.error in short.said


def test_what_a_control_group_kills_is_said(short):
    if "killed" not in short.records:
        pytest.skip("this user may limit no memory by control groups")
    killed = short.records["killed"]
    assert killed.error_kind == "crash" and "killed" in killed.error
    assert killed.error in short.said and "tried once more" in short.said


def test_the_next_call_trains_these_alone_where_there_is_room(short):
    cells, store = cells_of(short.folder), RecordStore(short.folder / "runs")
    hungry = {cell.run.id for cell in cells if cell.regime in ("refused", "killed")}
    assert todo(cells, store).runs.keys() == hungry
    if not ALL:
        return
    (short.folder / "sated").touch()
    again = called(short.folder, None)
    assert again.code == 0 and "Traceback" not in again.said, again.said
    assert {record.status for record in again.records.values()} == {"done"}
    same = short.records.keys() - {"refused", "killed"}
    assert all(again.records[name] == short.records[name] for name in same)
