"""A grid tells in its store how far it is, as long as it runs."""

import io
import threading
import time

import pytest
from rich.console import Console

from tests.builders import write_tiny
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid import announcing as module
from transfer_lab.grid.announcing import Announcement
from transfer_lab.grid.progress import GridProgress
from transfer_lab.store.records import Record
from transfer_lab.store.running import running
from transfer_lab.system.pulse import beating, tell


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A grid's file, its progress, its runs, and the store in which it tells."""
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0.02)
    file = load_experiment(write_tiny(tmp_path), ["seeds=[4]"])
    cells = plan(file.experiment)
    runs = runs_of(cells)
    quiet = Console(file=io.StringIO(), force_terminal=False)
    with GridProgress(quiet, runs, run_names(file.experiment, cells)) as progress:
        yield file, progress, list(runs.values()), tmp_path / "runs"


def heard(root, wanted):
    """The first word of the grid that is as wanted."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for grid in running(root):
            if wanted(grid):
                return grid
        time.sleep(0.02)
    raise AssertionError(f"not told: {running(root)}")


def test_what_is_in_work_what_failed_and_how_much_is_left_is_told(told):
    file, progress, runs, root = told
    with Announcement(root, file, progress):
        progress.phase("looking at domains")
        assert heard(root, lambda grid: grid.phase == "looking at domains").total == len(runs)
        progress.train({}, 2)
        progress.started(runs[:1])
        with beating(progress.pulses / runs[0].id):
            tell("epoch 1 of 2", 0.5)
            grid = heard(root, lambda grid: grid.working and grid.working[0].share)
        assert grid.working[0].runs == (runs[0].id,)
        assert grid.working[0].doing == "epoch 1 of 2"
        assert grid.pulses == str(progress.pulses)
        assert grid.overrides == ("seeds=[4]",)
        progress.ended(runs[0], Record.failure(runs[0], "error", "no luck"))
        grid = heard(root, lambda grid: grid.ended)
        assert (grid.failed[0].run, grid.failed[0].error) == (runs[0].id, "no luck")
        assert grid.working == ()
    assert running(root) == []
    assert list((root / "running").iterdir()) == []


def test_it_ends_with_the_grid_however_that_ends(told):
    file, progress, _, root = told
    with pytest.raises(KeyboardInterrupt), Announcement(root, file, progress):
        heard(root, lambda grid: True)
        raise KeyboardInterrupt
    assert running(root) == []
    assert not [t for t in threading.enumerate() if "_tell_on" in t.name]


def test_a_store_that_cannot_be_written_goes_without(told):
    file, progress, _, root = told
    root.write_text("no folder")
    with Announcement(root, file, progress) as announcement:
        time.sleep(0.1)
        assert announcement._thread.is_alive()
    assert running(root) == []
