"""Weights & Biases gets copies, and whatever happens there is one warning at most."""

import json
import subprocess
import sys
import time
import types
from types import SimpleNamespace

import pytest

from tests.builders import ENVIRONMENT, TINY_YAML, done, experiment, failed, write_tiny
from tests.wandb_files import written_runs
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.collect import study
from transfer_lab.reporting.trackers.tracker import Trackers
from transfer_lab.store.records import RecordStore

CELLS = plan(experiment())
PROBES = [c for c in CELLS if c.regime == "linear_probe"]
ALONE = PROBES[0]
"""Cells whose runs fill no other ones."""
SHARED = [c for c in CELLS if (c.regime, c.size, c.seed) == ("from_scratch", "small", 0)][::2]


class FakeRun:
    url = None

    def __init__(self, options):
        self.options, self.rows, self.summary, self.finished = options, [], {}, False

    def log(self, row, step=None):
        self.rows.append((step, row))

    def finish(self):
        self.finished = True


class FakeWandb(types.ModuleType):
    """Keeps the runs that are sent to it, or raises."""

    def __init__(self, error=None):
        super().__init__("wandb")
        self.error, self.runs, self.calls = error, [], 0

    def Settings(self, **options):  # noqa: N802
        return options

    def Table(self, columns, data, allow_mixed_types):  # noqa: N802
        assert all(len(row) == len(columns) for row in data)
        return [dict(zip(columns, row, strict=True)) for row in data]

    def Image(self, image, caption):  # noqa: N802
        return image.size

    def init(self, **options):
        self.calls += 1
        if self.error:
            time.sleep(0.1)
            raise self.error
        self.runs.append(FakeRun(options))
        return self.runs[-1]


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def tracker_of(store, cells, warn=print, mode="offline") -> Trackers:
    return Trackers(experiment(wandb={"mode": mode}), cells, store, warn)


def track(store, cells=CELLS, mode="offline") -> list[str]:
    """A tracker from start to end; returns its warnings."""
    warnings = []
    tracker_of(store, cells, warnings.append, mode).close()
    return warnings


SCRIPT = """
import sys
from pathlib import Path
from tests.builders import done
from tests.reporting.test_wandb import study_of, tracker_of
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.store.records import RecordStore
from transfer_lab.reporting.trackers.tracker import Trackers

store, experiment = RecordStore(sys.argv[1]), load_experiment(sys.argv[2]).experiment
cells = plan(experiment)
for last in (3, None):
    tracker = tracker_of(store, cells)
    for cell in cells[:last]:
        store.put(done(cell.run))
        path = store.file(cell.run.id, "metrics.csv")
        path.write_text("epoch,train_loss,val_accuracy\\n1,2.5,\\n2,1.5,0.5\\n")
        tracker.offer(cell.run.id)
    tracker.summarise(lambda: study_of(experiment, store))
    tracker.close()
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """The tiny grid, copied offline by two trackers one after the other: a part, then the rest."""
    folder = tmp_path_factory.mktemp("offline")
    path = write_tiny(folder, TINY_YAML.replace("seeds: [0, 1]", "seeds: [0]"))
    private = {name: str(folder / "own") for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    nowhere = {"WANDB_API_KEY": "", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "runs"), str(path)],
        capture_output=True, text=True, timeout=120, env={**ENVIRONMENT, **private, **nowhere},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    store, experiment = RecordStore(folder / "runs"), load_experiment(path).experiment
    return SimpleNamespace(store=store, experiment=experiment, runs=written_runs(store.root))


def test_offline_every_cell_is_written_once_below_the_store(offline):
    cells = plan(offline.experiment)
    written = [run for run in offline.runs if run.job_type != "summary"]
    places = [(run.config["scenario"], run.config["regime"], run.config["seed"]) for run in written]
    assert sorted(places) == sorted((c.scenario, c.regime, c.seed) for c in cells)
    assert len({run.id for run in written}) == len(cells)


def test_offline_runs_can_be_grouped_by_every_axis(offline):
    by_place = {(cell.scenario, cell.regime): cell for cell in plan(offline.experiment)}
    for run in offline.runs:
        if run.job_type == "summary":
            continue
        cell = by_place[run.config["scenario"], run.config["regime"]]
        flat = ("size", "similarity", "source", "target", "backbone", "seed", "experiment")
        assert {name: run.config[name] for name in flat} == {n: getattr(cell, n) for n in flat}
        assert (run.config["per_class"], run.config["run_id"]) == (cell.run.per_class, cell.run.id)
        assert (run.group, run.job_type) == ("tiny", cell.regime)
        assert run.tags >= {cell.scenario, "mlp"}
        assert run.summary["test_accuracy"] == done(cell.run).test_accuracy
        assert [row["train_loss"] for row in run.history] == [2.5, 1.5]


def test_offline_the_summary_is_renewed_under_one_id(offline):
    first, second = (run for run in offline.runs if run.job_type == "summary")
    assert first.id == second.id == "summary-tiny"
    assert first.group == "tiny"
    assert (first.summary["cells_done"], first.summary["cells_missing"]) == (5, 1)
    assert second.summary["cells_done"] == 6
    assert second.summary["matrix"]["_type"] == "table-file"
    assert second.summary["accuracy"]["_type"] == "image-file"


def test_offline_the_summary_holds_the_matrix_and_the_figures(offline):
    folder = sorted(offline.store.root.glob("wandb/offline-run-*-summary-tiny"))[-1]
    files = {path.name: path for path in folder.glob("files/media/*/*")}
    (matrix,) = (path for name, path in files.items() if name.startswith("matrix"))
    table = json.loads(matrix.read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    study = study_of(offline.experiment, offline.store)
    assert len(rows) == 6
    for row in rows:
        known = study.accuracy(row["scenario"], row["backbone"], row["regime"])
        assert (row["accuracy"], row["n"], row["half_width"]) == (known.mean, 1, None)
    assert {row["regime"] for row in rows if row["control"]} == {"majority"}
    assert any(name.startswith("accuracy_") and name.endswith(".png") for name in files)
    assert any(name.startswith("train-loss-1-mlp") for name in files)


def study_of(experiment, store):
    return study(experiment, plan(experiment), store, "")


def test_a_summary_says_what_is_not_there_yet(store, wandb):
    few = experiment(seeds=[0, 1])
    store.put(done(ALONE.run, test_accuracy=0.25))
    tracker = tracker_of(store, [])
    tracker.summarise(lambda: study_of(few, store))
    tracker.close()
    (run,) = wandb.runs
    ((_, logged),) = run.rows
    by_place = {(r["scenario"], r["backbone"], r["regime"]): r for r in logged["matrix"]}
    assert len(by_place) == len(CELLS) / 2
    names = {choice.label: name for name, choice in few.backbones.items()}
    known = by_place.pop((ALONE.scenario, names[ALONE.backbone], ALONE.regime))
    assert (known["accuracy"], known["n"], known["planned"], known["best"]) == (0.25, 1, 2, True)
    assert {(r["accuracy"], r["n"], r["best"]) for r in by_place.values()} == {(None, 0, False)}
    words = [r for r in logged["accuracy (%)"] if r["regime"] == "linear_probe"]
    assert words[0][ALONE.scenario] == "25.0 (1 of 2)"
    assert words[1][ALONE.scenario] == "– (missing)"
    assert run.finished


def test_a_summary_is_sent_again_only_if_something_changed(store, wandb):
    few = experiment()
    for number, cells in enumerate([1, 1, 2, 2], start=1):
        for cell in CELLS[:cells]:
            store.put(done(cell.run))
        tracker = tracker_of(store, [])
        tracker.summarise(lambda: study_of(few, store))
        tracker.close()
        assert wandb.calls == cells, number
    assert len({run.options["id"] for run in wandb.runs}) == 1


def test_a_tracker_that_is_abandoned_begins_nothing_new(store, wandb):
    tracker = tracker_of(store, CELLS)
    tracker.abandon()
    store.put(done(ALONE.run))
    tracker.offer(ALONE.run.id)
    tracker.close()
    assert wandb.calls == 0


def test_a_second_tracker_copies_nothing_again(store, wandb):
    store.put(done(ALONE.run))
    assert track(store) == track(store) == []
    assert wandb.calls == 1


def test_a_note_that_cannot_be_read_counts_as_none(store, wandb):
    store.put(done(ALONE.run))
    store.file(ALONE.run.id, "wandb-built.json").write_text("[1")
    assert track(store) == []
    assert wandb.calls == 1


def test_another_experiment_gets_a_copy_of_its_own(store, wandb):
    store.put(done(ALONE.run))
    track(store)
    track(store, plan(experiment(name="other")))
    assert [run.options["group"] for run in wandb.runs] == ["built", "other"]
    assert len({run.options["id"] for run in wandb.runs}) == 2


def test_a_run_of_two_cells_is_copied_for_each_and_says_what_came_of_it(store, wandb):
    first, second = SHARED
    assert first.run.id == second.run.id
    record = done(first.run, test_accuracy=0.5)
    store.put(record)
    store.file(first.run.id, "metrics.csv").write_text("epoch,train_loss,val_loss\n1,2.5,\n2,1,3\n")
    track(store)
    assert [run.options["config"]["scenario"] for run in wandb.runs] == [
        "small_similar",
        "small_dissimilar",
    ]
    assert len({run.options["id"] for run in wandb.runs}) == 2
    for run in wandb.runs:
        assert run.options["mode"] == "offline"
        assert run.options["dir"] == str(store.root)
        assert run.options["group"] == "built"
        assert run.options["job_type"] == "from_scratch"
        assert run.options["config"]["run"] == first.run.model_dump(mode="json")
        assert run.rows == [
            (1, {"epoch": 1, "train_loss": 2.5}),
            (2, {"epoch": 2, "train_loss": 1, "val_loss": 3}),
        ]
        assert run.summary == record.model_dump(exclude_none=True)
        assert run.finished


def test_runs_finished_while_the_grid_goes_on_are_copied_when_they_are_offered(store, wandb):
    warnings = []
    tracker = tracker_of(store, CELLS, warnings.append)
    store.put(done(ALONE.run))
    store.put(failed(PROBES[1].run))
    tracker.offer(ALONE.run.id)
    tracker.offer(ALONE.run.id)
    tracker.offer(PROBES[1].run.id)
    tracker.offer("no such run")
    tracker.close()
    assert (len(wandb.runs), warnings) == (1, [])


def test_source_runs_belong_to_no_cell_and_are_not_copied(store, wandb):
    parent = next(c.run.init for c in CELLS if c.run.init)
    store.put(done(parent))
    warnings = []
    tracker = tracker_of(store, CELLS, warnings.append)
    tracker.offer(parent.id)
    tracker.close()
    assert (wandb.runs, warnings) == ([], [])


@pytest.mark.parametrize(
    "error", [RuntimeError("no key\nsecond line"), OSError("offline"), SystemError(), ImportError()]
)
def test_an_error_switches_the_tracker_off_with_one_warning(store, wandb, error):
    wandb.error = error
    for cell in PROBES[:4]:
        store.put(done(cell.run))
    warnings = []
    tracker = tracker_of(store, PROBES[:6], warnings.append, "online")
    store.put(done(PROBES[4].run))
    tracker.offer(PROBES[4].run.id)
    tracker.close()
    tracker.offer(PROBES[5].run.id)
    tracker.close()
    (warning,) = warnings
    assert type(error).__name__ in warning
    assert "\n" not in warning
    assert wandb.calls == 1
    assert not list(store.root.glob("*/wandb-*.json"))


def test_a_copy_that_fails_half_way_is_finished_and_sent_again_next_time(store, wandb, monkeypatch):
    def log(self, row, step):
        time.sleep(0.1)
        raise RuntimeError("connection lost")

    store.put(done(ALONE.run))
    store.file(ALONE.run.id, "metrics.csv").write_text("epoch\n1\n")
    monkeypatch.setattr(FakeRun, "log", log)
    assert len(track(store)) == 1
    assert wandb.runs[0].finished
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    assert track(store) == []
    assert len(wandb.runs) == 2


def test_a_disabled_tracker_never_imports_wandb(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    store.put(done(ALONE.run))
    warnings = []
    tracker = Trackers(experiment(), CELLS, store, warnings.append)
    tracker.offer(ALONE.run.id)
    tracker.close()
    assert warnings == []
    assert not list(store.root.glob("*/wandb-*.json"))
    assert len(track(store, mode="offline")) == 1
