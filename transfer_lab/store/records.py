"""What a run left behind: one flat, immutable record, and the store that never loses one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from transfer_lab.experiment.spec import PROTOCOL, Cell, Run
from transfer_lab.store.layout import CURVE, PREDICTIONS, RECORD, STAGE_DRIFT, TRIALS, WEIGHTS
from transfer_lab.store.trials import Trial, TrialsError, from_csv
from transfer_lab.system.files import WeightsError, write_atomically
from transfer_lab.system.output import plain
from transfer_lab.system.sealed_json import opened, sealed

FailureKind = Literal["data", "diverged", "oom", "io", "crash", "error"]


class Record(BaseModel):
    """One run's outcome: a flat row. A failure is one of its values, never a number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    init_id: str | None = None
    protocol: int = PROTOCOL
    status: Literal["done", "failed"]
    error_kind: FailureKind | None = None
    error: str | None = None

    num_classes: int | None = None
    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    test_copies: int | None = None
    set_aside: int | None = None

    test_accuracy: float | None = None
    test_balanced_accuracy: float | None = None
    test_macro_f1: float | None = None
    test_macro_recall: float | None = None
    test_log_loss: float | None = None
    predicted_classes: int | None = None
    commonest_prediction: float | None = None
    test_iou: float | None = None
    constant_iou: float | None = None
    dead_units: float | None = None
    val_accuracy: float | None = None
    train_accuracy: float | None = None
    majority_accuracy: float | None = None

    decode_seconds: float | None = None
    feature_seconds: float | None = None
    fit_seconds: float | None = None
    eval_seconds: float | None = None
    pretrain_seconds: float | None = None
    trials: int | None = None
    tune_seconds: float | None = None
    chosen_options: str | None = None

    epochs: int | None = None
    images_seen: int | None = None
    steps: int | None = None
    stopped: Literal["converged", "cap"] | None = None
    trainable_params: int | None = None
    total_params: int | None = None
    macs_per_image: int | None = None
    peak_rss_mb: float | None = None
    weights_sha256: str | None = None
    trials_sha256: str | None = None
    curve_sha256: str | None = None
    predictions_sha256: str | None = None
    changes_sha256: str | None = None

    precision: str | None = None
    device: str | None = None
    host: str | None = None
    threads: int | None = None
    concurrency: int | None = None
    together: int | None = None
    torch: str | None = None
    lightning: str | None = None
    transfer_lab: str | None = None
    commit: str | None = None
    started_at: str | None = None
    subset_overlap: float | None = None

    @classmethod
    def failure(cls, run: Run, kind: FailureKind, message: str, **known: object) -> Record:
        """The record of a run that raised, crashed or diverged."""
        return cls(
            run_id=run.id,
            init_id=run.init_id,
            status="failed",
            error_kind=kind,
            # A file name that is no text would keep the record from being written.
            error=plain(message[:500]).encode(errors="backslashreplace").decode(),
            **known,
        )


OF_CELL = tuple(name for name in Cell.model_fields if name != "run")
"""The columns that say where a cell stands, each a field of it."""

OF_RUN = {
    "per_class": "per_class",
    "regime_kind": "regime.kind",
    "options": "regime.options_text",
    "run_id": "id",
    "init_id": "init_id",
}
"""Further ones of the cell, and what of its run they hold."""

CHECKSUMS = {
    CURVE: "curve_sha256",
    PREDICTIONS: "predictions_sha256",
    STAGE_DRIFT: "changes_sha256",
    TRIALS: "trials_sha256",
    WEIGHTS: "weights_sha256",
}
"""The files that belong to a run, and the field of its record that each is held against; None in
it, as in records from before there was one, vouches for any content."""

INTERNAL = frozenset({"protocol", *CHECKSUMS.values()})
"""Fields of a record that are no columns."""

_FIRST = (
    *("experiment", "scenario", "size", "similarity", "source", "target", "per_class"),
    *("n_train", "n_val", "n_test", "test_copies", "set_aside", "num_classes"),
    *("backbone", "regime", "budget", "regime_kind", "options", "seed", "fold"),
    *("status", "error_kind", "error", "run_id", "init_id"),
)
COLUMNS = tuple(
    name
    for name in dict.fromkeys((*_FIRST, *OF_CELL, *OF_RUN, *Record.model_fields))
    if name not in INTERNAL
)
"""The columns of records.csv, one row a cell: what names it, then its record's fields in their
order."""


class RecordStore:
    """A folder of runs, `<root>/<run id>/`: the record and the files that belong to it.

    `record.json` is written last, to a temporary file that is flushed to disk and renamed, so
    that its existence means the run is complete.
    """

    def __init__(self, root: Path | str, warn: Callable[[str], None] = lambda _: None):
        self.root, self.warn = Path(root), warn
        self._checksums: dict[str, dict[str, str | None]] = {}
        self._told: set[str] = set()
        self.left_out: dict[tuple[str, str], str] = {}
        """By run id and name of the file, what is wrong with files that no report is made from."""

    def folder(self, run_id: str) -> Path:
        """The folder of one run."""
        return self.root / run_id

    def file(self, run_id: str, name: str) -> Path:
        """One file of a run: `metrics.csv`, `predictions.npz`, `backbone.safetensors`, ..."""
        return self.root.joinpath(run_id, name)

    def files(self, run_ids: Iterable[str], name: str) -> dict[str, str]:
        """Where the file of that name lies, of each of these runs that has one, by run id."""
        # A report asks this of ten thousand runs; with Paths it would take four times as long.
        places = {run_id: f"{self.root}/{run_id}/{name}" for run_id in run_ids}
        return {run_id: place for run_id, place in places.items() if os.path.exists(place)}

    def get(self, run_id: str) -> Record | None:
        """The stored record, or None. One that is damaged or cannot be read is named, and counts as
        absent; a damaged one is set aside."""
        place = f"{self.root}/{run_id}/{RECORD}"  # a Path takes as long as reading the file
        try:
            with open(place, "rb", buffering=0) as handle:
                content = handle.read()
        except FileNotFoundError:
            return None
        except OSError as problem:
            self._tell(f"{place}: cannot be read ({problem.strerror}); the run counts as missing")
            return None
        try:
            record = _decode(content, run_id)
        except (ValueError, ValidationError) as problem:
            return self._damaged(Path(place), content, str(problem).splitlines()[0])
        self._checksums[run_id] = {n: getattr(record, f) for n, f in CHECKSUMS.items()}
        return record

    def _damaged(self, path: Path, content: bytes, reason: str) -> Record | None:
        try:
            aside = _set_aside(path, content)
        except OSError as problem:
            why = f"cannot be set aside: {problem.strerror}"
            self._tell(f"{path}: damaged record ({reason}); it {why}; the run counts as missing")
            return None
        if aside is None:
            return self.get(path.parent.name)
        self.warn(f"{path}: damaged record ({reason}); kept as {aside.name}, will be recomputed")
        return None

    def _tell(self, text: str) -> None:
        """Warn, once of each thing: a file that stays where it is is asked for again and again."""
        if text not in self._told:
            self._told.add(text)
            self.warn(text)

    def vouches_for(self, run_id: str, name: str, content: bytes) -> bool:
        """Whether this is the content that the run's record means by its file of that name."""
        if run_id in self._checksums and self._matches(run_id, name, content):
            return True
        self.get(run_id)  # it may have been trained anew meanwhile
        return self._matches(run_id, name, content)

    def _matches(self, run_id: str, name: str, content: bytes) -> bool:
        meant = self._checksums.get(run_id, {}).get(name)
        return meant is None or hashlib.sha256(content).hexdigest() == meant

    def contents(self, run_ids: Iterable[str], name: str) -> Iterator[tuple[str, bytes]]:
        """What the file of that name holds, of each of these runs that has one, by run id; one that
        is not what its record means is named and left out."""
        for run_id, place in self.files(run_ids, name).items():
            try:
                with open(place, "rb", buffering=0) as handle:
                    content = handle.read()
            except FileNotFoundError:
                continue
            except OSError as problem:
                self.leave_out(place, problem.strerror or str(problem))
                continue
            if self.vouches_for(run_id, name, content):
                yield run_id, content
            else:
                self.leave_out(place, "its checksum does not match")

    def leave_out(self, place: str | Path, reason: str) -> None:
        """Name a file that no report is made from."""
        path = Path(place)
        self.left_out[path.parent.name, path.name] = reason
        self._tell(
            f"{place}: damaged ({reason}); the report goes without it, and `run` makes it anew"
        )

    def damaged(self, run_id: str, *names: str) -> list[Path]:
        """Those of a run's files that are there and are not what its record means."""
        paths = [self.file(run_id, name) for name in names or CHECKSUMS]
        return [path for path in paths if not self._is_sound(run_id, path)]

    def _is_sound(self, run_id: str, path: Path) -> bool:
        try:
            return self.vouches_for(run_id, path.name, path.read_bytes())
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def put(self, record: Record) -> None:
        """Store a record durably. A failure never replaces a finished run."""
        if record.status == "failed":
            stored = self.get(record.run_id)
            if stored and stored.status == "done":
                return
        content = sealed(record.model_dump(mode="json"))
        write_atomically(self.file(record.run_id, RECORD), lambda handle: handle.write(content))

    def weights(self, run: Run) -> tuple[Path, str]:
        """The weights file that a run has left, and its SHA-256; raises WeightsError if none."""
        record = self.get(run.id)
        if record is None or record.weights_sha256 is None:
            raise WeightsError(f"the source run {run.id} ({run.title}) has left no weights")
        return self.file(run.id, WEIGHTS), record.weights_sha256

    def is_done(self, run: Run, *, with_weights: bool) -> bool:
        """Whether the run needs no training: a finished record, what a report reads of it undamaged
        or gone, and, undamaged and there, what others need of it: its weights if some start from
        them, of a search its trials."""
        record = self.get(run.id)
        if record is None or record.status != "done":
            return False
        if damaged := self.damaged(run.id, CURVE, PREDICTIONS, STAGE_DRIFT, TRIALS):
            for path in damaged:
                self._tell(f"{path}: damaged; the run is trained again")
            return False
        if run.purpose == "search" and not self._holds(run, TRIALS, record.trials_sha256):
            return False
        return not with_weights or self._holds(run, WEIGHTS, record.weights_sha256)

    def trials(self, run: Run) -> tuple[Trial, ...]:
        """What a search has tried; raises TrialsError if it has left nothing, or other trials."""
        record = self.get(run.id)
        if record is None or not self._holds(run, TRIALS, record.trials_sha256):
            told = "has left no trials, or they are damaged: `run` tries them anew"
            raise TrialsError(f"the {run.title} [{run.id}] {told}")
        found = from_csv(self.file(run.id, TRIALS).read_bytes())
        if tuple(trial.options for trial in found) != run.tune:
            raise TrialsError(f"the {run.title} [{run.id}] has left the trials of another one")
        return found

    def _holds(self, run: Run, name: str, sha256: str | None) -> bool:
        """Whether a file of the run is there and is the one that its record means."""
        try:
            with self.file(run.id, name).open("rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest() == sha256
        except OSError:
            return False


def _decode(content: bytes, run_id: str) -> Record:
    record = Record.model_validate_json(opened(content))
    if record.run_id != run_id:
        raise ValueError(f"it belongs to run {record.run_id}")
    return record


def _set_aside(path: Path, damaged: bytes) -> Path | None:
    """Where it lies now; None if another process has moved or replaced it meanwhile. Raises OSError
    where it cannot be moved."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        if path.read_bytes() != damaged:
            return None
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside
