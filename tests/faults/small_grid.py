"""A grid of a few runs that leaves every kind of file, trained in this process, and what came out
of it apart from times."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.grid.similarity import SimilarityJobs
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import CHECKSUMS, Record, RecordStore
from transfer_lab.system.files import DiskFullError

DONE, FAILED, NO_ROOM = 0, 2, 3
"""How it ended."""

_YAML = """\
name: small
image_size: 12
domains:
  latin: {letters: AB, train_per_class: 6, test_per_class: 8}
  greek: {letters: ΓΔ, train_per_class: 6, test_per_class: 8}
scenarios:
  small_similar: {source: latin, target: greek, per_class: 4}
backbones: {mlp: {width: 6, depth: 2}}
regimes:
  full_finetune: {}
  linear_probe: {}
seeds: [0]
fit: {epochs: 1, batch_size: 8}
pretrain: {epochs: 1, batch_size: 8}
"""
_TUNED = _YAML.replace("linear_probe: {}", "linear_probe: {tune: {lr: [0.01, 0.1]}}").replace(
    "full_finetune: {}", "full_finetune: {tune: {lr: [0.001, 0.01]}}"
)
_ALONE = _YAML.replace("full_finetune: {}", "partial_finetune: {k: 1}").replace(
    "  linear_probe: {}\n", ""
)
TEXTS = {"siblings": _YAML, "tuned": _TUNED, "alone": _ALONE}
"""Of grids: two runs of one source, the same with searches, and a run alone that leaves every kind
of file that the two do."""
_OF_ITS_TIME = ("seconds", "started_at", "peak_rss_mb", "curve_sha256", "trials_sha256")
"""What no two runs have the same, and what holds it."""


class Here:
    """An engine that executes each call at once, in this process."""

    slots = 1

    def submit(self, call, *args) -> Future:
        future: Future = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def submit_apart(self, code, call, *args) -> Future:
        return self.submit(call, *args)


class Silent:
    """A watch that says nothing."""

    def started(self, runs) -> None: ...

    def ended(self, run, record) -> None: ...


def lay(folder: Path, grid: str = "siblings") -> Path:
    """The experiment's file; `grid`: which of TEXTS."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(TEXTS[grid])
    return path


def train(folder: Path, *, compare: bool = False) -> int:
    """Train what is missing, and measure similarities if asked; how it ended."""
    from transfer_lab.grid.preflight import preflight
    from transfer_lab.grid.worker import execute_all
    from transfer_lab.training.fit import quiet
    from transfer_lab.training.run import Setting

    quiet()
    file = load_experiment(folder / "small.yaml")
    store = RecordStore(folder / "runs", lambda text: print("warned:", text))
    cells = plan(file.experiment)
    work = todo(cells, store)
    if work.runs:
        assert preflight(file.experiment, store.root / IMAGES) == []

    def execute(runs, keep_weights):
        return execute_all(runs, store.root, Setting(), keep_weights)

    try:
        summary = run_grid(work, store, Here(), execute, Silent())
        if compare:
            said = print
            SimilarityJobs(file.experiment, store, said, said).measure(Here())
    except DiskFullError as error:
        print("no room:", error)
        return NO_ROOM
    return FAILED if summary.failed else DONE


def read(folder: Path) -> int:
    """All that a report reads; how many files it goes without."""
    from transfer_lab.reporting.collect import stored

    file = load_experiment(folder / "small.yaml")
    store = RecordStore(folder / "runs", lambda text: print("warned:", text))
    found = stored(file.experiment, plan(file.experiment), store)
    for run_id, accuracy in found.frame[["run_id", "test_accuracy"]].itertuples(index=False):
        found.predictions.of(run_id, accuracy)
    for name in file.experiment.domains:
        found.gallery.tests(name)
    return len(found.left_out)


def outcome(folder: Path) -> dict[str, dict[str, object]]:
    """By run, everything of its record that another training of it must have the same, and the
    curve but for its seconds."""
    cells = plan(load_experiment(folder / "small.yaml").experiment)
    store = RecordStore(folder / "runs")
    return {run_id: _told(store, run_id) for run_id in runs_of(cells)}


def differing(
    found: Mapping[str, Mapping[str, object]], expected: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """By run, the columns in which it is another than expected, with both values."""
    told: dict[str, object] = {}
    for run_id in found.keys() | expected.keys():
        own, other = found.get(run_id, {}), expected.get(run_id, {})
        pairs = {name: (own.get(name), other.get(name)) for name in own.keys() | other.keys()}
        if unlike := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
            told[run_id] = unlike
    return told


def _told(store: RecordStore, run_id: str) -> dict[str, object]:
    record = store.get(run_id)
    if record is None:
        return {}
    known = {
        name: value
        for name, value in record.model_dump().items()
        if not any(part in name for part in _OF_ITS_TIME)
    }
    return known | {"curve": _curve(store, record)}


def _curve(store: RecordStore, record: Record) -> list[list[str]]:
    lines = dict(store.contents([record.run_id], "metrics.csv")).get(record.run_id, b"")
    return [line.split(",")[:-1] for line in lines.decode().splitlines()]  # seconds come last


def checksums(folder: Path) -> dict[str, dict[str, bool]]:
    """By run and file, whether it is what its record means."""
    store = RecordStore(folder / "runs")
    cells = plan(load_experiment(folder / "small.yaml").experiment)
    return {
        run_id: {name: not store.damaged(run_id, name) for name in CHECKSUMS}
        for run_id in runs_of(cells)
    }


def together(folder: Path, *, dies_after: float | None = None, locks: bool = True) -> int:
    """Three processes that train the same grid at once, of which one may be killed meanwhile; how
    the others ended. Without `locks` they are on machines whose locks do not reach one another."""
    processes = [_forked(folder, locks=locks) for _ in range(3)]
    if dies_after is not None:
        time.sleep(dies_after)
        os.kill(processes.pop(), signal.SIGKILL)
    ended = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    return DONE if set(ended) == {DONE} else FAILED


def _forked(folder: Path, *, locks: bool) -> int:
    child = os.fork()
    if child:
        return child
    code = FAILED
    try:
        if not locks:
            fcntl.flock = lambda *_: None
        code = train(folder)
    finally:
        os._exit(code)


def look(folder: Path) -> int:
    """What `doctor` says of the store."""
    from transfer_lab.cli.doctor import examine

    return examine(None, folder / "runs", folder / "reports")


ACTIONS = {
    "train": train,
    "train and compare": partial(train, compare=True),
    "three at once": together,
    "three at once, one killed soon": partial(together, dies_after=0.05),
    "three at once, one killed later": partial(together, dies_after=0.5),
    "three without locks": partial(together, locks=False),
    "doctor": look,
    "read": lambda folder: DONE if read(folder) >= 0 else FAILED,
}
