"""Several commands at once on one store, of one machine or of several: every run once, or the same
twice, and nothing half."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT, tiny_run
from tests.faults.conftest import ALL
from tests.faults.small_grid import DONE, checksums, differing, lay, outcome
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.store.layout import CURVE
from transfer_lab.store.records import RecordStore
from transfer_lab.training.run import Setting, train


@pytest.mark.parametrize(
    ("action", "grid"),
    [
        ("three at once", "siblings"),
        ("three at once, one killed soon", "siblings"),
        ("three at once, one killed later", "siblings"),
        ("three without locks", "siblings"),
        ("three without locks", "tuned"),
    ],
)
def test_grids_that_share_a_store_end_as_one(action, grid, nursery, tmp_path, tried):
    lay(tmp_path / "alone", grid)
    assert nursery.case("train", tmp_path / "alone").code == DONE
    expected = outcome(tmp_path / "alone")
    for number in range(10 if ALL else 2):
        folder = tmp_path / str(number)
        lay(folder, grid)
        ended = nursery.case(action, folder)
        assert ended.code == DONE and "Traceback" not in ended.said, ended.said
        assert differing(outcome(folder), expected) == {}
        assert all(all(files.values()) for files in checksums(folder).values())
        tried.append(action)


class Overtaken(RecordStore):
    """A store in which something happens after a run's files and before its record."""

    def __init__(self, root: Path, meanwhile):
        super().__init__(root)
        self.meanwhile = meanwhile

    def put(self, record):
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        super().put(record)


def test_a_record_and_its_files_are_of_one_training_whoever_else_has_stored_it_meanwhile(tmp_path):
    run, others = tiny_run(), []

    def on_another_machine():
        others.append(train(run, RecordStore(tmp_path), Setting()))
        others.append(RecordStore(tmp_path).file(run.id, CURVE).read_bytes())

    record = train(run, Overtaken(tmp_path, on_another_machine), Setting())
    stored = RecordStore(tmp_path)
    assert stored.get(run.id) == record and record != others[0]
    assert stored.file(run.id, CURVE).read_bytes() != others[1]
    assert stored.damaged(run.id) == [] and stored.is_done(run, with_weights=False)


REGIME = '''\
"""A regime that says when it is trained, and where, and waits until both machines train."""

import platform
import time
from pathlib import Path

from transfer_lab.regimes.base import Phase, TransferModule


class Noted(TransferModule):
    """All learns, from the beginning."""

    from_source = False

    def __init__(self, backbone, num_classes, *, number: int = 0):
        super().__init__(backbone, num_classes)
        self.number = number

    @property
    def transferred(self):
        return 0

    def observe(self, labels):
        diary, end = Path({diary!r}), time.monotonic() + 120
        with diary.open("a") as file:
            file.write(f"{{self.number}} {{platform.node()}}\\n")
        while "first" not in diary.read_text() or "second" not in diary.read_text():
            assert time.monotonic() < end, "the other machine trains nothing"
            time.sleep(0.02)

    def phases(self):
        return (Phase((), self.lr, self.lr),)
'''
EXPERIMENT = """\
name: noted
image_size: 12
domains:
  latin: {letters: AB, train_per_class: 6, test_per_class: 8}
  greek: {letters: ΓΔ, train_per_class: 6, test_per_class: 8}
scenarios:
  small_similar: {source: latin, target: greek, per_class: 4}
backbones: {mlp: {width: 6, depth: 2}}
regimes:
"""
RUNS = 6


def on_a_machine_of_its_own(name: str, words: list[str]) -> subprocess.Popen:
    """With a name, a network and numbers of processes that no other one knows."""
    apart = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command = ["sh", "-c", 'hostname "$0" && exec "$@"', name, sys.executable, "-m", "transfer_lab"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*apart, *command, *words], env=ENVIRONMENT, text=True, **streams)


@pytest.fixture
def namespaces() -> None:
    if not ALL:
        pytest.skip("two commands take a while; `make faults` tries them on two machines")
    tried = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "hostname", "x"]
    if not shutil.which("unshare") or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("two machines need namespaces of Linux, which cannot be made here")


def test_two_machines_with_locks_train_each_run_once(namespaces, tmp_path):
    diary = tmp_path / "diary"
    (tmp_path / "noted.py").write_text(REGIME.format(diary=str(diary)))
    lines = [f"  r{n}: {{module: 'noted.py:Noted', number: {n}}}\n" for n in range(RUNS)]
    experiment = tmp_path / "noted.yaml"
    experiment.write_text(EXPERIMENT + "".join(lines) + "seeds: [0]\nfit: {epochs: 1}\n")
    words = ["run", str(experiment), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    machines = [
        on_a_machine_of_its_own(name, [*words, "--reports", str(tmp_path / name)])
        for name in ("first", "second")
    ]
    try:
        for machine in machines:
            out, err = machine.communicate(timeout=240)
            assert machine.returncode == 0 and "Traceback" not in err, err + out
    finally:
        for machine in machines:
            machine.kill()
    trained = [line.split() for line in diary.read_text().splitlines()]
    assert sorted(int(number) for number, _ in trained) == [*range(RUNS)]
    assert {name for _, name in trained} == {"first", "second"}
    store = RecordStore(tmp_path / "runs")
    ids = [cell.run.id for cell in plan(load_experiment(experiment).experiment)]
    names = {store.get(run_id).host.partition(" ")[0] for run_id in ids}
    assert names == {"first", "second"} and not any(map(store.damaged, ids))
    assert (tmp_path / "first" / "noted" / "records.csv").exists()
