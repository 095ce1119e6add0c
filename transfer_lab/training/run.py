"""Run -> Record: the one place that joins domain, backbone, regime and budget."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import torch

from transfer_lab.backbones.counting import macs_per_image, parameter_count
from transfer_lab.backbones.weights import save_weights
from transfer_lab.data.base import ImageDomain
from transfer_lab.data.splits import overlap
from transfer_lab.experiment.choices import Options, Trials, regime_entry
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import TransferModule
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.store.layout import (
    ACTIVATIONS,
    CURVE,
    IMAGES,
    PREDICTIONS,
    STAGE_DRIFT,
    TRIALS,
    WEIGHTS,
)
from transfer_lab.store.records import CHECKSUMS, Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.device import device, precision
from transfer_lab.system.files import write_atomically
from transfer_lab.system.workers import Numbers
from transfer_lab.training import stage_drift
from transfer_lab.training.building import build_domain, build_regime, draw
from transfer_lab.training.curve import NonFiniteLossError
from transfer_lab.training.fit import FitResult, fit_and_test
from transfer_lab.training.heads import (
    Heads,
    differ_in_rate_alone,
    fit_and_test_heads,
    share_backbone,
)
from transfer_lab.training.metrics import majority_accuracy, predictions, test_metrics
from transfer_lab.training.search import Search, options_over, searches

_MACS: dict[tuple[object, ...], int] = {}
"""Of networks, by all that determines one."""
_ATTEMPTS, _APART_S = 8, 0.02
"""To leave something whole beside another machine that stores the same run; and how long between
the first two at most."""


@dataclass(frozen=True)
class Setting:
    """The circumstances of a run that do not change its result but belong in its record."""

    threads: int = 1
    concurrency: int = 1
    commit: str | None = None
    precision: Numbers | None = None


def train(run: Run, store: RecordStore, setting: Setting, *, keep_weights: bool = False) -> Record:
    """Train and test one run; store its files, then its record; return the record. A search ends
    with its trials and tests nothing.

    Raises what goes wrong: WeightsError, TrialsError, SubsetError, NonFiniteLossError, OSError, ...
    """
    host.reset_peak_memory()
    work, fitting = _Work(run, store, setting), _fitting(store, setting)
    if run.tune:
        (found,) = searches([run], [work.domain], store, **fitting)
        if run.purpose == "search":
            return work.end_search(found)
        work.choose(found)
    work.build()
    result = fit_and_test(work.regime, work.domain, work.final.fit, **fitting)
    return work.end(result, keep_weights=keep_weights)


def train_together(runs: Sequence[Run], store: RecordStore, setting: Setting) -> Iterator[Record]:
    """Train and test runs that differ in their seeds alone, the heads of all in one pass, and give
    the record of each once it is stored: that of the same numbers as alone.

    A run that diverges is left out. Raises ValueError where one pass would not be exact, and what
    goes wrong with any of them.
    """
    host.reset_peak_memory()
    works, fitting = [_Work(run, store, setting) for run in runs], _fitting(store, setting)
    if runs[0].tune:
        found = searches(runs, [work.domain for work in works], store, **fitting)
        works = list(_chosen(works, found))
    for work in works:
        work.build()
        share_backbone([works[0].regime, work.regime])  # equal ones, and one is enough to hold
    if not differ_in_rate_alone([work.regime for work in works]):
        raise ValueError("something other than linear heads learns in these runs")
    groups = [Heads(work.domain, [work.regime]) for work in works]
    results = fit_and_test_heads(groups, works[0].final.fit, **fitting)
    for work, (result,) in zip(works, results, strict=True):
        if not result.diverged:
            with contextlib.suppress(NonFiniteLossError):
                yield work.end(result, together=len(works))


class _Work:
    """A run on its way to its record: domain, search, regime, outcome."""

    def __init__(self, run: Run, store: RecordStore, setting: Setting):
        self.run, self.final, self._store, self._setting = run, run, store, setting
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.domain = build_domain(run, store.root / IMAGES)
        self._split, self._found = self.domain.split, None
        self._left: dict[str, str] = {}
        self._written: dict[str, bytes] = {}
        self._options = options_over(run, store) if run.searches else None
        if self._options is not None:
            self.final = run.trial(self._options)

    def choose(self, found: Search) -> None:
        """Go on with what validation chose; raises NonFiniteLossError if all trials diverged."""
        self._found, self.final = found, self.run.refit(found.chosen.options)
        draw(self.domain, self.final)

    def build(self) -> None:
        """The regime at step 0."""
        self.regime = build_regime(self.final, self.domain, self._store)
        self._memory = host.peak_memory_mb()
        self._seen = None
        if self.run.init and stage_drift.fine_tunes(self.regime):
            self._seen = stage_drift.begin(self.regime, self.domain, self.run.title)
            host.reset_peak_memory()  # what only looking took is none of the run's

    def end(self, result: FitResult, *, keep_weights: bool = False, together: int = 1) -> Record:
        """Store what the regime has learnt and answered; then the record, which is returned."""
        run, regime, domain = self.run, self.regime, self.domain
        logits, labels = torch.cat(regime.test_outputs), domain.section_labels("test")
        metrics = {} if regime_entry(run.regime).pretext else test_metrics(logits, labels)
        if not math.isfinite(metrics.get("test_log_loss", 0.0)):
            raise NonFiniteLossError(f"the test loss is {metrics['test_log_loss']}")
        regime.merge()
        outcome = _outcome(regime, domain, result)
        outcome |= regime.located_scores(*map(domain.section_annotations, ("train", "test")))
        outcome["macs_per_image"] = _macs(self.final, domain.num_classes, regime)
        outcome["peak_rss_mb"] = max(self._memory, host.peak_memory_mb())
        self._leave(CURVE, curve_csv(result.curve.rows))
        if metrics:
            self._leave(PREDICTIONS, _predictions(logits, labels, domain.classes))
        if self._seen:
            self._leave(STAGE_DRIFT, stage_drift.end(self._seen, regime, run.title))
        if keep_weights:
            path = self._file(WEIGHTS)
            self._left[WEIGHTS] = save_weights(regime.backbone, path, regime.head)
        record = Record(
            run_id=run.id,
            init_id=run.init_id,
            status="done",
            **metrics,
            **outcome,
            **self._selection(result),
            n_train=len(self._split.train),
            n_val=len(self._split.val),
            subset_overlap=None if run.fold else overlap(self._split, domain.labels("train")),
            majority_accuracy=_majority(domain, labels),
            pretrain_seconds=_pretrain_seconds(run, self._store),
            **self._checksums(),
            precision=precision(self._setting.precision),
            device=result.device,
            together=together,
            started_at=self._started_at,
            **provenance(self._setting),
        )
        self._put(record)
        return record

    def end_search(self, found: Search) -> Record:
        """Store the record of a search that is for other runs: no test image was in sight. Raises
        NonFiniteLossError if all trials diverged."""
        run, best = self.run, found.chosen
        record = Record(
            run_id=run.id,
            init_id=run.init_id,
            status="done",
            num_classes=self.domain.num_classes,
            n_train=len(self._split.train),
            n_val=len(self._split.val),
            val_accuracy=best.val_accuracy,
            trials=len(found.trials),
            tune_seconds=found.seconds,
            pretrain_seconds=_pretrain_seconds(run, self._store),
            **self._checksums(),
            peak_rss_mb=host.peak_memory_mb(),
            precision=precision(self._setting.precision),
            device=str(device()),
            started_at=self._started_at,
            **provenance(self._setting),
        )
        self._put(record)
        return record

    def _selection(self, result: FitResult) -> dict[str, object]:
        """What validation said: of the result, or of the trial that was chosen for it. The seconds
        of searches that chose for other runs too are theirs alone."""
        if self._found is None:
            known: dict[str, object] = {"val_accuracy": result.kept.get("val_accuracy")}
            if self._options is not None:
                known |= _chosen_options(self.run.searches[0].tune, self._options)
            return known
        best = self._found.chosen
        known = {"val_accuracy": best.val_accuracy, "tune_seconds": self._found.seconds}
        return known | _chosen_options(self.run.tune, best.options)

    def _leave(self, name: str, content: bytes | None) -> None:
        """Write a file that belongs to the record, if there is anything to write."""
        if content is not None:
            write_atomically(self._file(name), partial(_write, content))
            self._left[name] = hashlib.sha256(content).hexdigest()
            self._written[name] = content

    def _put(self, record: Record) -> None:
        """Store the record, and see to it that it and the files beside it are of one training.

        Another machine may store the same run meanwhile, where there are no locks. Who finds the
        other's file beside a record writes both once more and looks again, so that whoever writes
        last has also looked last, and has left something whole.
        """
        self._store.put(record)
        with contextlib.suppress(OSError):  # the next call finds it damaged, and trains it again
            for attempt in range(_ATTEMPTS):
                self._store.get(self.run.id)  # what counts is the record that is there now
                if not self._store.damaged(self.run.id, *self._written):
                    return
                # Never in step with the other.
                time.sleep(secrets.randbelow(1000) / 1000 * _APART_S * 2**attempt)
                for name, content in self._written.items():
                    write_atomically(self._file(name), partial(_write, content))
                self._store.put(record)

    def _checksums(self) -> dict[str, str]:
        """Those of all files that were left, as columns of the record."""
        if self.run.tune:
            self._written[TRIALS] = self._file(TRIALS).read_bytes()
            self._left[TRIALS] = hashlib.sha256(self._written[TRIALS]).hexdigest()
        return {CHECKSUMS[name]: sha256 for name, sha256 in self._left.items()}

    def _file(self, name: str) -> Path:
        return self._store.file(self.run.id, name)


def _write(content: bytes, handle: IO[bytes]) -> None:
    handle.write(content)


def _chosen(works: Iterable[_Work], found: Iterable[Search]) -> Iterator[_Work]:
    for work, search in zip(works, found, strict=True):
        if search.place is not None:
            work.choose(search)
            yield work


def _chosen_options(tried: Trials, options: Options) -> dict[str, object]:
    return {"trials": len(tried), "chosen_options": json.dumps(options, sort_keys=True)}


def _fitting(store: RecordStore, setting: Setting) -> dict[str, object]:
    """Where frozen outputs are shared, and the numbers to compute in."""
    rows = FeatureCache(store.root / ACTIVATIONS)
    return {"rows": rows, "precision": precision(setting.precision)}


def provenance(setting: Setting) -> dict[str, object]:
    """Host, versions and circumstances, as columns of a record."""
    return {
        "host": host.host(),
        "threads": setting.threads,
        "concurrency": setting.concurrency,
        "commit": setting.commit,
        **{name: host.version(name) for name in ("torch", "lightning", "transfer_lab")},
    }


def curve_csv(rows: list[dict[str, object]]) -> bytes | None:
    """The epochs of a run as metrics.csv; None for a regime that fits nothing."""
    if not rows:
        return None
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _pretrain_seconds(run: Run, store: RecordStore) -> float | None:
    """What the start cost, with all that it starts from itself: nothing from scratch, not known for
    ready-made weights."""
    if run.parent:
        record, before = store.get(run.parent.id), _pretrain_seconds(run.parent, store)
        return None if record is None else (record.fit_seconds or 0.0) + (before or 0.0)
    return None if run.init else 0.0


def _outcome(regime: TransferModule, domain: ImageDomain, result: FitResult) -> dict[str, object]:
    last = result.curve.last
    return {
        "num_classes": domain.num_classes,
        "n_test": len(domain.labels("test")),
        "test_copies": domain.copies,
        "set_aside": domain.set_aside,
        "train_accuracy": None if domain.hides_labels else result.kept.get("train_accuracy"),
        "decode_seconds": sum(domain.decode_seconds(s) for s in ("train", "val", "test")),
        "feature_seconds": result.feature_seconds,
        "fit_seconds": result.clock.seconds,
        "eval_seconds": result.eval_seconds,
        "epochs": last.get("epoch", 0),
        "images_seen": last.get("epoch", 0) * len(domain.split.train) + result.images_beside,
        "steps": last.get("steps", 0),
        "stopped": result.stopped,
        "trainable_params": result.trainable_params,
        "dead_units": result.dead_units,
        "total_params": parameter_count(regime),
    }


def _majority(domain: ImageDomain, labels: torch.Tensor) -> float | None:
    """Not known where labels are hidden."""
    if domain.hides_labels:
        return None
    return majority_accuracy(domain.section_labels("train"), labels)


def _macs(run: Run, classes: int, regime: TransferModule) -> int:
    """Counted once for all runs of a process with the same network: it takes longer than many
    epochs of a probe."""
    key = (run.backbone.model_dump_json(), run.regime.model_dump_json(), run.image_size, classes)
    if key not in _MACS:
        regime.entry = 0
        _MACS[key] = macs_per_image(regime, run.image_size)
    return _MACS[key]


def _predictions(logits: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...]) -> bytes:
    file = io.BytesIO()
    named = {"classes": np.array(classes, dtype=np.str_)}
    np.savez_compressed(file, **predictions(logits, labels) | named)
    return file.getvalue()
