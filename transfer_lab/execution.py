"""Run -> record, whatever happens to it: an exception becomes a failed record."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from transfer_lab.domains.splits import SubsetError
from transfer_lab.listing import DataUnavailable
from transfer_lab.record_store import FailureKind, Record, RecordStore, write_atomically
from transfer_lab.spec import Run
from transfer_lab.timing import NonFiniteLossError
from transfer_lab.training import Setting, provenance, train, train_together
from transfer_lab.weights import WeightsError


def execute_all(
    runs: Sequence[Run], root: Path, setting: Setting, keep_weights: bool
) -> list[Record]:
    """Train and store runs: one as `execute` does it, several in one pass.

    What does not come out of that pass is executed by itself, and then says what is wrong with it.
    """
    done: dict[str, Record] = {}
    if len(runs) > 1:
        with contextlib.suppress(Exception):
            for record in train_together(runs, RecordStore(root), setting):
                done[record.run_id] = record
    return [done.get(run.id) or execute(run, root, setting, keep_weights) for run in runs]


def execute(run: Run, root: Path, setting: Setting, keep_weights: bool) -> Record:
    """Train and store one run; a failure is stored too, with its traceback beside the record."""
    store = RecordStore(root)
    try:
        return train(run, store, setting, keep_weights=keep_weights)
    except Exception as error:  # a failure in one run never takes another with it
        text = traceback.format_exc().encode(errors="backslashreplace")
        write_atomically(store.file(run.id, "traceback.txt"), lambda handle: handle.write(text))
        message = f"{type(error).__name__}: {error}"
        record = Record.failure(run, failure_kind(error), message, **provenance(setting))
        store.put(record)
        return record


def failure_kind(error: Exception) -> FailureKind:
    """The kind of failure that an exception stands for."""
    if isinstance(error, NonFiniteLossError):
        return "diverged"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return "oom"
    if isinstance(error, WeightsError | SubsetError | DataUnavailable):
        return "data"
    return "io" if isinstance(error, OSError) else "error"
