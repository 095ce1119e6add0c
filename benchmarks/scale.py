"""Commands that train nothing, on stores of many records: seconds, and whether they grow in line.

The records are invented here and hold nothing that was measured.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

import numpy as np

from benchmarks.figures import Figure, Result, Target, at_most, ratio
from benchmarks.grid import GRID, ROOT
from benchmarks.setting import Setting, interleaved, stopwatch
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Run
from transfer_lab.store import records as record_store
from transfer_lab.store.records import Record, RecordStore

PLANNED, REPORTED = 100_000, 10_000
"""Cells that are planned, and records that are reported on."""
_MOST = at_most(10)
_EPOCHS, _CLASSES, _IMAGES = 10, 16, 2000
_ROOM = 2**31
_CURVE = ("phase", "epoch", "steps", "train_loss", "train_accuracy")
_CURVE += ("val_loss", "val_accuracy", "fit_seconds")


def scale(setting: Setting) -> Result:
    """`plan` and `status` with nothing to do, then `report`, each at N and at a quarter of it."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_in_memory()) as folder:
        return _scale(setting, RecordStore(Path(folder) / "runs"))


def _scale(setting: Setting, store: RecordStore) -> Result:
    planned, reported = (480, 320) if setting.quick else (PLANNED, REPORTED)
    figures: list[Figure] = []
    per_seed, records_per_seed = _per_seed()
    seeds = -(-planned // per_seed)
    with_curves = -(-reported // records_per_seed)
    written = write_records(_runs(seeds), store, with_curves=_ids(_runs(with_curves)))
    setting.say(f"{written:,} invented records are written")
    planned_told = f"{seeds * per_seed:,} cells, nothing to do"
    reported_told = f"{with_curves * records_per_seed:,} records"
    for name, count, what in (
        ("plan", seeds, planned_told),
        ("status", seeds, planned_told),
        ("report", with_curves, reported_told),
    ):
        figures += _figures(name, count, what, store, setting, _MOST)
    write_predictions(_runs(with_curves), store)
    told = f"{reported_told}, with answers to {_IMAGES:,} test images each"
    figures += _figures("report", with_curves, told, store, setting, None)
    return Result(tuple(figures))


def _in_memory() -> Path | None:
    """Where files live in memory, if there is room: what is measured is the commands and not a
    disk, and deleting so many files may take minutes on one."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > _ROOM else None


def write_records(runs: Iterable[Run], store: RecordStore, with_curves: frozenset[str]) -> int:
    """Store a made-up record for every run, and curves for some; returns their number."""
    count = 0
    with patch.object(record_store, "write_atomically", _write):
        for run in runs:
            store.put(_invented(run))
            if run.id in with_curves and run.regime.kind != "majority":
                store.file(run.id, "metrics.csv").write_text(_curve(run))
            count += 1
    return count


def write_predictions(runs: Iterable[Run], store: RecordStore) -> None:
    """Store answers to the test images for every run, as many of them right as its record says."""
    rng, labels = np.random.default_rng(0), np.arange(_IMAGES, dtype=np.uint16) % _CLASSES
    classes = np.array([f"class {number}" for number in range(_CLASSES)])
    for run in runs:
        wrong = round((1 - store.get(run.id).test_accuracy) * _IMAGES)
        predicted = labels.copy()
        predicted[rng.permutation(_IMAGES)[:wrong]] += 1
        answers = {"label": labels, "predicted": predicted % _CLASSES, "classes": classes}
        answers["label_log_probability"] = rng.standard_normal(_IMAGES).astype(np.float16)
        np.savez_compressed(store.file(run.id, "predictions.npz"), **answers)


def _figures(
    name: str, seeds: int, what: str, store: RecordStore, setting: Setting, target: Target | None
) -> Iterator[Figure]:
    calls = {part: _call(name, max(1, seeds // part), store, setting) for part in (1, 4)}
    timings = interleaved(calls, 1 if setting.quick else setting.repeats)
    whole, quarter = timings[1], timings[4]
    setting.say(f"{name}: {whole.median:.1f} s; of a quarter: {quarter.median:.1f} s")
    yield Figure(cell=f"{name}: {what}", value=whole.median, unit="s", ours=whole, target=target)
    if target is None:
        return
    yield Figure(
        cell=f"{name}: all of them against a quarter",
        value=ratio(whole, quarter),
        baseline_name="a quarter",
        baseline=quarter,
        ours=whole,
        target=at_most(4.4),
        note="4 is linear; below it, starting takes its share",
    )


def _call(name: str, seeds: int, store: RecordStore, setting: Setting) -> Callable[[], float]:
    reports = setting.folder("reports")
    command = [sys.executable, "-m", "transfer_lab", name, str(GRID), "--set", _seeds(seeds)]
    command += ["--runs", str(store.root)]
    command += ["--reports", str(reports)] if name == "report" else []

    def run() -> None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"transfer-lab {name} failed: {done.stderr[-500:]}")

    return lambda: stopwatch(run)


def _seeds(count: int) -> str:
    return f"seeds=[{','.join(map(str, range(count)))}]"


def _runs(seeds: int) -> tuple[Run, ...]:
    return tuple(runs_of(plan(load_experiment(GRID, [_seeds(seeds)]).experiment)).values())


def _ids(runs: Iterable[Run]) -> frozenset[str]:
    return frozenset(run.id for run in runs)


def _per_seed() -> tuple[int, int]:
    """Cells of one seed, and runs that are its own: source runs are shared."""
    cells = plan(load_experiment(GRID, [_seeds(1)]).experiment)
    return len(cells), len({cell.run.id for cell in cells})


def _invented(run: Run) -> Record:
    chance = random.Random(run.id)
    counts = {"num_classes": _CLASSES, "n_train": 64, "n_val": 16, "n_test": _IMAGES}
    scores = {
        name: chance.randrange(_IMAGES + 1) / _IMAGES
        for name in ("test_accuracy", "val_accuracy", "train_accuracy", "test_balanced_accuracy")
    }
    times = {"fit_seconds": 1 + chance.random(), "eval_seconds": 0.1, "decode_seconds": 0.1}
    return Record(
        run_id=run.id,
        init_id=run.init_id,
        status="done",
        majority_accuracy=1 / _CLASSES,
        predicted_classes=16,
        commonest_prediction=0.1,
        pretrain_seconds=5.0 if run.init else 0.0,
        feature_seconds=0.0,
        macs_per_image=1_000_000,
        total_params=100_000,
        trainable_params=100_000,
        epochs=_EPOCHS,
        steps=80,
        host="invented",
        precision="fp32",
        device="cpu",
        threads=1,
        concurrency=1,
        started_at="2026-01-01T00:00:00+00:00",
        **counts,
        **scores,
        **times,
    )


def _curve(run: Run) -> str:
    chance, text = random.Random(run.id), io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_CURVE)
    for epoch in range(1, _EPOCHS + 1):
        loss = 2 / epoch + chance.random()
        writer.writerow((1, epoch, 8 * epoch, loss, 1 / loss, loss, 1 / loss, epoch / 10))
    return text.getvalue()


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Invented records need not survive a power cut, and flushing each takes minutes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        write(handle)
