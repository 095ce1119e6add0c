"""Is everything in order? Installation, folders, store; clears what killed runs left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.store.records import RecordStore
from transfer_lab.system import host
from transfer_lab.system.files import unwritable

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
            _OUT.print(mark + line, markup=False, soft_wrap=True)
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
    records = [store.get(path.parent.name) for path in sorted(runs.glob("*/record.json"))]
    known = [record for record in records if record]
    failed = sum(record.status == "failed" for record in known)
    yield not failed, f"{runs}: {len(known) - failed} finished runs, {failed} failed"
    for warning in warnings:
        yield False, warning
    yesterday = time.time() - _DAY  # a younger one may belong to a run that is writing it
    leftovers = [path for path in runs.glob("*/.tmp-*") if path.stat().st_mtime < yesterday]
    for path in leftovers:
        path.unlink(missing_ok=True)
    if leftovers:
        yield True, f"{runs}: removed {len(leftovers)} temporary files of killed runs"


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
