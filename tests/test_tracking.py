"""Weights & Biases gets copies, and whatever happens there is one warning at most."""

import json
import subprocess
import sys
import time
import types

import pytest

from tests.builders import ENVIRONMENT, done, experiment, failed
from transfer_lab.plan import plan
from transfer_lab.records import RecordStore
from transfer_lab.spec import Tracking
from transfer_lab.tracking import Tracker

CELLS = plan(experiment())
SHARED = [c for c in CELLS if (c.regime, c.size, c.seed) == ("from_scratch", "small", 0)][::2]


class FakeRun:
    url = None

    def __init__(self, options):
        self.options, self.rows, self.summary, self.finished = options, [], {}, False

    def log(self, row, step):
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


def track(store, cells=CELLS, mode="offline") -> list[str]:
    """A tracker from start to end; returns its warnings."""
    warnings = []
    Tracker(Tracking(mode=mode), cells, store, warnings.append).close()
    return warnings


def test_an_offline_run_is_written_below_the_store_once(store, tmp_path):
    run = CELLS[0].run
    store.put(done(run))
    store.file(run.id, "metrics.csv").write_text("epoch,train_loss,val_loss\n1,2.5,\n2,1.5,1.0\n")
    code = (
        "import sys\n"
        "from transfer_lab.records import RecordStore\n"
        "from transfer_lab.spec import Cell, Tracking\n"
        "from transfer_lab.tracking import Tracker\n"
        "cell, store = Cell.model_validate_json(sys.argv[1]), RecordStore(sys.argv[2])\n"
        "Tracker(Tracking(mode='offline'), [cell], store, print).close()\n"
    )
    settings = {name: str(tmp_path / "wandb") for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    ended = subprocess.run(
        [sys.executable, "-c", code, CELLS[0].model_dump_json(), str(store.root)],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **ENVIRONMENT,
            **settings,
            "WANDB_API_KEY": "",
            "WANDB_BASE_URL": "http://127.0.0.1:9",
        },
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    (folder,) = store.root.glob("wandb/offline-run-*")
    (content,) = folder.glob("*.wandb")
    assert content.stat().st_size > 0
    assert run.id.encode() in content.read_bytes()
    (marker,) = store.folder(run.id).glob("wandb-*.json")
    assert json.loads(marker.read_text())["mode"] == "offline"


def test_a_second_tracker_copies_nothing_again(store, wandb):
    store.put(done(CELLS[0].run))
    assert track(store) == track(store) == []
    assert wandb.calls == 1


def test_another_experiment_gets_a_copy_of_its_own(store, wandb):
    store.put(done(CELLS[0].run))
    track(store)
    track(store, plan(experiment(name="other")))
    assert [run.options["group"] for run in wandb.runs] == ["built", "other"]
    assert len({run.options["id"] for run in wandb.runs}) == 2


def test_a_run_says_where_it_belongs_and_what_came_of_it(store, wandb):
    first, second = SHARED
    assert first.run.id == second.run.id
    record = done(first.run, test_accuracy=0.5)
    store.put(record)
    store.file(first.run.id, "metrics.csv").write_text("epoch,train_loss,val_loss\n1,2.5,\n2,1,3\n")
    track(store)
    (run,) = wandb.runs
    assert run.options["mode"] == "offline"
    assert run.options["dir"] == str(store.root)
    assert run.options["group"] == "built"
    assert run.options["job_type"] == "from_scratch"
    assert set(run.options["tags"]) == {"small_similar", "small_dissimilar", "mlp"}
    assert run.options["config"] == first.run.model_dump(mode="json")
    assert run.rows == [
        (1, {"epoch": 1, "train_loss": 2.5}),
        (2, {"epoch": 2, "train_loss": 1, "val_loss": 3}),
    ]
    assert run.summary == record.model_dump(exclude_none=True)
    assert run.finished


def test_runs_finished_while_the_grid_goes_on_are_copied_when_they_are_offered(store, wandb):
    warnings = []
    tracker = Tracker(Tracking(mode="offline"), CELLS, store, warnings.append)
    store.put(done(CELLS[0].run))
    store.put(failed(CELLS[1].run))
    tracker.offer(CELLS[0].run.id)
    tracker.offer(CELLS[0].run.id)
    tracker.offer(CELLS[1].run.id)
    tracker.offer("no such run")
    tracker.close()
    assert (len(wandb.runs), warnings) == (1, [])


def test_source_runs_belong_to_no_cell_and_are_not_copied(store, wandb):
    parent = next(c.run.init for c in CELLS if c.run.init)
    store.put(done(parent))
    warnings = []
    tracker = Tracker(Tracking(mode="offline"), CELLS, store, warnings.append)
    tracker.offer(parent.id)
    tracker.close()
    assert (wandb.runs, warnings) == ([], [])


@pytest.mark.parametrize(
    "error", [RuntimeError("no key\nsecond line"), OSError("offline"), SystemError(), ImportError()]
)
def test_an_error_switches_the_tracker_off_with_one_warning(store, wandb, error):
    wandb.error = error
    for cell in CELLS[:4]:
        store.put(done(cell.run))
    warnings = []
    tracker = Tracker(Tracking(mode="online"), CELLS[:6], store, warnings.append)
    store.put(done(CELLS[4].run))
    tracker.offer(CELLS[4].run.id)
    tracker.close()
    tracker.offer(CELLS[5].run.id)
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

    store.put(done(CELLS[0].run))
    store.file(CELLS[0].run.id, "metrics.csv").write_text("epoch\n1\n")
    monkeypatch.setattr(FakeRun, "log", log)
    assert len(track(store)) == 1
    assert wandb.runs[0].finished
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    assert track(store) == []
    assert len(wandb.runs) == 2


def test_a_disabled_tracker_never_imports_wandb(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    store.put(done(CELLS[0].run))
    warnings = []
    tracker = Tracker(Tracking(), CELLS, store, warnings.append)
    tracker.offer(CELLS[0].run.id)
    tracker.close()
    assert warnings == []
    assert not list(store.root.glob("*/wandb-*.json"))
    assert len(track(store, mode="offline")) == 1
