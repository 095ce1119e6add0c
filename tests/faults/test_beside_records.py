"""What lies beside a record is held against it: a damaged file is named, left out of the report and
made anew, and costs no other run anything."""

from __future__ import annotations

import errno
import io
import os
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.builders import SharedEngine, done, tiny_run, write_tiny
from transfer_lab.cli import doctor
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid import train as grid
from transfer_lab.grid.scheduler import todo
from transfer_lab.reporting.collect import curves, left_behind, stored, write_report
from transfer_lab.store.layout import CURVE, PREDICTIONS, RECORD, STAGE_DRIFT
from transfer_lab.store.records import CHECKSUMS, RecordStore
from transfer_lab.store.results import frame
from transfer_lab.training.run import Setting, train

RUNS = [tiny_run(seed=seed) for seed in range(3)]
PROBE = tiny_run("full_finetune", init=tiny_run(), lr=0.01)


@cache
def finished() -> Path:
    """A store of a few small runs, of which one has fine-tuned."""
    import atexit
    import tempfile

    root = Path(tempfile.mkdtemp(prefix="finished-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    store = RecordStore(root)
    for run in RUNS:
        train(run, store, Setting(), keep_weights=run is RUNS[0])
    train(PROBE, store, Setting())
    return root


class Telling(RecordStore):
    """A store that keeps what it says."""

    def __init__(self, root: Path):
        self.said: list[str] = []
        super().__init__(root, self.said.append)


@pytest.fixture
def store(tmp_path):
    shutil.copytree(finished(), tmp_path / "runs")
    return Telling(tmp_path / "runs")


def another_number(content: bytes) -> bytes:
    """A curve that reads as well as before, with another digit."""
    at = content.rindex(b"0.") + 3
    return content[:at] + (b"7" if content[at : at + 1] != b"7" else b"3") + content[at + 1 :]


def other_answers(content: bytes) -> bytes:
    """Predictions with two images' answers exchanged: as many are right as before."""
    arrays = dict(np.load(io.BytesIO(content)))
    arrays["label"], arrays["predicted"] = arrays["label"][::-1], arrays["predicted"][::-1]
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


DAMAGE = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "no text": lambda _: b"\xff\xfe\x00\n\x00,",
    "flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "longer": lambda content: content + b"1,2,3,4,5,6,7,8,9,10,11,12\n",
}
MEASURED = {
    CURVE: DAMAGE | {"another number": another_number},
    STAGE_DRIFT: DAMAGE | {"another number": another_number},
    PREDICTIONS: DAMAGE | {"other answers": other_answers},
}
CASES = [(name, how) for name, ways in MEASURED.items() for how in ways]


def damage(store: RecordStore, run_id: str, name: str, how: str) -> Path:
    path = store.file(run_id, name)
    path.write_bytes(MEASURED[name][how](path.read_bytes()))
    return path


def table(store: RecordStore, runs) -> object:
    import pandas as pd

    records = [store.get(run.id) for run in runs]
    return pd.DataFrame({"run_id": [r.run_id for r in records], "status": "done"})


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_damaged_file_is_named_left_out_and_made_anew(store, name, how):
    run = PROBE
    path = damage(store, run.id, name, how)
    rows = table(store, [*RUNS, run])
    if name == CURVE:
        assert set(curves(rows, store)) == {one.id for one in RUNS}
    elif name == STAGE_DRIFT:
        assert left_behind(rows, store, name) == {}
    assert store.damaged(run.id) == [path]
    assert not store.is_done(run, with_weights=False)
    assert all(store.is_done(one, with_weights=False) for one in RUNS)
    assert any(str(path) in text for text in store.said)
    before = store.get(run.id)
    train(run, store, Setting())
    assert Telling(store.root).damaged(run.id) == []
    assert RecordStore(store.root).get(run.id).test_accuracy == before.test_accuracy


@pytest.mark.parametrize(("name", "how"), CASES)
def test_doctor_names_it_and_says_that_something_is_wrong(store, name, how, tmp_path, capsys):
    assert doctor.examine(None, store.root, tmp_path / "reports") == 0
    path = damage(store, PROBE.id, name, how)
    assert doctor.examine(None, store.root, tmp_path / "reports") == 1
    assert f"PROBLEM  {path}: damaged" in capsys.readouterr().out.replace("\n", "")


def test_files_exchanged_between_runs_are_those_of_neither(store):
    first, second = (store.file(run.id, CURVE) for run in RUNS[:2])
    first_content, second_content = first.read_bytes(), second.read_bytes()
    assert first_content != second_content
    first.write_bytes(second_content)
    second.write_bytes(first_content)
    assert set(curves(table(store, RUNS), store)) == {RUNS[2].id}


def test_a_curve_from_before_checksums_that_cannot_be_read_costs_no_other(store):
    older = RUNS[0]
    known = dict.fromkeys(CHECKSUMS.values())
    store.put(store.get(older.id).model_copy(update=known))
    content = store.file(older.id, CURVE).read_bytes()
    assert set(curves(table(store, RUNS), store)) == {run.id for run in RUNS}
    for broken in (content + b"1,2,3,4,5,6,7,8,9,10,11,12\n", content.replace(b"0.", b"x.")):
        store.file(older.id, CURVE).write_bytes(broken)
        assert set(curves(table(store, RUNS), store)) == {run.id for run in RUNS[1:]}
    assert store.is_done(older, with_weights=False)  # nothing vouches against it


def test_a_file_that_was_removed_is_missing_and_nothing_is_trained_for_it(store):
    store.file(RUNS[0].id, PREDICTIONS).unlink()
    assert store.is_done(RUNS[0], with_weights=False) and store.said == []


def test_every_file_of_a_run_has_a_checksum_in_its_record(store):
    for run in (*RUNS, PROBE):
        record = store.get(run.id)
        names = {path.name for path in store.folder(run.id).iterdir()} - {RECORD, ".lease"}
        assert names <= set(CHECKSUMS)
        assert {n for n, field in CHECKSUMS.items() if getattr(record, field)} == names


@pytest.mark.parametrize("kind", ["a folder", "a file for its folder", "EIO", "EACCES"])
def test_a_record_that_cannot_be_read_is_named_and_spares_the_rest(
    store, kind, monkeypatch, tmp_path, capsys
):
    run = RUNS[0]
    path = store.file(run.id, RECORD)
    if kind == "a folder":
        path.unlink()
        path.mkdir()
    elif kind == "a file for its folder":
        shutil.rmtree(path.parent)
        path.parent.write_text("")
    else:
        _fails_to_open(monkeypatch, path, getattr(errno, kind))
    assert store.get(run.id) is None and store.get(run.id) is None
    assert len(store.said) == 1 and str(path) in store.said[0]
    assert not store.is_done(run, with_weights=False)
    assert all(store.is_done(one, with_weights=False) for one in RUNS[1:])
    assert doctor.examine(None, store.root, tmp_path / "reports") == 1
    assert f"PROBLEM  {path}" in capsys.readouterr().out.replace("\n", "")


def _fails_to_open(monkeypatch, path: Path, number: int) -> None:
    import builtins

    real = builtins.open

    def opened(file, *args, **how):
        if str(file) == str(path):
            raise OSError(number, os.strerror(number), str(file))
        return real(file, *args, **how)

    monkeypatch.setattr(builtins, "open", opened)


def test_a_damaged_record_in_a_store_that_may_not_be_written_is_named(store, monkeypatch):
    path = store.file(RUNS[0].id, RECORD)
    path.write_bytes(b"damaged")

    def refused(self, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "rename", refused)
    assert store.get(RUNS[0].id) is None
    (said,) = store.said
    assert str(path) in said and "Read-only" in said
    assert path.read_bytes() == b"damaged"


@pytest.fixture(scope="module")
def grid_store(tmp_path_factory):
    """A finished grid."""
    folder = tmp_path_factory.mktemp("grid")
    file = load_experiment(write_tiny(folder))
    cells, store = plan(file.experiment), RecordStore(folder / "runs")
    work = todo(cells, store)
    for run in work.runs.values():
        train(run, store, Setting(), keep_weights=run.id in work.parents)
    assert SharedEngine and grid
    return file, store.root


def damaged_copy(grid_store, tmp_path):
    file, root = grid_store
    shutil.copytree(root, tmp_path / "runs")
    return file, plan(file.experiment), Telling(tmp_path / "runs")


def test_a_report_names_what_is_damaged_and_holds_all_else(grid_store, tmp_path):
    file, cells, store = damaged_copy(grid_store, tmp_path)
    victim = next(cell.run for cell in cells if cell.regime == "from_scratch")
    for name in (CURVE, PREDICTIONS):
        path = store.file(victim.id, name)
        path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    page = write_report(file.experiment, cells, store, tmp_path / "reports", "")
    for text in (page.read_text(), page.with_name("report.md").read_text()):
        assert f"{CURVE} of {victim.id}" in text and f"{PREDICTIONS} of {victim.id}" in text
    assert (frame(cells, store)["status"] == "done").all()
    assert len(stored(file.experiment, cells, store).curves) > 1


def test_an_archived_store_with_a_damaged_record_is_reported(grid_store, tmp_path, monkeypatch):
    file, cells, store = damaged_copy(grid_store, tmp_path)
    victim = cells[0].run
    store.file(victim.id, RECORD).write_bytes(b"{")
    rename = Path.rename
    monkeypatch.setattr(
        Path, "rename", lambda self, to: _only_below(tmp_path / "reports", self, to, rename)
    )
    page = write_report(file.experiment, cells, store, tmp_path / "reports", "")
    assert page.exists()
    assert list(frame(cells, store)["status"]).count("missing") >= 1
    assert done(victim) and any(victim.id in text for text in store.said)


def _only_below(folder, path, to, rename):
    if not path.is_relative_to(folder):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
    return rename(path, to)
