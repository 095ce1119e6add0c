"""Run -> Record: the one place that joins domain, backbone, regime and budget."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from transfer_lab import changes, host, witness
from transfer_lab.architectures import build_backbone
from transfer_lab.arithmetic import precision
from transfer_lab.choices import Weights
from transfer_lab.counting import macs_per_image, parameter_count
from transfer_lab.domains import DOMAINS
from transfer_lab.domains.base import ImageDomain
from transfer_lab.fitting import Ledger, fit_and_test, fit_and_validate, fit_heads
from transfer_lab.folders import ACTIVATIONS, IMAGES
from transfer_lab.machine import Numbers
from transfer_lab.metrics import majority_accuracy, predictions, test_metrics
from transfer_lab.record_store import Record, RecordStore, write_atomically
from transfer_lab.regimes import REGIMES
from transfer_lab.regimes.base import TransferModule
from transfer_lab.rows import RowStore
from transfer_lab.seeding import derive
from transfer_lab.spec import Run
from transfer_lab.timing import NonFiniteLossError
from transfer_lab.together import differ_in_rate_alone
from transfer_lab.trials import FILE, to_csv, trial_of
from transfer_lab.tuning import Search, charged, search
from transfer_lab.weights import WeightsError, load_published, load_stages, save_backbone

_MACS: dict[tuple[object, ...], int] = {}
"""Of networks, by all that determines one."""


@dataclass(frozen=True)
class Setting:
    """The circumstances of a run that do not change its result but belong in its record."""

    threads: int = 1
    concurrency: int = 1
    commit: str | None = None
    precision: Numbers = "auto"


def train(run: Run, store: RecordStore, setting: Setting, *, keep_weights: bool = False) -> Record:
    """Train and test one run; store its files, then its record; return the record.

    Raises what goes wrong: WeightsError, SubsetError, NonFiniteLossError, OSError, ...
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    host.reset_peak_memory()
    domain = build_domain(run, store.root / IMAGES)
    split, rows = domain.split, RowStore(store.root / ACTIVATIONS)
    numbers = precision(setting.precision)
    fitting = {"rows": rows, "precision": numbers}
    found, final = None, run
    if run.tune:
        found = _search(run, domain, store, fitting)
        final = run.refit(found.chosen.options)
        _draw(domain, final)
    regime = build_regime(final, domain, store)
    memory = host.peak_memory_mb()
    fine_tunes = run.init and witness.fine_tunes(regime)
    seen = witness.begin(regime, domain, run.title) if fine_tunes else None
    host.reset_peak_memory()  # what only the witness took is none of the run's
    ledger = fit_and_test(regime, domain, final.fit, **fitting)
    logits, labels = torch.cat(regime.test_outputs), domain.section_labels("test")
    metrics = test_metrics(logits, labels)
    if not math.isfinite(metrics["test_log_loss"]):
        raise NonFiniteLossError(f"the test loss is {metrics['test_log_loss']}")
    outcome = _outcome(regime, domain, ledger)
    outcome["macs_per_image"] = _macs(final, domain.num_classes, regime)
    outcome["peak_rss_mb"] = max(memory, host.peak_memory_mb())
    write_curve(ledger.curve.rows, store.file(run.id, "metrics.csv"))
    _write_predictions(logits, labels, domain.classes, store.file(run.id, "predictions.npz"))
    if seen:
        witness.end(seen, regime, store.file(run.id, changes.FILE), run.title)
    sha256 = None
    if keep_weights:
        sha256 = save_backbone(regime.backbone, store.file(run.id, "backbone.safetensors"))
    record = Record(
        run_id=run.id,
        init_id=run.init_id,
        status="done",
        **metrics,
        **outcome,
        **_selection(found, ledger),
        n_train=len(split.train),
        n_val=len(split.val),
        majority_accuracy=majority_accuracy(domain.section_labels("train"), labels),
        pretrain_seconds=_pretrain_seconds(run, store),
        weights_sha256=sha256,
        precision=numbers,
        device=ledger.device,
        started_at=started_at,
        **provenance(setting),
    )
    store.put(record)
    return record


def build_domain(run: Run, cache: Path | None) -> ImageDomain:
    """The run's domain with this seed's subset drawn."""
    domain = DOMAINS.load(run.domain.kind)(run.image_size, **run.domain.arguments)
    domain.cache = cache
    _draw(domain, run)
    return domain


def _draw(domain: ImageDomain, run: Run) -> None:
    domain.draw(
        per_class=run.per_class,
        val_fraction=run.fit.val_fraction,
        batch_size=run.fit.batch_size,
        seed=run.seed,
        augment=run.fit.augment,
    )


def build_regime(run: Run, domain: ImageDomain, store: RecordStore) -> TransferModule:
    """The run's regime at step 0: stages and head random from the seed, then the source's stages.

    Raises WeightsError if the source run has left no weights that fit.
    """
    torch.manual_seed(derive(run.seed, "backbone"))
    backbone = build_backbone(run.backbone, run.image_size)
    backbone.to(memory_format=torch.channels_last)
    torch.manual_seed(derive(run.seed, "head"))
    cls = REGIMES.load(run.regime.kind)
    regime = cls(backbone, domain.num_classes, **run.regime.arguments)
    if isinstance(run.init, Weights):
        load_published(regime.backbone, regime.transferred, run.init)
    elif run.init:
        _start_from(run.init, regime, store)
    torch.manual_seed(derive(run.seed, "fit"))
    return regime


def provenance(setting: Setting) -> dict[str, object]:
    """Host, versions and circumstances, as columns of a record."""
    return {
        "host": host.host(),
        "threads": setting.threads,
        "concurrency": setting.concurrency,
        "commit": setting.commit,
        **{name: host.version(name) for name in ("torch", "lightning", "transfer_lab")},
    }


def write_curve(rows: list[dict[str, object]], path: Path) -> None:
    """The epochs of a run as metrics.csv; no file for a regime that fits nothing."""
    if not rows:
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, lambda handle: handle.write(text.getvalue().encode()))


def _search(run: Run, domain: ImageDomain, store: RecordStore, fitting: dict) -> Search:
    """Try the run's options on the drawn images and keep what came of it, whatever that is."""

    def fit(trial: Run, ledger: Ledger) -> None:
        regime = build_regime(trial, domain, store)
        fit_and_validate(regime, domain, trial.fit, ledger, **fitting)

    found = _search_together(run, domain, store, fitting) or search(run, fit)
    content = to_csv(found.trials, found.place)
    write_atomically(store.file(run.id, FILE), lambda handle: handle.write(content))
    return found


def _search_together(
    run: Run, domain: ImageDomain, store: RecordStore, fitting: dict
) -> Search | None:
    """The same search in one pass over the batches, where that is exact."""
    if any(set(options) != {"lr"} for options in run.tune):
        return None
    regimes = []
    for options in run.tune:
        regimes.append(build_regime(run.trial(options), domain, store))
        if not differ_in_rate_alone(regimes):
            return None
        regimes[-1].backbone = regimes[0].backbone  # equal ones, and one is enough to hold
    curves, ledger = fit_heads(regimes, domain, run.fit, **fitting)
    share = ledger.clock.seconds / len(curves)
    pairs = zip(run.tune, curves, strict=True)
    tried = [trial_of(options, curve.last, share) for options, curve in pairs]
    return Search.of(charged(tried, [ledger.features] * len(tried)))


def _selection(found: Search | None, ledger: Ledger) -> dict[str, object]:
    """What validation said: of the result, or of the trial that was chosen for it."""
    if found is None:
        return {"val_accuracy": ledger.kept.get("val_accuracy")}
    return {
        "val_accuracy": found.chosen.val_accuracy,
        "trials": len(found.trials),
        "tune_seconds": found.seconds,
        "chosen_options": json.dumps(found.chosen.options, sort_keys=True),
    }


def _start_from(source: Run, regime: TransferModule, store: RecordStore) -> None:
    record = store.get(source.id)
    if record is None or record.weights_sha256 is None:
        raise WeightsError(f"the source run {source.id} ({source.title}) has left no weights")
    path = store.file(source.id, "backbone.safetensors")
    load_stages(regime.backbone, regime.transferred, path, record.weights_sha256)


def _pretrain_seconds(run: Run, store: RecordStore) -> float | None:
    """What the start cost: nothing from scratch, not known for ready-made weights."""
    if run.parent:
        return store.get(run.parent.id).fit_seconds
    return None if run.init else 0.0


def _outcome(regime: TransferModule, domain: ImageDomain, ledger: Ledger) -> dict[str, object]:
    last = ledger.curve.last
    return {
        "num_classes": domain.num_classes,
        "n_test": len(domain.labels("test")),
        "test_copies": domain.copies,
        "set_aside": domain.set_aside,
        "train_accuracy": ledger.kept.get("train_accuracy"),
        "decode_seconds": sum(domain.decode_seconds(s) for s in ("train", "val", "test")),
        "feature_seconds": ledger.feature_seconds,
        "fit_seconds": ledger.clock.seconds,
        "eval_seconds": ledger.eval_seconds,
        "epochs": last.get("epoch", 0),
        "steps": last.get("steps", 0),
        "stopped": ledger.stopped,
        "trainable_params": ledger.trainable_params,
        "dead_units": ledger.dead_units,
        "total_params": parameter_count(regime),
    }


def _macs(run: Run, classes: int, regime: TransferModule) -> int:
    """Counted once for all runs of a process with the same network: it takes longer than many
    epochs of a probe."""
    key = (run.backbone.model_dump_json(), run.regime.model_dump_json(), run.image_size, classes)
    if key not in _MACS:
        regime.entry = 0
        _MACS[key] = macs_per_image(regime, run.image_size)
    return _MACS[key]


def _write_predictions(
    logits: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...], path: Path
) -> None:
    arrays = predictions(logits, labels) | {"classes": np.array(classes, dtype=np.str_)}
    write_atomically(path, lambda handle: np.savez_compressed(handle, **arrays))
