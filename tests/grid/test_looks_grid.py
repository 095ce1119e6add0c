"""A grid whose seeds are trained where they are needed, from the command line: planned, trained
look after look by the same workers, stopped and gone on with, counted, reported."""

import json
import shutil
import signal
from typing import ClassVar

import pytest

from tests.builders import TINY_YAML, SharedEngine, write_tiny
from tests.cli.test_app import Lab, call
from transfer_lab import load_experiment, records, run
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines import local
from transfer_lab.reporting.looks import course
from transfer_lab.store.records import RecordStore

TEXT = TINY_YAML.replace("seeds: [0, 1]", "seeds: {start: 2, at_most: 3, until: 0.1}")
FIRST, LATER = 12, 4
"""Cells of the first look, and of the second at most: the control has no third seed."""
METRICS = ["run_id", "status", "test_accuracy", "val_accuracy", "train_accuracy", "epochs", "steps"]


class Counted(SharedEngine):
    """Says how often workers were started, and for how many slots."""

    started: ClassVar[list[int]] = []

    def __init__(self, jobs, threads=1):
        super().__init__(jobs, threads)
        self.started.append(jobs)


@pytest.fixture(scope="module", autouse=True)
def _shared_workers():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "LocalEngine", Counted)
        yield
    signal.signal(signal.SIGTERM, before)


def laboratory(folder):
    made = Lab(folder)
    write_tiny(folder, TEXT)
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The grid, run undisturbed; and what it printed."""
    lab = laboratory(tmp_path_factory.mktemp("looks"))
    Counted.started.clear()
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("transfer_lab.cli.commands.VOICE.__class__.say", lambda _, t: said.append(t))
        assert call(*lab.words("run", "--jobs", "1")) == 0
    lab.said, lab.starts = said, [*Counted.started]
    return lab


def states(lab):
    return lab.table()["status"].value_counts().to_dict()


def test_the_plan_says_from_how_many_to_how_many_runs(tmp_path, capsys):
    lab = laboratory(tmp_path)
    assert call(*lab.words("plan", "--verbose")) == 0
    told = capsys.readouterr().out
    assert "x seeds: 2, then 3, until nothing is more than 0.1 points better" in told
    assert "2 to 3 seeds: 10 to 13 runs for 12 to 16 cells; 10 to train, at most 3 more, " in told
    assert " (with every seed " in told
    listed = [line.split("  ")[0] for line in told.splitlines() if " seed 3" in line]
    assert sorted(listed) == ["not needed"] * 2 + ["waiting"] * LATER
    assert call(*lab.words("plan", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["runs"]["to_train"], found["runs"]["at_most_later"]) == (10, 3)
    assert found["estimate_at_most"]["high_seconds"] > found["estimate"]["high_seconds"]


def test_it_trains_look_after_look_and_says_why_with_workers_started_once(whole):
    lines = [line for line in whole.said if line.startswith("small_")]
    assert [line.partition(":")[0] for line in lines[:2]] == [
        *("small_similar/mlp", "small_dissimilar/mlp")
    ]
    assert all(line.endswith(", going on") for line in lines[:2])
    assert all(line.endswith((", and no more seeds", "others")) for line in lines[2:])
    to_train = [line for line in whole.said if " to train for " in line]
    assert to_train == [
        "10 runs to train for 12 cells; starting workers ...",
        "3 runs to train for 4 cells",
    ]
    assert whole.starts == [1]


def test_the_table_says_what_was_not_needed(whole):
    assert states(whole) == {"done": FIRST + LATER, "not needed": 2}
    table = whole.table()
    assert set(table[table["status"] == "not needed"]["regime"]) == {"majority"}
    assert table[table["status"] == "not needed"]["test_accuracy"].isna().all()
    assert table["together"].max() > 1, "heads of several seeds are fitted in one pass"


def test_status_counts_what_is_needed(whole, capsys):
    assert call(*whole.words("status")) == 0
    told = capsys.readouterr().out
    assert f"{FIRST + LATER} of {FIRST + LATER} cells done (2 not needed)" in told
    assert "3/3" in told and "2/2" in told
    assert call(*whole.words("status", "--json")) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert counts == {
        "done": 16,
        "failed": 0,
        "blocked": 0,
        "missing": 0,
        "waiting": 0,
        "not needed": 2,
    }


def test_the_report_says_what_each_place_took(whole):
    assert "16 of 16 cells done (2 not needed)" in whole.report()
    page = (whole.reports / "tiny" / "index.html").read_text()
    assert "Trainings of each place" in page
    assert "13 trainings were made" not in page, "source runs are not counted"
    assert "11 trainings were made; 3 seeds everywhere are 12." in page


def test_what_is_finished_is_not_trained_again(whole, tmp_path, capsys):
    lab = whole.copy(tmp_path)
    write_tiny(tmp_path, TEXT)
    before = lab.records()
    assert call(*lab.words("run")) == 0
    assert "all 16 cells that are needed are stored; nothing to train" in capsys.readouterr().out
    assert lab.records() == before
    assert lab.table()[METRICS].equals(whole.table()[METRICS])


@pytest.mark.parametrize("lost", [(3,), (2, 3)])
def test_a_grid_that_lost_its_last_runs_comes_to_the_same(whole, tmp_path, capsys, lost):
    """As one that was stopped before: within its second look, or within its first."""
    lab = whole.copy(tmp_path)
    write_tiny(tmp_path, TEXT)
    for cell in plan(load_experiment(lab.experiment).experiment):
        if cell.seed in lost:
            shutil.rmtree(lab.runs / cell.run.id, ignore_errors=True)
    assert call(*lab.words("status")) == 0
    told = capsys.readouterr().out
    if lost == (3,):
        assert "12 of 16 cells done (4 missing, 2 not needed)" in told
    else:
        assert "6 of 16 cells done (6 missing, 4 waiting, 2 not needed)" in told
    assert call(*lab.words("run", "--jobs", "2")) == 0
    assert lab.table()[METRICS].equals(whole.table()[METRICS])


def test_from_python_it_is_the_same(whole, tmp_path):
    lab = whole.copy(tmp_path)
    file = load_experiment(write_tiny(tmp_path, TEXT))
    for cell in plan(file.experiment):
        if cell.seed == 3:
            shutil.rmtree(lab.runs / cell.run.id, ignore_errors=True)
    table = run(file, runs=lab.runs, jobs=2, progress=False)
    assert table["status"].value_counts().to_dict() == {"done": 16, "not needed": 2}
    assert records(file, runs=lab.runs)["status"].tolist() == table["status"].tolist()
    found = course(file.experiment, plan(file.experiment), RecordStore(lab.runs))
    assert found.over
    assert {len(look) for look in found.looks} == {2}


def test_a_run_that_fails_in_one_look_is_not_tried_again_in_the_next(whole, tmp_path, monkeypatch):
    lab = laboratory(tmp_path)
    file = load_experiment(lab.experiment)
    monkeypatch.setattr("transfer_lab.grid.train._execute", _fails_for_seed_2)
    table = run(file, runs=lab.runs, jobs=2, progress=False)
    broken = table[(table["regime"] == "linear_probe") & (table["seed"] == 2)]
    assert set(broken["status"]) == {"failed"}
    assert set(table[table["seed"] == 3]["status"]) == {"done", "not needed"}
    tried = (lab.folder / "tried").read_text().split()
    assert len(tried) == len(set(tried)) == 2


def _fails_for_seed_2(root, workers, slots, commit, runs, keep_weights, *, pulses=None):
    """In a worker: as `_execute`, but for probes of one seed."""
    from pathlib import Path

    from transfer_lab.grid import train
    from transfer_lab.store.records import Record, RecordStore

    made = []
    for one in runs:
        if one.regime.kind == "linear_probe" and one.seed == 2:
            with (Path(root).parent / "tried").open("a") as file:
                file.write(f"{one.id}\n")
            made.append(Record.failure(one, "error", "not this one"))
            RecordStore(root).put(made[-1])
        else:
            made += train._execute(root, workers, slots, commit, (one,), keep_weights)
    return made
