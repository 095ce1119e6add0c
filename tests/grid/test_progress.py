"""What a person sees while a grid runs: at 80 columns, and in a log."""

import io
import os
import subprocess
import sys
import tempfile
import time

import pytest
from rich.console import Console

from tests.builders import experiment
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid import progress as module
from transfer_lab.grid.progress import GridProgress, Waiting
from transfer_lab.grid.train import Voice
from transfer_lab.store.records import Record
from transfer_lab.system import pulse
from transfer_lab.system.pulse import beating

EARLY = {"kind": "linear_probe", "options": {"stage": 1}}
WANTED = experiment(
    regimes={"linear_probe": {"kind": "linear_probe"}, "early_probe": EARLY},
    backbones={"small_network": {"kind": "mlp", "options": {"width": 8}}, "cnn": {"kind": "cnn"}},
)
CELLS = plan(WANTED)
RUNS, NAMES = runs_of(CELLS), run_names(WANTED, CELLS)


def done(run):
    return Record(run_id=run.id, status="done")


def grid(console):
    return GridProgress(console, RUNS, NAMES)


def terminal(width=80, height=24):
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=height,
        color_system=None,
        _environ={"TERM": "xterm"},
    )


def seen(progress, width=80, height=24):
    """The lines as a window of that size shows them."""
    console = terminal(width, height)
    console.print(progress)
    return console.file.getvalue().splitlines()


@pytest.fixture
def progress():
    """A grid whose runs have begun; its window is not refreshed by itself."""
    found = grid(Console(file=io.StringIO(), force_terminal=False))
    found.train({}, 2)
    yield found
    found._stack.close()


def of_regime(name):
    return [cell.run for cell in CELLS if cell.regime == name and cell.run.id in RUNS]


def test_count_bar_and_times_stand_on_one_line_of_80(progress):
    run = of_regime("early_probe")[0]
    progress._started -= 3600
    progress._left = module.TimeLeft(RUNS, {}, 2)
    progress.started([run])
    progress._working[run.id].since -= 100
    with beating(progress.pulses / run.id):
        pulse.tell("epoch 7 of 12", 0.5)
    head, line = seen(progress)
    assert head.startswith(f"0 of {len(RUNS)} runs ─")
    assert "1:00:00, about " in head and head.endswith(" left")
    assert len(head) <= 80
    assert "epoch 7 of 12" in line


def test_runs_are_called_what_the_experiment_calls_them(progress):
    progress.started([of_regime("early_probe")[0]])
    (_, line) = seen(progress)
    assert line.startswith("  small_network early_probe, small_similar, seed 0")


def test_a_line_that_is_too_long_is_cut_and_keeps_what_moves(progress):
    run = of_regime("early_probe")[0]
    progress.started([run])
    with beating(progress.pulses / run.id):
        pulse.tell("epoch 7 of 12", 0.5)
    for line in seen(progress, width=40):
        assert len(line) <= 40
    assert seen(progress, width=40)[1].endswith("…  epoch 7 of 12")


def test_runs_in_one_pass_are_one_line(progress):
    same = [r for r in of_regime("early_probe") if NAMES[r.id].place == NAMES[RUNS_FIRST].place]
    progress.started(same)
    lines = seen(progress)
    assert len(lines) == 2
    assert "seeds 0, 1" in lines[1]
    progress.ended(same[0], done(same[0]))
    assert len(seen(progress)) == 2
    progress.ended(same[1], done(same[1]))
    (head,) = seen(progress)
    assert head.startswith(f"2 of {len(RUNS)} runs ")


RUNS_FIRST = of_regime("early_probe")[0].id


def test_a_low_window_says_how_many_lines_it_has_no_room_for(progress):
    for run in RUNS.values():
        progress.started([run])
    lines = seen(progress, height=10)
    assert len(lines) <= 9
    assert lines[-1] == f"  and {len(RUNS) - 5} more"


def test_before_the_runs_it_says_what_is_made_ready():
    found = grid(Console(file=io.StringIO()))
    found.phase("starting workers")
    assert seen(found)[1] == "  starting workers"
    with beating(found.ready):
        pulse.tell("looking at domains: latin (1 of 3)")
    assert seen(found)[1] == "  looking at domains: latin (1 of 3)"
    found._stack.close()


def test_a_failed_run_is_named_as_the_experiment_does_with_its_id():
    console = terminal(200)
    with grid(console) as found:
        found.train({}, 1)
        run = of_regime("early_probe")[0]
        found.started([run])
        found.ended(run, Record.failure(run, "oom", "too large"))
    told = f"failed: small_network early_probe, small_similar, seed 0 [{run.id}]: too large"
    assert told in console.file.getvalue()


def log():
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def test_a_log_has_plain_lines_at_a_sane_rate_with_times():
    console = log()
    with grid(console) as found:
        found.train({}, 1)
        found._started -= 65
        for run in RUNS.values():
            found.started([run])
            found._working[run.id].since -= 10
            found.ended(run, done(run))
    lines = console.file.getvalue().splitlines()
    assert 10 <= len(lines) <= 20
    assert lines[5].partition("; last: ")[0].startswith("1")
    assert "of 28 runs, 0:01:0" in lines[5].replace(f"of {len(RUNS)}", "of 28")
    assert " left; last: " in lines[5]
    assert lines[-1].startswith(f"{len(RUNS)} of {len(RUNS)} runs")
    assert "\x1b" not in console.file.getvalue()


def dumb_terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "dumb"})


def test_a_dumb_terminal_has_the_lines_of_a_log():
    console = dumb_terminal()
    assert not Voice(console, print).has_bar
    with grid(console) as found:
        found.train({}, 1)
        for run in RUNS.values():
            found.started([run])
            found.ended(run, done(run))
    lines = console.file.getvalue().splitlines()
    assert 10 <= len(lines) <= 20
    assert lines[-1].startswith(f"{len(RUNS)} of {len(RUNS)} runs, ")


def test_one_line_of_waiting_is_for_terminals_that_can_take_it_back():
    for console, shown in ((terminal(), True), (dumb_terminal(), False), (log(), False)):
        with Waiting(console, "loading torch"):
            pass
        assert ("loading torch" in console.file.getvalue()) == shown


def test_a_log_is_not_silent_while_a_long_run_goes_on(monkeypatch):
    monkeypatch.setattr(module, "_SILENCE", 0.0)
    console, run = log(), of_regime("early_probe")[0]
    with grid(console) as found:
        found.train({}, 1)
        found.started([run])
        with beating(found.pulses / run.id):
            pulse.tell("epoch 3 of 9", 0.2)
        end = time.monotonic() + 10
        while not console.file.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
    assert "seed 0: epoch 3 of 9" in console.file.getvalue()


def test_nothing_is_left_behind():
    with grid(terminal()) as found:
        assert found.pulses.is_dir()
    assert not found.pulses.exists()


def test_a_progress_without_a_temporary_folder_shows_what_it_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    console, run = terminal(), of_regime("early_probe")[0]
    with grid(console) as found:
        assert (found.pulses, found.ready) == (None, None)
        found.phase("starting workers")
        assert seen(found)[1] == "  starting workers"
        found.train({}, 1)
        found.started([run])
        assert "seed 0  starting" in seen(found)[1]
        found.ended(run, done(run))
    with Waiting(console, "loading torch"):
        pass
    assert "loading torch" in console.file.getvalue()


def test_folders_of_killed_grids_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = {f"transfer-lab-{os.getppid()}-a", "transfer-lab-notes", "transfer-lab-my-notes"}
    for name in (*kept, f"transfer-lab-{dead.pid}-a", f"transfer-lab-{10**30}-a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ready").touch()
    with grid(terminal()) as found:
        assert {path.name for path in tmp_path.iterdir()} == kept | {found.pulses.name}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_no_two_runs_have_the_same_name():
    assert len({str(name) for name in NAMES.values()}) == len(RUNS)
    assert {str(NAMES[run.id]) for run in RUNS.values() if not run.init} >= {
        "source run on latin: small_network seed 0",
        "source run on textures: cnn seed 0",
    }
