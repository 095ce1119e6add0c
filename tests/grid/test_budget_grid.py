"""A grid under several budgets, from the command line: planned, trained, counted, reported."""

import signal

import pandas as pd
import pytest

from tests.builders import TINY_YAML, SharedEngine, done, failed, write_tiny
from tests.cli.test_app import Lab, call
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines import local
from transfer_lab.reporting.trackers.copies import place_of
from transfer_lab.store.records import COLUMNS, RecordStore
from transfer_lab.store.results import frame

BUDGETS = "budgets: {longer: {epochs: 3}, converged: {epochs: 9, patience: 1}}\n"
MAIN, FURTHER = 12, 2 * 8


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The main grid first, and then the same with further budgets."""
    before = signal.getsignal(signal.SIGTERM)
    made = Lab(tmp_path_factory.mktemp("budgets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "LocalEngine", SharedEngine)
        assert call(*made.words("run")) == 0
        made.first = made.records()
        write_tiny(made.folder, TINY_YAML + BUDGETS)
        assert call(*made.words("run")) == 0
    signal.signal(signal.SIGTERM, before)
    return made


def test_what_was_trained_before_is_not_trained_again(lab):
    assert {run_id: lab.records()[run_id] for run_id in lab.first} == lab.first
    assert len(lab.records()) == len(lab.first) + 2 * 6


def test_every_cell_is_done_and_names_its_budget(lab):
    table = lab.table()
    assert list(table.columns) == list(COLUMNS)
    assert set(table["status"]) == {"done"}
    assert table["budget"].isna().sum() == MAIN
    assert set(table.loc[table["budget"] == "longer", "epochs"]) == {3}
    assert "majority" not in set(table.loc[table["budget"].notna(), "regime"])


def test_a_patient_run_says_how_it_ended_and_no_other_does(lab):
    table = lab.table()
    patient = table[table["budget"] == "converged"]
    assert set(patient["stopped"]) <= {"converged", "cap"}
    assert patient["stopped"].notna().all()
    assert (patient["epochs"] <= 9).all()
    assert table.loc[table["budget"] != "converged", "stopped"].isna().all()


def test_the_report_has_a_section_on_them(lab):
    assert "## Budgets" in lab.report()
    assert f"{MAIN + FURTHER} of {MAIN + FURTHER} cells done" in lab.report()


def test_plan_counts_and_lists_them(lab, capsys):
    assert call(*lab.words("plan", "--verbose")) == 0
    told = capsys.readouterr().out
    assert "x budgets: fit, longer, converged" in told
    assert "longer: 3 epochs" in told
    assert f"{MAIN + FURTHER} cells, 22 distinct runs; 0 to train" in told
    assert told.count(", budget longer") == told.count(", budget converged") == 8


def test_plan_says_nothing_of_budgets_where_there_is_one(tmp_path, capsys):
    assert call(*Lab(tmp_path).words("plan", "--verbose")) == 0
    assert "budget" not in capsys.readouterr().out


def test_status_counts_each_budget_and_names_that_of_a_failure(lab, tmp_path, capsys):
    other = lab.copy(tmp_path)
    write_tiny(tmp_path, TINY_YAML + BUDGETS)
    store = RecordStore(other.runs)
    cells = plan(load_experiment(other.experiment).experiment)
    (broken,) = (
        cell
        for cell in cells
        if (cell.scenario, cell.budget, cell.regime, cell.seed)
        == ("small_similar", "longer", "linear_probe", 1)
    )
    store.file(broken.run.id, "record.json").unlink()
    store.put(failed(broken.run))
    assert call(*other.words("status")) == 0
    told = capsys.readouterr().out
    assert f"{MAIN + FURTHER - 1} of {MAIN + FURTHER} cells done (1 failed)" in told
    (line,) = (line for line in told.splitlines() if line.startswith("linear_probe, budget longer"))
    assert line.split()[-2:] == ["1/2", "2/2"]
    place = "mlp linear_probe, budget longer, small_similar, seed 1"
    assert f"failed: {place} [{broken.run.id}]: it went wrong\n" in told


def test_equal_runs_under_two_budgets_are_two_cells_of_one_record(tmp_path):
    text = TINY_YAML.replace("fit: {epochs: 2", "fit: {epochs: 3") + BUDGETS.replace("3}", "2}")
    main = plan(load_experiment(write_tiny(tmp_path)).experiment)
    among = plan(load_experiment(write_tiny(tmp_path, text)).experiment)
    learning = {cell.run.id for cell in main if cell.regime != "majority"}
    assert {cell.run.id for cell in among if cell.budget == "longer"} == learning


def test_cells_that_differ_in_the_budget_alone_have_different_places(tmp_path):
    cells = plan(load_experiment(write_tiny(tmp_path, TINY_YAML + BUDGETS)).experiment)
    assert len({place_of(cell) for cell in cells}) == len(cells)
    first = cells[0]
    assert place_of(first) == f"{first.scenario}/{first.backbone}/{first.regime}/{first.seed}"


def test_a_record_of_a_time_before_patience_is_read_as_it_was(tmp_path):
    (cell, *_) = plan(load_experiment(write_tiny(tmp_path)).experiment)
    store = RecordStore(tmp_path / "runs")
    store.put(done(cell.run))
    table = frame([cell], store)
    assert pd.isna(table["stopped"].iloc[0])
    assert table["budget"].iloc[0] is None
