"""Is everything in order? Installation, folders, store; clears what killed runs left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.store.layout import IMAGES, OVERLAPS, SIMILARITY, THUMBNAILS
from transfer_lab.store.records import RecordStore
from transfer_lab.system import host, sealed_array
from transfer_lab.system.files import unwritable
from transfer_lab.system.output import plain
from transfer_lab.system.sealed_json import opened

_OUT = Console(highlight=False)
_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "numpy", "pandas", "wandb")
_EXTRAS = {
    "ray": "--engine ray needs it",
    "timm": "backbones timm:NAME need it",
    "tensorboard": "--tracker tensorboard needs it",
    "mlflow-skinny": "--tracker mlflow needs it",
}
_LOW_DISK = 2 * 2**30
_DAY = 86_400
_RUN_ID = re.compile("[0-9a-f]{16}")


def examine(experiment: Path | None, runs: Path, reports: Path) -> int:
    """Print one line a check; returns 0 if all is well, 1 if something needs a hand."""
    problems = 0
    checks = (
        _installation(),
        _device(),
        _folders(runs, reports),
        _records(runs),
        _file(experiment),
    )
    for check in checks:
        for well, line in check:
            mark = "ok       " if well else "PROBLEM  "
            _OUT.print(plain(mark + line), markup=False, soft_wrap=True)
            problems += not well
    return 1 if problems else 0


def _installation() -> Iterator[tuple[bool, str]]:
    yield True, f"host: {host.host()}"
    for package in _PACKAGES:
        version = host.version(package)
        yield version != "absent", f"{package} {version}"
    for package, user in _EXTRAS.items():
        version = host.version(package)
        yield True, f"{package} {version}" + (f": only {user}" if version == "absent" else "")
    if host.version("lightning") in ("2.6.2", "2.6.3"):
        yield False, "this lightning release was a malicious upload; install 2.6.4 or later"


def _device() -> Iterator[tuple[bool, str]]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield False, f"torch does not import: {error}"
        return
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, runs use the CPU"
    yield True, f"accelerator: {name}"


def _folders(*folders: Path) -> Iterator[tuple[bool, str]]:
    for problem in unwritable(folders):
        yield False, problem
    for folder in folders:
        nearest = folder
        while not nearest.exists():
            nearest = nearest.absolute().parent
        free = shutil.disk_usage(nearest).free
        yield free > _LOW_DISK, f"{folder}: {free / 2**30:.1f} GiB free"


def _records(runs: Path) -> Iterator[tuple[bool, str]]:
    warnings: list[str] = []
    store = RecordStore(runs, warn=warnings.append)
    known = [record for run_id in _run_ids(runs) if (record := store.get(run_id))]
    failed = sum(record.status == "failed" for record in known)
    yield not failed, f"{runs}: {len(known) - failed} finished runs, {failed} failed"
    for warning in warnings:
        yield False, warning
    for record in known:
        for path in store.damaged(record.run_id) if record.status == "done" else ():
            yield False, f"{path}: damaged; `run` trains the run again if it is needed"
    for path in _damaged_beside(runs):
        yield False, f"{path}: damaged; made again where it is needed"
    if removed := _without_leftovers(runs):
        yield True, f"{runs}: removed {removed} temporary files of killed runs"


def _run_ids(runs: Path) -> list[str]:
    """By the names of what lies there, readable or not."""
    with contextlib.suppress(OSError):
        return sorted(name for name in os.listdir(runs) if _RUN_ID.fullmatch(name))
    return []


def _damaged_beside(runs: Path) -> Iterator[Path]:
    """What all runs share and is not as it was written; images without a note were not finished,
    and those from before there were checksums are passed over."""
    images = runs / IMAGES
    for note in sorted(images.glob("*.json")):
        name = note.stem
        if sealed_array.find(images, name) is None and sealed_array.older(images, name) is None:
            yield images / f"{name}.npy"
    for folder in (SIMILARITY, OVERLAPS, THUMBNAILS):
        for path in sorted((runs / folder).glob("*.json")):
            try:
                if json.loads(opened(path.read_bytes()))["of"] == path.stem:
                    continue
            except (OSError, ValueError, KeyError):
                pass
            yield path


def _without_leftovers(runs: Path) -> int:
    """Remove what killed runs were writing, and count it; a file younger than a day may belong to a
    run that is writing it."""
    removed, yesterday = 0, time.time() - _DAY
    for path in (*runs.glob("*/.tmp-*"), *runs.glob("*/*/.tmp-*")):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < yesterday:
                path.unlink()
                removed += 1
    return removed


def _file(experiment: Path | None) -> Iterator[tuple[bool, str]]:
    if experiment is None:
        return
    try:
        file = load_experiment(experiment)
        from transfer_lab.grid.preflight import preflight

        file.refuse(preflight(file.experiment))
    except ConfigError as error:
        for problem in error.problems:
            yield False, problem
    else:
        yield True, f"{experiment}: valid"
