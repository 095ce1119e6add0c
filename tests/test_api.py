"""The lab from a notebook or a script: what the commands do, returned instead of printed."""

import os
import pickle
import subprocess
import sys

import pandas as pd
import pytest
from ruamel.yaml import YAML

import transfer_lab
from tests.builders import ENVIRONMENT, TINY_YAML, SharedEngine, done, failed, write_tiny
from transfer_lab import ConfigError, load_experiment, records, report, run
from transfer_lab.experiment.loading import load_experiment as load_file
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Experiment
from transfer_lab.grid.engines import local
from transfer_lab.store.records import COLUMNS, RecordStore

TINY = YAML(typ="safe").load(TINY_YAML)


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(local, "LocalEngine", SharedEngine)


@pytest.fixture
def stored(tmp_path):
    """An experiment of which one run is done and one failed, and its store."""
    file = load_experiment(TINY)
    cells, store = plan(file.experiment), RecordStore(tmp_path / "runs")
    store.put(done(cells[0].run, test_accuracy=0.5, n_test=24))
    store.put(failed(cells[1].run))
    return file, store.root


def test_a_file_and_the_mapping_in_it_are_the_same_experiment(tmp_path):
    path = write_tiny(tmp_path)
    from_file = load_experiment(str(path))
    assert from_file.experiment == load_file(path).experiment
    assert load_experiment(TINY).experiment == from_file.experiment
    assert load_experiment({**TINY, "seeds": range(2)}).experiment == from_file.experiment


def test_a_mapping_is_read_and_never_changed():
    before = pickle.dumps(TINY)
    load_experiment(TINY, set={"regimes.linear_probe.lr": 0.1, "fit": {"epochs": 3}})
    assert pickle.dumps(TINY) == before


@pytest.mark.parametrize("given", ["file", "mapping"])
def test_set_overrides_values_as_the_command_line_does(tmp_path, given):
    path = write_tiny(tmp_path)
    values = {"seeds": (3, 4), "fit.epochs": 7, "regimes.linear_probe.lr": 1e-05, "title": "a: b"}
    found = load_experiment(path if given == "file" else TINY, set=values)
    assignments = ["seeds=[3,4]", "fit.epochs=7", "regimes.linear_probe.lr=1e-05", "title='a: b'"]
    assert found.experiment == load_file(path, assignments).experiment
    # What the report names as its command leads to the same experiment.
    told = list(found.source.overrides.values())
    assert load_file(path, told).experiment == found.experiment


def test_of_two_values_for_one_key_the_later_counts(tmp_path):
    path = write_tiny(tmp_path)
    file = load_file(path, ["fit.epochs=3", "fit={epochs: 4}", "fit.epochs=5"])
    assert load_file(path, file.source.overrides.values()).fit == file.fit


def test_an_experiment_shows_what_it_holds():
    file = load_experiment(TINY)
    assert (file.name, file.seeds) == ("tiny", (0, 1))
    assert set(file.scenarios) == {"small_similar", "small_dissimilar"}
    assert "tiny" in repr(file)
    assert pickle.loads(pickle.dumps(file)).experiment == file.experiment
    with pytest.raises(AttributeError):
        _ = file.sceanrios


def test_everything_that_is_wrong_stands_in_the_error():
    wrong = {**TINY, "seeds": [], "fit": {"epoch": 3}}
    with pytest.raises(ConfigError) as error:
        load_experiment(wrong, set={"image_size": "big"})
    text = str(error.value)
    assert len(text.splitlines()) == 3
    assert "experiment: seeds: " in text
    assert "experiment: fit.epoch: unknown key; did you mean 'epochs'?" in text
    assert '--set image_size="big": image_size: ' in text


@pytest.mark.parametrize("name", ["", ".", "a..b", "fit."])
def test_a_name_that_is_no_field_is_refused(name):
    with pytest.raises(ConfigError, match="name a field"):
        load_experiment(TINY, set={name: 1})


def test_an_object_that_is_no_value_is_refused():
    with pytest.raises(ConfigError, match=r"fit\.epochs"):
        load_experiment(TINY, set={"fit.epochs": object()})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        records(tmp_path / "none.yaml")


def test_records_are_those_of_the_store_one_row_a_cell(stored):
    file, runs = stored
    table = records(file, runs=runs)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 12
    assert table["status"].tolist()[:3] == ["done", "failed", "missing"]
    assert table["test_accuracy"].dtype == float
    assert table["test_accuracy"].dropna().unique().tolist() == [0.5]
    pd.testing.assert_frame_equal(records(TINY, runs=str(runs)), table)


def test_records_of_several_experiments_stand_below_each_other(stored):
    file, runs = stored
    other = load_experiment(TINY, set={"name": "other", "seeds": [0]})
    table = records([file, other.experiment], runs=runs)
    assert table["experiment"].tolist() == ["tiny"] * 12 + ["other"] * 6
    assert (table["status"] == "done").groupby(table["experiment"]).sum().to_dict() == {
        "tiny": 2,  # a run from scratch fills a cell of either scenario
        "other": 2,
    }


def test_a_report_is_a_path_and_shows_itself(stored, tmp_path):
    file, runs = stored
    page = report(file, runs=runs, reports=tmp_path / "reports")
    assert page == tmp_path / "reports" / "tiny" / "index.html"
    assert page.with_name("records.csv").exists()
    shown = page._repr_html_()
    assert shown.startswith("<iframe")
    assert "<script" not in shown
    assert "&lt;html" in shown
    assert "given in Python" in page.with_name("report.md").read_text()


def test_a_grid_is_trained_and_its_records_come_back(engine, tmp_path, capsys):
    runs = tmp_path / "runs"
    small = load_experiment(TINY, set={"seeds": [0], "regimes": ["from_scratch", "majority"]})
    table = run(small, runs=runs, jobs=2, progress=False)
    assert capsys.readouterr().out == ""
    assert table["status"].unique().tolist() == ["done"]
    assert not table["test_accuracy"].isna().any()
    pd.testing.assert_frame_equal(records(small, runs=runs), table)
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/record.json")}
    run(small, runs=runs)
    assert "nothing to train" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*/record.json")} == before


@pytest.mark.parametrize(
    ("said", "asked", "computed"),
    [("bf16", None, "bf16"), ("bf16", "fp32", "fp32"), ("fp32", None, "fp32")],
)
def test_an_experiment_says_its_numbers_and_whoever_runs_it_may_ask_for_others(
    engine, tmp_path, said, asked, computed
):
    changes = {"seeds": [0], "regimes": ["from_scratch"], "precision": said}
    small = load_experiment(TINY, set=changes)
    table = run(small, runs=tmp_path / "runs", jobs=2, precision=asked, progress=False)
    assert table["precision"].unique().tolist() == [computed]
    plain = load_experiment(TINY, set=changes | {"precision": "auto"})
    assert records(plain, runs=tmp_path / "runs")["status"].unique().tolist() == ["done"]


def test_what_preflight_refuses_is_an_error_that_names_the_field(engine, tmp_path):
    with pytest.raises(ConfigError, match=r"regimes\.linear_probe\.lrr: unknown option"):
        run(load_experiment(TINY, set={"regimes.linear_probe": {"lrr": 1}}), runs=tmp_path)
    assert not list(tmp_path.glob("*/record.json"))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot write there"):
        run(TINY, runs=tmp_path / "file" / "runs")
    with pytest.raises(ConfigError, match="cannot write there"):
        report(TINY, reports=tmp_path / "file" / "reports")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"jobs": 0}, "jobs"),
        ({"threads": 0}, "threads"),
        ({"precision": "fp8"}, "auto, fp32, bf16"),
        ({"engine": "slurm"}, "local, ray"),
        ({"gpus_per_run": 2}, "0 to 1"),
    ],
)
def test_workers_that_cannot_be_are_refused(tmp_path, asked, message):
    with pytest.raises(ValueError, match=message):
        run(TINY, runs=tmp_path / "runs", **asked)


def test_a_damaged_record_is_a_warning(stored):
    file, runs = stored
    path = next(runs.glob("*/record.json"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="damaged record"):
        records(file, runs=runs)


@pytest.mark.slow
def test_a_script_needs_no_guard_around_its_main_part(tmp_path):
    """Workers begin in a spawned process; it must not run the script again."""
    write_tiny(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        "from transfer_lab import load_experiment, run\n"
        "print('script')\n"
        "values = {'seeds': [0], 'regimes': ['majority']}\n"
        "table = run(load_experiment('tiny.yaml', set=values), jobs=1, progress=False)\n"
        "print(*table['status'])\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["script", "done", "done"]


def fresh(code: str) -> list[str]:
    """What a fresh process prints."""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return ended.stdout.split()


def test_importing_the_library_is_light():
    heavy = {"torch", "lightning", "pandas", "matplotlib", "wandb", "numpy"}
    code = "import sys\nfrom transfer_lab import load_experiment, run, records, report\n"
    assert not set(fresh(code + "print(*sys.modules)")) & heavy
    assert "pydantic" not in fresh("import sys, transfer_lab; print(*sys.modules)")


@pytest.mark.parametrize(
    "first", ["transfer_lab.store.records", "transfer_lab.reporting.report", "sys"]
)
def test_records_and_report_are_functions_whatever_was_imported_before(first):
    code = (
        f"import {first}, transfer_lab\n"
        "from transfer_lab import records, report\n"
        "print(callable(records), callable(report), callable(transfer_lab.records))\n"
    )
    assert fresh(code) == ["True"] * 3


def test_what_the_package_offers_is_there_and_nothing_else():
    assert set(transfer_lab.__all__) <= set(dir(transfer_lab))
    assert all(callable(getattr(transfer_lab, name)) for name in transfer_lab.__all__)
    with pytest.raises(AttributeError, match="reprot"):
        _ = transfer_lab.reprot


def test_an_experiment_built_in_python_is_one_as_well(stored):
    file, runs = stored
    built = Experiment.model_validate(file.experiment.model_copy(update={"name": "built"}))
    assert set(records(built, runs=os.fspath(runs))["experiment"]) == {"built"}
