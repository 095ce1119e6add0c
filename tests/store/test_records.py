"""A record is there whole or not at all, and none is ever lost."""

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    ENVIRONMENT,
    done,
    experiment,
    failed,
    leave_weights,
    records_in,
    tiny_run,
)
from transfer_lab.experiment.plan import plan
from transfer_lab.store.records import (
    CHECKSUMS,
    COLUMNS,
    FailureKind,
    Record,
    RecordStore,
    write_atomically,
)
from transfer_lab.store.results import frame, states

RUN = tiny_run("linear_probe", init=tiny_run(), lr=0.1)


class Kept(RecordStore):
    """A store that keeps its warnings."""

    def __init__(self, root):
        self.warnings = []
        super().__init__(root, warn=self.warnings.append)


@pytest.fixture
def store(tmp_path):
    return Kept(tmp_path / "runs")


def stored(store: RecordStore, record: Record) -> Path:
    store.put(record)
    return store.file(record.run_id, "record.json")


@settings(max_examples=30)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.integers(0, 2**63),
)
def test_a_record_comes_back_as_it_was(number, text, count):
    with tempfile.TemporaryDirectory() as folder:
        store = Kept(folder)
        record = done(RUN, test_accuracy=number, host=text, macs_per_image=count)
        store.put(record)
        assert store.get(RUN.id) == record
        assert store.warnings == []


def test_an_unknown_run_has_no_record(store):
    assert store.get("0" * 16) is None
    assert not store.is_done(RUN, with_weights=False)
    assert store.warnings == []
    assert not store.root.exists()


def test_a_record_names_its_run_its_parent_and_the_protocol(store):
    stored(store, failed(RUN, "no such file"))
    found = store.get(RUN.id)
    assert (found.run_id, found.init_id) == (RUN.id, RUN.init.id)
    assert (found.status, found.error) == ("failed", "no such file")


def test_a_failure_never_replaces_a_finished_run(store):
    stored(store, done(RUN))
    stored(store, failed(RUN))
    assert store.get(RUN.id) == done(RUN)


def test_a_finished_run_replaces_a_failure_and_a_later_failure_an_earlier(store):
    stored(store, failed(RUN, "first"))
    stored(store, failed(RUN, "second"))
    assert store.get(RUN.id).error == "second"
    stored(store, done(RUN))
    assert store.get(RUN.id) == done(RUN)


def assert_set_aside(store: Kept, path: Path, content: bytes) -> None:
    """The record counts as absent, its bytes are kept beside it, and one warning names both."""
    before = len(store.warnings)
    assert store.get(RUN.id) is None
    (warning,) = store.warnings[before:]
    kept = [p for p in path.parent.iterdir() if p.read_bytes() == content]
    assert len(kept) == 1
    assert str(path) in warning
    assert kept[0].name in warning
    assert store.get(RUN.id) is None
    assert len(store.warnings) == before + 1


@pytest.mark.parametrize("replaced", [None, done(RUN), failed(RUN)], ids=["none", "done", "failed"])
@pytest.mark.parametrize("when", ["read_bytes", "exists"])
def test_a_damaged_record_that_another_process_has_seen_to_meanwhile_is_left_to_it(
    store, monkeypatch, replaced, when
):
    """It was set aside, or the run was trained again: nothing sound is moved away."""
    path = stored(store, done(RUN))
    path.write_bytes(b"damaged")
    call = getattr(Path, when)

    def late(self):
        monkeypatch.undo()
        path.unlink()
        if replaced:
            RecordStore(store.root).put(replaced)
        return call(self)

    monkeypatch.setattr(Path, when, late)
    assert store.get(RUN.id) == replaced
    assert store.warnings == []
    assert [file.name for file in path.parent.iterdir()] == (["record.json"] if replaced else [])


def test_what_another_process_sets_aside_between_reading_and_renaming_is_no_error(
    store, monkeypatch
):
    path = stored(store, done(RUN))
    path.write_bytes(b"damaged")
    rename = Path.rename

    def late(self, to):
        path.unlink()
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", late)
    assert store.get(RUN.id) is None
    assert store.warnings == []


def test_a_record_damaged_anew_meanwhile_is_set_aside_as_it_is_then(store, monkeypatch):
    path = stored(store, done(RUN))
    path.write_bytes(b"damaged")
    read = Path.read_bytes

    def late(self):
        monkeypatch.undo()
        path.write_bytes(b"damaged otherwise")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert store.get(RUN.id) is None
    (warning,) = store.warnings
    (aside,) = path.parent.iterdir()
    assert aside.read_bytes() == b"damaged otherwise" and aside.name in warning


def test_a_record_cut_short_anywhere_is_set_aside(store):
    path = stored(store, done(RUN))
    whole = path.read_bytes()
    for length in range(0, len(whole), 17):
        path.write_bytes(whole[:length])
        assert_set_aside(store, path, whole[:length])


def test_one_flipped_bit_never_gives_another_record(store):
    path = stored(store, done(RUN))
    whole = path.read_bytes()
    harmless = 0
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        found = store.get(RUN.id)
        assert found in (None, done(RUN))
        harmless += found is not None
        assert len(store.warnings) == position + 1 - harmless
        for aside in path.parent.iterdir():
            assert aside.read_bytes() == flipped
            aside.unlink()
    assert harmless < 10


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\x80\xff",
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"sha256": "", "record": {}}',
        b'{"status": "done", "test_accuracy": 1.0}',
    ],
)
def test_what_is_not_a_record_is_set_aside(store, content):
    path = stored(store, done(RUN))
    path.write_bytes(content)
    assert_set_aside(store, path, content)


@pytest.mark.parametrize("body", [None, [], 3, {}, {"run_id": "x"}, {"status": "great"}])
def test_a_foreign_content_is_set_aside_even_with_a_right_checksum(store, body):
    path = stored(store, done(RUN))
    sha256 = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    content = json.dumps({"sha256": sha256, "record": body}).encode()
    path.write_bytes(content)
    assert_set_aside(store, path, content)


def test_a_record_of_another_run_is_set_aside(store):
    content = stored(store, done(tiny_run(seed=5))).read_bytes()
    path = stored(store, done(RUN))
    path.write_bytes(content)
    assert_set_aside(store, path, content)


def test_repeated_damage_overwrites_no_evidence(store):
    path = stored(store, done(RUN))
    contents = [b"first", b"second", b"third"]
    for content in contents:
        path.write_bytes(content)
        assert_set_aside(store, path, content)
    kept = sorted(p.read_bytes() for p in path.parent.iterdir())
    assert kept == sorted(contents)


def test_a_run_can_be_stored_again_after_damage(store):
    path = stored(store, done(RUN))
    path.write_bytes(b"gone")
    assert not store.is_done(RUN, with_weights=False)
    store.put(failed(RUN))
    assert store.get(RUN.id).status == "failed"
    store.put(done(RUN))
    assert store.get(RUN.id) == done(RUN)


def test_a_parent_is_done_only_with_the_weights_it_recorded(store):
    parent = RUN.init
    stored(store, done(parent))
    assert store.is_done(parent, with_weights=False)
    assert not store.is_done(parent, with_weights=True)
    sha256 = leave_weights(parent, store)
    assert not store.is_done(parent, with_weights=True)
    stored(store, done(parent, weights_sha256=sha256))
    assert store.is_done(parent, with_weights=True)
    store.file(parent.id, "backbone.safetensors").unlink()
    assert not store.is_done(parent, with_weights=True)


def test_a_parent_whose_weights_are_damaged_is_not_done(store):
    """Its children could never start, however often the grid is run again."""
    stored(store, done(RUN.init, weights_sha256=leave_weights(RUN.init, store, b"weights")))
    leave_weights(RUN.init, store, b"wei")
    assert not store.is_done(RUN.init, with_weights=True)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


class FullDisk:
    """A file that takes no byte."""

    def __init__(self, handle):
        self.handle = handle

    def __getattr__(self, name):
        return no_space if name in ("write", "flush") else getattr(self.handle, name)


@pytest.mark.parametrize("operation", ["write", "fsync", "replace", "open", "mkdir", "mkstemp"])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_disk_that_fails_leaves_the_old_content_or_the_new(tmp_path, monkeypatch, operation, old):
    path = tmp_path / "deep" / "record.json"
    if old:
        write_atomically(path, lambda handle: handle.write(old))

    def write(handle):
        (FullDisk(handle) if operation == "write" else handle).write(b"new")

    where = {"mkdir": Path, "mkstemp": tempfile}.get(operation, os)
    if operation != "write":
        monkeypatch.setattr(where, operation, no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, write)
    monkeypatch.undo()
    left = {p.name: p.read_bytes() for p in path.parent.glob("*")}
    assert left in ({"record.json": b"new"}, {"record.json": old} if old else {})
    write_atomically(path, lambda handle: handle.write(b"later"))
    assert path.read_bytes() == b"later"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_while_writing_leaves_no_temporary_file(tmp_path, error):
    path = tmp_path / "record.json"

    def interrupted(handle):
        handle.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(path, interrupted)
    assert list(tmp_path.iterdir()) == []


def test_death_at_any_operation_leaves_the_old_content_or_the_new(tmp_path):
    """A forked process ends at its nth file operation; every n is tried."""
    code = """
import os, sys, tempfile
from pathlib import Path
from transfer_lab.system.files import write_atomically

path = Path(sys.argv[1])
operations = [(os, "fsync"), (os, "replace"), (os, "open"), (os, "close"), (os, "fdopen")]

def content(n):
    return bytes([n]) * 100_000

def arm(n):
    left = [n]
    def counted(call):
        def operation(*args, **options):
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            return call(*args, **options)
        return operation
    for module, name in operations:
        setattr(module, name, counted(getattr(module, name)))

previous = None
for n in range(40):
    child = os.fork()
    if not child:
        arm(n)
        write_atomically(path, lambda handle: [handle.write(b) for b in [content(n)] * 3])
        os._exit(0)
    died = os.waitpid(child, 0)[1] != 0
    found = path.read_bytes() if path.exists() else None
    assert found in (previous, content(n) * 3), n
    assert died or found == content(n) * 3
    if not died:
        print("deaths", n)
        break
    previous = found
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "record.json")],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    assert int(told.stdout.split()[1]) >= 4


def test_content_is_flushed_to_disk_before_it_gets_its_name_and_the_name_after(
    tmp_path, monkeypatch
):
    path = tmp_path / "record.json"
    seen = []
    fsync = os.fsync

    def noted(descriptor):
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append("folder" if target.is_dir() else target.read_bytes())
        seen.append(path.exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_atomically(path, lambda handle: handle.write(b"content"))
    assert seen == [b"content", False, "folder", True]


def test_files_have_the_permissions_of_any_other_file(tmp_path):
    plain, page = tmp_path / "plain", tmp_path / "index.html"
    plain.write_bytes(b"page")
    write_atomically(page, lambda handle: handle.write(b"page"))
    assert page.stat().st_mode == plain.stat().st_mode


def test_the_frame_has_one_row_a_cell_in_the_columns_of_the_csv_file(store):
    cells = plan(experiment())
    table = frame(cells, store)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == len(cells)
    assert set(table["status"]) == {"missing"}
    for cell, row in zip(cells, table.to_dict("records"), strict=True):
        for name in ("experiment", "scenario", "backbone", "regime", "seed", "source", "target"):
            assert row[name] == getattr(cell, name)
        assert row["per_class"] == cell.run.per_class
        assert row["regime_kind"] == cell.run.regime.kind
        assert json.loads(row["options"]) == cell.run.regime.options
        assert row["run_id"] == cell.run.id


def test_the_columns_stand_in_the_order_that_readers_of_stored_files_know():
    known = """
        experiment scenario size similarity source target per_class n_train n_val n_test
        test_copies set_aside num_classes backbone regime budget regime_kind options seed fold
        status error_kind error run_id init_id test_accuracy test_balanced_accuracy test_macro_f1
        test_macro_recall test_log_loss predicted_classes commonest_prediction test_iou
        constant_iou dead_units val_accuracy train_accuracy majority_accuracy decode_seconds
        feature_seconds fit_seconds eval_seconds pretrain_seconds trials tune_seconds
        chosen_options epochs images_seen steps stopped trainable_params total_params
        macs_per_image peak_rss_mb precision device host threads concurrency together torch
        lightning transfer_lab commit started_at subset_overlap
    """
    assert tuple(known.split()) == COLUMNS


def test_the_columns_hold_every_field_of_a_record_but_the_internal():
    internal = {"protocol", *CHECKSUMS.values()}
    assert set(Record.model_fields) - set(COLUMNS) == internal
    assert len(set(COLUMNS)) == len(COLUMNS)


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_kind_of_failure_is_still_there_after_pandas_has_read_it_from_a_csv_file(kind):
    assert pd.read_csv(io.StringIO(f"error_kind\n{kind}\n"))["error_kind"].tolist() == [kind]


def test_the_frame_says_done_failed_blocked_or_missing(store):
    asked = experiment(seeds=[0], backbones={"mlp": {"kind": "mlp"}}, pretrain={"per_seed": True})
    cells = {(c.scenario, c.regime): c for c in plan(asked)}
    good = cells["small_similar", "linear_probe"]
    bad = cells["small_dissimilar", "linear_probe"]
    scratch = cells["small_similar", "from_scratch"]
    store.put(done(good.run.init))
    store.put(done(good.run, test_accuracy=0.75))
    store.put(failed(bad.run.init, "the disk is full"))
    store.put(failed(scratch.run, "it diverged"))
    table = frame(cells.values(), store).set_index(["scenario", "regime"])

    row = table.loc["small_similar", "linear_probe"]
    assert (row["status"], row["test_accuracy"]) == ("done", 0.75)
    assert pd.isna(row["error"])
    assert row["init_id"] == good.run.init.id
    for scenario in ("small_similar", "small_dissimilar"):
        row = table.loc[scenario, "from_scratch"]
        assert (row["status"], row["error_kind"]) == ("failed", "error")
        assert row["error"] == "it diverged"
        assert pd.isna(row["test_accuracy"])
    for regime in ("linear_probe", "partial_finetune", "full_finetune", "lp_ft"):
        row = table.loc["large_dissimilar", regime]
        assert row["status"] == "blocked"
        assert bad.run.init.id in row["error"]
        assert "the disk is full" in row["error"]
        assert table.loc["large_similar", regime]["status"] == "missing"
    assert set(table.loc[(slice(None), "majority"), "status"]) == {"missing"}
    for cell, state in states(cells.values(), store):
        row = table.loc[cell.scenario, cell.regime]
        assert state.status == row["status"]
        assert state.error == (None if pd.isna(row["error"]) else row["error"])


def test_damage_found_by_the_frame_is_a_missing_cell_and_one_warning(store):
    cells = plan(experiment(seeds=[0]))
    run = cells[0].run
    stored(store, done(run)).write_bytes(b"gone")
    table = frame(cells, store)
    assert set(table["status"]) == {"missing"}
    assert len(store.warnings) == 1
    assert records_in(store) == {}
