"""One run to one record: the same whatever ran before it, and a failure is a record too."""

import errno

import numpy as np
import pytest
import torch

from tests.builders import done, failed, leave_weights, tiny_run
from transfer_lab.data.splits import SubsetError
from transfer_lab.grid import worker as execution
from transfer_lab.grid.worker import execute, failure_kind
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system.files import WeightsError
from transfer_lab.training.building import build_domain
from transfer_lab.training.curve import NonFiniteLossError
from transfer_lab.training.run import Setting

PARENT = tiny_run(seed=3)
CHILD = tiny_run("full_finetune", init=PARENT, lr=0.01, backbone_lr=0.01)
SCRATCH = tiny_run(seed=4)
SETTING = Setting(threads=1, concurrency=2, commit="abc")

MEASURED = [
    name
    for name in Record.model_fields
    if name.startswith(("test_", "val_", "train_", "majority_", "n_"))
]


def measured(record: Record) -> dict:
    return {name: getattr(record, name) for name in (*MEASURED, "steps", "epochs", "status")}


def predicted(store: RecordStore, run) -> dict[str, np.ndarray]:
    with np.load(store.file(run.id, "predictions.npz"), allow_pickle=False) as arrays:
        return dict(arrays)


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A parent, its child and a run of its own, in this order."""
    store = RecordStore(tmp_path_factory.mktemp("first"))
    for run in (PARENT, CHILD, SCRATCH):
        execute(run, store.root, SETTING, run is PARENT)
    return store


def test_a_run_leaves_a_finished_record_and_its_files(store):
    for run in (PARENT, CHILD, SCRATCH):
        record = store.get(run.id)
        assert (record.status, record.error_kind, record.error) == ("done", None, None)
        assert record.init_id == (run.init.id if run.init else None)
        assert (record.num_classes, record.n_test) == (4, 24)
        assert record.n_train + record.n_val == 4 * 8
        assert 0 <= record.test_accuracy <= 1
        assert (record.threads, record.concurrency, record.commit) == (1, 2, "abc")
        assert {p.name for p in store.folder(run.id).iterdir()} >= {
            "record.json",
            "metrics.csv",
            "predictions.npz",
        }


def test_predictions_name_the_classes_in_label_order(store):
    classes = build_domain(SCRATCH, None).classes
    assert predicted(store, SCRATCH)["classes"].tolist() == list(classes)
    accuracy = store.get(SCRATCH.id).test_accuracy
    read = Predictions(lambda run_id: store.file(run_id, "predictions.npz")).of(
        SCRATCH.id, accuracy
    )
    assert read.classes == tuple(classes)
    assert read.right.mean() == pytest.approx(accuracy)


def test_the_accuracy_is_that_of_the_stored_predictions(store):
    for run in (PARENT, CHILD, SCRATCH):
        arrays = predicted(store, run)
        accuracy = np.mean(arrays["label"] == arrays["predicted"])
        assert store.get(run.id).test_accuracy == pytest.approx(accuracy, abs=1e-6)


def test_weights_are_left_only_where_they_are_asked_for(store):
    left = {run.id: store.get(run.id).weights_sha256 for run in (PARENT, CHILD, SCRATCH)}
    assert left[PARENT.id]
    assert left[CHILD.id] is left[SCRATCH.id] is None
    assert [p.parent.name for p in store.root.glob("*/backbone.safetensors")] == [PARENT.id]


def test_a_result_depends_neither_on_the_order_of_runs_nor_on_what_ran_before(store, tmp_path):
    torch.manual_seed(1234)
    torch.rand(17)
    np.random.seed(99)
    other = RecordStore(tmp_path)
    for run in (SCRATCH, PARENT, CHILD):
        execute(run, other.root, SETTING, run is PARENT)
    for run in (PARENT, CHILD, SCRATCH):
        assert measured(other.get(run.id)) == measured(store.get(run.id))
        assert same(predicted(other, run), predicted(store, run))
    assert other.get(PARENT.id).weights_sha256 == store.get(PARENT.id).weights_sha256


def test_runs_that_differ_in_the_seed_alone_differ_in_their_predictions(store):
    assert not same(predicted(store, PARENT), predicted(store, SCRATCH))


def test_the_same_run_again_gives_the_same_metrics(store):
    before = measured(store.get(SCRATCH.id))
    assert measured(execute(SCRATCH, store.root, SETTING, False)) == before
    assert measured(store.get(SCRATCH.id)) == before


def raising(error: BaseException):
    def train(*_, **__):
        raise error

    return train


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("a label is missing"), "error"),
        (NonFiniteLossError("the loss is nan"), "diverged"),
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), "oom"),
        (WeightsError("of another architecture"), "data"),
        (SubsetError("8 images per class asked for"), "data"),
        (OSError(errno.EIO, "Input/output error"), "io"),
        (FileNotFoundError("images.npy"), "io"),
        (ZeroDivisionError("division by zero"), "error"),
    ],
)
def test_an_exception_becomes_a_failed_record_of_its_kind(tmp_path, monkeypatch, error, kind):
    monkeypatch.setattr(execution, "train", raising(error))
    record = execute(CHILD, tmp_path, SETTING, False)
    assert (record.status, record.error_kind) == ("failed", kind)
    assert failure_kind(error) == kind
    assert record.error.startswith(type(error).__name__)
    assert str(error) in record.error
    assert (record.run_id, record.init_id) == (CHILD.id, PARENT.id)
    assert (record.threads, record.concurrency, record.commit) == (1, 2, "abc")
    assert record.torch == torch.__version__.partition("+")[0]
    assert record.test_accuracy is None
    assert RecordStore(tmp_path).get(CHILD.id) == record


def test_the_traceback_stands_beside_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "train", raising(ValueError("line one\nline two")))
    execute(CHILD, tmp_path, SETTING, False)
    text = RecordStore(tmp_path).file(CHILD.id, "traceback.txt").read_text()
    assert text.startswith("Traceback")
    assert "ValueError: line one\nline two" in text
    assert "in train" in text


def test_an_endless_message_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "train", raising(ValueError("x" * 10_000)))
    assert len(execute(CHILD, tmp_path, SETTING, False).error) <= 500


def test_a_message_with_a_file_name_that_is_no_text_is_a_failed_record(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "train", raising(ValueError("bad file caf\udce9.png")))
    record = execute(CHILD, tmp_path, SETTING, False)
    assert (record.status, record.error_kind) == ("failed", "error")
    assert RecordStore(tmp_path).get(CHILD.id) == record


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_a_failure_of_the_run(tmp_path, monkeypatch, interrupt):
    monkeypatch.setattr(execution, "train", raising(interrupt()))
    with pytest.raises(interrupt):
        execute(CHILD, tmp_path, SETTING, False)
    assert RecordStore(tmp_path).get(CHILD.id) is None


def test_a_learning_rate_that_explodes_is_a_failure_of_kind_nan(tmp_path):
    run = tiny_run(lr=1e30)
    record = execute(run, tmp_path, SETTING, True)
    assert (record.status, record.error_kind) == ("failed", "diverged")
    assert "nan" in record.error or "inf" in record.error
    assert record.test_accuracy is None
    left = {p.name for p in RecordStore(tmp_path).folder(run.id).iterdir()}
    assert left == {"record.json", "traceback.txt"}


def test_a_subset_that_the_pool_does_not_hold_is_a_failure_of_kind_data(tmp_path):
    run = tiny_run().model_copy(update={"per_class": 9})
    record = execute(run, tmp_path, SETTING, False)
    assert record.error_kind == "data"
    assert "9 images per class" in record.error


@pytest.mark.parametrize("fault", ["no record", "no weights", "damaged"])
def test_a_child_does_not_start_from_weights_that_are_not_its_parents(tmp_path, fault):
    store = RecordStore(tmp_path)
    if fault == "no weights":
        store.put(done(PARENT, weights_sha256="0" * 64))
    if fault == "damaged":
        store.put(done(PARENT, weights_sha256=leave_weights(PARENT, store)))
        leave_weights(PARENT, store, b"weight")
    record = execute(CHILD, tmp_path, SETTING, False)
    assert (record.status, record.error_kind) == ("failed", "data")
    assert PARENT.id in record.error


def test_a_run_that_fails_after_it_was_done_keeps_its_result(store, monkeypatch):
    before = store.get(CHILD.id)
    monkeypatch.setattr(execution, "train", raising(ValueError("later")))
    execute(CHILD, store.root, SETTING, False)
    assert store.get(CHILD.id) == before


def test_a_failed_run_is_replaced_when_it_succeeds(tmp_path):
    store = RecordStore(tmp_path)
    store.put(failed(SCRATCH))
    execute(SCRATCH, tmp_path, SETTING, False)
    assert store.get(SCRATCH.id).status == "done"
