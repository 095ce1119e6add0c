"""What `plan` and `status` say: in names of the experiment, in the width of a window, as JSON."""

import io
import json
import shlex

import pytest
from rich.console import Console

from tests.builders import TINY_YAML, write_tiny
from tests.cli.test_app import CELLS, Lab, call
from tests.cli.test_app import RUNS as ALL
from tests.own_code import BACKBONE
from transfer_lab.cli import commands
from transfer_lab.cli.plan import Planned, told
from transfer_lab.cli.status import Status
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.grid.estimate import Estimate
from transfer_lab.grid.train import command_for
from transfer_lab.store import outdated as old
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system.files import REPORTS, RUNS
from transfer_lab.system.workers import Workers

PLACE = "target: cyrillic, per_class: 4, size: small, similarity: dissimilar"
NAMED = (
    TINY_YAML.replace("mlp: {width: 8, depth: 2}", "small_net: {kind: mlp, width: 8, depth: 2}")
    .replace("linear_probe: {}", "linear_probe: {}\n  early_probe: {kind: linear_probe, stage: 1}")
    .replace("small_dissimilar", "a_scenario_with_a_long_name")
    .replace("greek, target: cyrillic, per_class: 4", f"greek, {PLACE}")
)


@pytest.fixture
def lab(tmp_path):
    found = Lab(tmp_path)
    write_tiny(tmp_path, NAMED)
    return found


def window(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(commands, "OUT", console)
    monkeypatch.setattr(commands, "VOICE", commands.grid.Voice(console, commands._warn))
    return console.file


def planned(lab):
    return Planned(load_experiment(lab.experiment).experiment, RecordStore(lab.runs))


def test_plan_fits_a_window_of_80_columns_and_names_regimes_as_the_experiment_does(
    lab, monkeypatch
):
    shown = window(monkeypatch)
    assert call(*lab.words("plan", "--verbose")) == 0
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    listed = [line for line in lines if line.startswith("to train  ")]
    assert len([line for line in listed if " seed " in line]) == 16
    assert any("small_net  early_probe" in line for line in listed)
    assert "early_probe   1 frozen, 2 unused" in shown.getvalue()


def test_no_two_lines_of_a_plan_differ_by_hash_alone(lab):
    lines = list(planned(lab).listing(wide=False))
    assert len(set(lines)) == len(lines)
    assert all(len(line.split()[-1]) == 16 for line in planned(lab).listing(wide=True))


def test_plan_says_what_training_takes_and_what_that_rests_on(lab, capsys):
    assert call(*lab.words("plan", "--jobs", "1")) == 0
    (line,) = [t for t in capsys.readouterr().out.splitlines() if t.startswith("to train: ")]
    assert "on 1 worker, " in line
    assert " of memory, " in line and " on disk; from a calibration of " in line


REFUSES_TO_TRAIN = """
    def forward(self, images, **part):
        if self.training and images.device.type != "meta":
            raise ValueError("not on a Sunday\\nand more of it")
        return super().forward(images, **part)
"""


def test_a_plan_whose_time_cannot_be_estimated_says_why_and_stands(tmp_path, capsys):
    lab = Lab(tmp_path)
    write_tiny(tmp_path, NAMED.replace("kind: mlp, width: 8, depth: 2", "module: own.py:TwoLayers"))
    (tmp_path / "own.py").write_text(BACKBONE + REFUSES_TO_TRAIN)
    assert call(*lab.words("plan")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "time cannot be estimated: ValueError: not on a Sunday"
    assert any(line.startswith("16 cells, 14 distinct runs; 14 to train") for line in lines)
    assert call(*lab.words("plan", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["estimate"] is None
    assert found["no_estimate"] == "ValueError: not on a Sunday"


def test_the_command_to_go_on_repeats_every_option(lab):
    file = load_experiment(lab.experiment, ["seeds=[0, 3]"])
    workers = Workers(2, 3, "fp32", "ray", 0.25)
    command = command_for(file, lab.runs, REPORTS, workers)
    assert shlex.split(command)[3:] == [
        *("--set", "seeds=[0, 3]", "--runs", str(lab.runs), "--jobs", "2", "--threads", "3"),
        *("--precision", "fp32", "--engine", "ray", "--gpus-per-run", "0.25"),
    ]
    assert command_for(file, RUNS, REPORTS, Workers()) == command_for(file, RUNS, REPORTS)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            Estimate(110, 250, 2, 1240, 310, 12, 0.0),
            "about 2 to 4 min on 2 workers, 1.2 GB of memory, 0.3 GB on disk; from 12 stored runs",
        ),
        (
            Estimate(20, 4800, 1, 900, 5, 0, 2.2),
            "about 20 s to 80 min on 1 worker, 0.9 GB of memory, 5 MB on disk; from a calibration "
            "of 2 s",
        ),
    ],
)
def test_an_estimate_is_one_sentence(found, text, monkeypatch):
    monkeypatch.setattr("transfer_lab.system.host.busy", lambda: 0.1)
    assert told(found) == text


def test_a_busy_machine_is_said_to_be_busy(monkeypatch):
    monkeypatch.setattr("transfer_lab.system.host.busy", lambda: 3.0)
    assert "keep this machine busy now (3.0 for each core)" in told(Estimate(1, 2, 1, 1, 1, 1, 0))


def test_plan_as_json_is_one_document(lab, capsys):
    assert call(*lab.words("plan", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert found["runs"]["to_train"] == found["runs"]["total"] == 14
    assert found["no_estimate"] is None
    assert found["estimate"]["low_seconds"] < found["estimate"]["high_seconds"]
    assert len(found["cells"]) == 16
    assert {cell["regime"] for cell in found["cells"]} >= {"early_probe", "majority"}
    assert {cell["backbone"] for cell in found["cells"]} == {"small_net"}


def stored_source_failure(lab):
    store = RecordStore(lab.runs)
    cell = next(cell for cell in planned(lab).cells if cell.run.parent)
    store.put(Record.failure(cell.run.parent, "oom", "too large"))
    return store, cell.run.parent


def test_status_names_a_failed_source_run_once_and_by_what_it_is(lab, capsys):
    _, source = stored_source_failure(lab)
    assert call(*lab.words("status")) == 0
    shown = capsys.readouterr().out
    assert "(4 blocked, 12 missing)" in shown
    assert shown.count("failed: source run on latin: small_net seed 0") == 1
    assert f"[{source.id}]: too large" in shown


def test_status_as_json_has_every_cell(lab, capsys):
    stored_source_failure(lab)
    assert call(*lab.words("status", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    counts = {"done": 0, "failed": 0, "blocked": 4, "missing": 12, "waiting": 0, "not needed": 0}
    assert found["counts"] == counts
    assert len(found["cells"]) == 16
    assert {cell["status"] for cell in found["cells"]} == {"blocked", "missing"}


def test_records_of_an_older_protocol_are_counted_and_not_used(tmp_path, monkeypatch, capsys):
    lab = Lab(tmp_path)
    store = RecordStore(lab.runs)
    runs = list(planned(lab).runs.values())
    for run in runs[:3]:
        made = Record(run_id=run.id_under(1), protocol=1, status="done")
        store.put(made)
    text = Status(load_experiment(lab.experiment).experiment, store).text(None)
    assert f"0 of {CELLS} cells done" in text
    told = f"3 records in {lab.runs} were made under protocol 1, of which nothing is used; the "
    assert told + f"present one is {old.PROTOCOL}: `run` trains them anew" in text
    assert call(*lab.words("report")) == 0
    assert told in capsys.readouterr().out
    assert f"{ALL} to train" in planned(lab).text(None)
    assert told in planned(lab).text(None)


def test_older_protocols_are_looked_for_without_opening_a_record(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    store = RecordStore(lab.runs)
    for run in planned(lab).runs.values():
        store.put(Record(run_id=run.id_under(1), protocol=1, status="done"))
    monkeypatch.setattr(RecordStore, "get", None)
    (found,) = old.outdated(load_runs(lab), store)
    assert found == (1, ALL)


def load_runs(lab):
    from transfer_lab.experiment.plan import plan, runs_of

    return runs_of(plan(load_experiment(lab.experiment).experiment)).values()
