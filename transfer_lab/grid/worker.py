"""Run -> record, whatever happens to it: an exception becomes a failed record."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from transfer_lab.data.splits import SubsetError
from transfer_lab.experiment.spec import Run
from transfer_lab.store.layout import ONE_PASS_TRACE, TRACE
from transfer_lab.store.records import FailureKind, Record, RecordStore
from transfer_lab.store.trials import TrialsError
from transfer_lab.system.files import DiskFullError, WeightsError, write_atomically
from transfer_lab.system.image_folder import DataUnavailable
from transfer_lab.training.curve import NonFiniteLossError
from transfer_lab.training.run import Setting, provenance, train, train_together


def execute_all(
    runs: Sequence[Run], root: Path, setting: Setting, keep_weights: bool
) -> list[Record]:
    """Train and store runs: one as `execute` does it, several in one pass.

    What does not come out of that pass is executed by itself, and then says what is wrong with it;
    what is stored already, since a worker died when it had done a part of them, stays.
    """
    store = RecordStore(root)
    done = _stored(runs, store, keep_weights) if len(runs) > 1 else {}
    left = [run for run in runs if run.id not in done]
    if len(left) > 1:
        try:
            for record in train_together(left, store, setting):
                done[record.run_id] = record
        except Exception as error:
            _raise_if_full(error)
            _leave_trace(store, left[0], ONE_PASS_TRACE)
    return [done.get(run.id) or execute(run, root, setting, keep_weights) for run in runs]


def execute(run: Run, root: Path, setting: Setting, keep_weights: bool) -> Record:
    """Train and store one run; a failure is stored too, with its traceback beside the record.

    Raises DiskFullError where the store has no room: no run's doing, and the same with every other.
    """
    store = RecordStore(root)
    try:
        return train(run, store, setting, keep_weights=keep_weights)
    except Exception as error:  # a failure in one run never takes another with it
        _raise_if_full(error)
        _leave_trace(store, run, TRACE)
        message = f"{type(error).__name__}: {error}"
        record = Record.failure(run, failure_kind(error), message, **provenance(setting))
        store.put(record)
        return record


def _raise_if_full(error: Exception) -> None:
    if isinstance(error, DiskFullError):
        raise error


def _stored(runs: Sequence[Run], store: RecordStore, keep_weights: bool) -> dict[str, Record]:
    done = [run.id for run in runs if store.is_done(run, with_weights=keep_weights)]
    return {run_id: store.get(run_id) for run_id in done}


def _leave_trace(store: RecordStore, run: Run, name: str) -> None:
    """Write the traceback of what is being handled beside the run's record."""
    text = traceback.format_exc().encode(errors="backslashreplace")
    write_atomically(store.file(run.id, name), lambda handle: handle.write(text))


def failure_kind(error: Exception) -> FailureKind:
    """The kind of failure that an exception stands for."""
    if isinstance(error, NonFiniteLossError):
        return "diverged"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return "oom"
    if isinstance(error, WeightsError | TrialsError | SubsetError | DataUnavailable):
        return "data"
    return "io" if isinstance(error, OSError) else "error"
