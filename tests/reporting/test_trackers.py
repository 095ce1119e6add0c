"""TensorBoard, MLflow and CSV files get copies by Lightning's loggers, beside the grid."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML

from tests.builders import (
    ENVIRONMENT,
    TINY_YAML,
    alive,
    children_of,
    done,
    experiment,
    until,
    write_tiny,
)
from transfer_lab.cli import app as command_line
from transfer_lab.cli import commands
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.trackers import beside, tracker
from transfer_lab.reporting.trackers.beside import NEEDS, LightningTracker, Loggers
from transfer_lab.reporting.trackers.copies import copy_of
from transfer_lab.reporting.trackers.tracker import Trackers
from transfer_lab.store.records import RecordStore

CELLS = plan(experiment())
PROBES = [c for c in CELLS if c.regime == "linear_probe"]
INSTALLED = [name for name, needs in NEEDS.items() if all(map(beside.find_spec, needs))]
CURVE = "epoch,train_loss,val_accuracy\n1,2.5,\n2,1.5,0.5\n"

SCRIPT = """
import os
import sys
from tests.builders import children_of, done
from tests.reporting.test_trackers import CURVE
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.trackers.tracker import Trackers
from transfer_lab.store.records import RecordStore

store, experiment = RecordStore(sys.argv[1]), load_experiment(sys.argv[2]).experiment
cells = plan(experiment)
trackers = Trackers(experiment, cells, store, print)
for cell in cells:
    store.put(done(cell.run, host="here"))
    store.file(cell.run.id, "metrics.csv").write_text(CURVE)
    trackers.offer(cell.run.id)
    trackers.offer(cell.run.id)
trackers.summarise(lambda: 1 / 0)
trackers.close()
heavy = {"torch", "lightning", "tensorboard", "mlflow"}
print(*heavy & set(sys.modules), *children_of(os.getpid()))
"""


def needs(name: str) -> None:
    """Skip where the tracker's packages are absent."""
    if name not in INSTALLED:
        pytest.skip(f"pip install 'transfer-lab[{name}]' to test copies for it")


def private(folder) -> dict[str, str]:
    """Nothing is sent anywhere: proxies lead nowhere, and no server is named."""
    environment = {n: v for n, v in ENVIRONMENT.items() if not n.startswith("MLFLOW_")}
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return environment | dict.fromkeys(proxies, "http://127.0.0.1:9") | {"HOME": str(folder)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The tiny grid, copied while its runs end."""
    folder = tmp_path_factory.mktemp("trackers")
    text = TINY_YAML.replace("seeds: [0, 1]", f"seeds: [0]\ntrackers: [{', '.join(INSTALLED)}]")
    path = write_tiny(folder, text.replace("  mlp: {width", "  net: {kind: mlp, width"))
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "runs"), str(path)],
        capture_output=True, text=True, timeout=300, env=private(folder),
    )  # fmt: skip
    found = load_experiment(path).experiment
    return SimpleNamespace(
        said=ended.stdout, error=ended.stderr, root=folder / "runs", cells=plan(found)
    )


def place(cell) -> str:
    return f"{cell.scenario}/net/{cell.regime}/seed0"


def test_nothing_heavy_is_loaded_and_no_process_is_left(lab):
    assert (lab.said, lab.error) == ("\n", "")


def test_tensorboards_own_reader_finds_every_cell_once(lab):
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.parent for path in lab.root.glob("tensorboard/**/events.out.*")}
    by_place = {f"tensorboard/tiny/{place(cell)}-{cell.run.id[:8]}": cell for cell in lab.cells}
    assert {str(path.relative_to(lab.root)) for path in folders} == set(by_place)
    for name, cell in by_place.items():
        reader = EventAccumulator(str(lab.root / name)).Reload()
        points = {
            tag: [(p.step, p.value) for p in reader.Scalars(tag)]
            for tag in reader.Tags()["scalars"]
        }
        assert points["train_loss"] == [(1, 2.5), (2, 1.5)]
        assert points["val_accuracy"] == [(2, 0.5)]
        ((_, score),) = points["final/test_accuracy"]
        assert score == pytest.approx(done(cell.run).test_accuracy)
        options = hparams(reader)
        assert options["run/fit/epochs"] == 2
        assert (options["regime"], options["backbone"]) == (cell.regime, "net")
        assert options["record/host"] == "here"
        assert cell.scenario in options["tags"].split(", ")


def hparams(reader) -> dict[str, object]:
    """What the plugin for hyperparameters shows of a run."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in found.items()}


def mlflow_runs(root, name="tiny"):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow' / 'mlflow.db'}")
    return client, client.search_runs([client.get_experiment_by_name(name).experiment_id])


def test_a_local_store_of_mlflow_holds_every_cell_once(lab):
    needs("mlflow")
    client, runs = mlflow_runs(lab.root)
    by_name = {run.info.run_name: run for run in runs}
    assert len(runs) == len(lab.cells)
    assert set(by_name) == {place(cell) for cell in lab.cells}
    for cell in lab.cells:
        run = by_name[place(cell)]
        history = client.get_metric_history(run.info.run_id, "train_loss")
        assert [(point.step, point.value) for point in history] == [(1, 2.5), (2, 1.5)]
        assert run.data.metrics["final/test_accuracy"] == done(cell.run).test_accuracy
        assert run.data.params["run/fit/epochs"] == "2"
        assert run.data.params["record/host"] == "here"
        assert run.data.tags["job_type"] == cell.regime
        assert run.data.tags[cell.scenario] == "true"
        assert run.info.status == "FINISHED"


def test_plain_files_hold_every_cell_once(lab):
    folders = {path.parent for path in lab.root.glob("csv/**/metrics.csv")}
    assert len(folders) == len(lab.cells)
    for cell in lab.cells:
        folder = lab.root / "csv" / "tiny" / f"{place(cell)}-{cell.run.id[:8]}"
        rows = [*csv.DictReader((folder / "metrics.csv").read_text().splitlines())]
        losses = [(int(row["step"]), float(row["train_loss"])) for row in rows if row["train_loss"]]
        assert losses == [(1, 2.5), (2, 1.5)]
        assert float(rows[-1]["final/test_accuracy"]) == done(cell.run).test_accuracy
        options = YAML(typ="safe").load(folder / "hparams.yaml")
        assert options["run"]["fit"]["epochs"] == 2
        assert (options["scenario"], options["backbone"]) == (cell.scenario, "net")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = RecordStore(tmp_path / "runs")
    for cell in PROBES[:2]:
        found.put(done(cell.run))
    return found


class Here:
    """Stands for the process: the same lines, answered in this one."""

    def write(self, tracker, copy, folder):
        asked = json.dumps({"tracker": tracker, "folder": str(folder), "copy": asdict(copy)})
        answers = []
        beside.serve([asked], answers.append)
        if "error" in answers[0]:
            raise RuntimeError(answers[0]["error"])
        return answers[0]["place"]

    def close(self):
        pass


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(tracker, "Loggers", Here)


def tracked(store, *names, cells=PROBES[:2]) -> list[str]:
    """Trackers from start to end; returns their warnings."""
    warnings = []
    Trackers(experiment(trackers=names), cells, store, warnings.append).close()
    return warnings


def test_a_second_turn_copies_what_was_not_copied_yet_and_nothing_twice(store, here):
    assert tracked(store, *INSTALLED, cells=PROBES[:1]) == []
    before = contents(store)
    assert tracked(store, *INSTALLED) == []
    after = contents(store)
    assert {path: after[path] for path in before if "mlflow" not in path} == {
        path: content for path, content in before.items() if "mlflow" not in path
    }
    assert tracked(store, *INSTALLED) == []
    assert contents(store) == after
    if "mlflow" in INSTALLED:
        assert len(mlflow_runs(store.root, "built")[1]) == 2


def contents(store) -> dict[str, bytes]:
    """Every file of the trackers."""
    files = (path for name in INSTALLED for path in store.root.glob(f"{name}/**/*"))
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def test_what_was_deleted_or_half_written_is_written_again_and_nothing_twice(store, here):
    needs("mlflow")
    assert tracked(store, "csv", "mlflow") == []
    before = {path: path.stat().st_mtime_ns for path in store.root.glob("csv/**/metrics.csv")}
    kept, gone = before
    gone.unlink()
    gone.parent.joinpath("hparams.yaml").unlink()
    gone.parent.rmdir()
    for note in store.root.glob("*/mlflow-built.json"):
        note.unlink()
    assert tracked(store, "csv", "mlflow") == []
    assert gone.exists()
    assert kept.stat().st_mtime_ns == before[kept]
    assert len(mlflow_runs(store.root, "built")[1]) == 2


def test_a_tracker_that_fails_is_named_once_and_the_others_go_on(store, here):
    needs("tensorboard")
    store.root.joinpath("tensorboard").write_text("in the way")
    (warning,) = tracked(store, "tensorboard", "csv")
    assert warning.startswith("TensorBoard: ")
    assert "tracking is off, results are stored" in warning
    assert len([*store.root.glob("csv/**/metrics.csv")]) == 2


def test_a_process_that_is_killed_fails_nothing(store, monkeypatch):
    begun = []
    real = subprocess.Popen

    def popen(*words, **how):
        begun.append(real(*words, **how))
        os.kill(begun[-1].pid, signal.SIGKILL)
        return begun[-1]

    monkeypatch.setattr(beside.subprocess, "Popen", popen)
    (warning,) = tracked(store, "csv")
    assert warning.startswith("CSV: RuntimeError: the process that writes has ended")
    assert len(begun) == 1
    assert not [*store.root.glob("*/csv-*.json")]


def test_the_process_answers_what_goes_wrong_and_ends_when_it_is_abandoned(store):
    loggers, (cell, *_) = Loggers(), PROBES
    copied = copy_of(cell, "mlp", store.get(cell.run.id), store)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="KeyError: 'none such'"):
            loggers.write("none such", copied, store.root)
    (pid,) = children_of(os.getpid()) & {loggers._process.pid}
    loggers.abandon()
    assert until(lambda: not alive(pid), 60)
    with pytest.raises(RuntimeError, match="has ended"):
        loggers.write("csv", copied, store.root)


def test_without_a_finished_run_no_process_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(beside.subprocess, "Popen", None)
    assert tracked(RecordStore(tmp_path / "runs"), "csv") == []


@pytest.mark.parametrize("name", [name for name, needed in NEEDS.items() if needed])
def test_one_whose_packages_are_absent_is_named_and_the_grid_goes_on(store, monkeypatch, name):
    monkeypatch.setattr(beside, "find_spec", lambda module: None)
    monkeypatch.setattr(beside.subprocess, "Popen", None)
    (warning,) = tracked(store, name)
    assert f"pip install 'transfer-lab[{name}]'" in warning
    assert NEEDS[name][0] in warning
    with pytest.raises(beside.NotInstalledError):
        LightningTracker(name, store.root, Loggers())


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({}, "disabled"),
        ({"trackers": ["csv"]}, "disabled"),
        ({"trackers": ["wandb"]}, "offline"),
        ({"trackers": ["wandb"], "wandb": {"project": "mine"}}, "offline"),
        ({"trackers": ["wandb"], "wandb": {"mode": "online"}}, "online"),
        ({"trackers": ["wandb"], "wandb": {"mode": "disabled"}}, "disabled"),
        ({"wandb": {"mode": "offline"}}, "offline"),
    ],
)
def test_wandb_is_offline_unless_its_own_key_says_otherwise(changes, mode):
    asked = experiment(**changes)
    assert asked.tracking == asked.wandb.model_copy(update={"mode": mode})


def test_trackers_are_no_part_of_any_run():
    assert [c.run.id for c in plan(experiment(trackers=["csv"]))] == [c.run.id for c in CELLS]


def test_the_command_line_names_trackers_in_place_of_the_files(tmp_path, monkeypatch):
    path = write_tiny(tmp_path, TINY_YAML + "trackers: [mlflow]\n")
    seen = []

    def run(path, overrides, *_, **__):
        seen.append(load_experiment(path, overrides).experiment.trackers)
        return 0

    monkeypatch.setattr(commands, "run", run)
    for words in ([], ["--tracker", "csv", "--tracker", "tensorboard"]):
        with pytest.raises(SystemExit):
            command_line.app(["run", str(path), *words])
    assert seen == [("mlflow",), ("csv", "tensorboard")]
