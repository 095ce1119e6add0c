"""`python -m benchmarks.gpu`: VGG16 at 224 px and the default grid on an NVIDIA GPU.

Images and operations a second, and the share of a measured bf16 matrix product.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.ceilings import gemm_rate
from benchmarks.cells import train_ours
from benchmarks.figures import Detail
from benchmarks.grid import GRID, run_grid
from benchmarks.machine import machine
from benchmarks.setting import Setting
from benchmarks.table import show_details
from benchmarks.vgg16 import FULL, QUICK, extraction_runs, seconds_per_image
from transfer_lab.experiment.choices import Choice
from transfer_lab.training.fit import quiet

_HEAD = ("what", "images a second", "TFLOP/s", "of a bf16 matrix product", "precision")
_SIZE = replace(FULL, sample=40, epochs=5, batch_size=128)
_PASSES = 3
"""A training step computes about three times a forward pass: itself, and two products backward."""


def rates(setting: Setting, device: str) -> Detail:
    """Extraction, linear probe and full fine-tuning of VGG16, against a matrix product."""
    best = gemm_rate(1024 if setting.quick else 8192, torch.bfloat16, device)
    size = QUICK if setting.quick else _SIZE
    few, many = extraction_runs(size, setting.folder("photos"))
    warm = train_ours(few, setting.folder("store")).record
    forward = 2 * warm.macs_per_image
    from_files = 1 / seconds_per_image(few, many, setting)
    rows = [("matrix product", "", f"{best / 1e12:.2f}", "100%", "bf16")]
    rows.append(_row("frozen extraction, from files", from_files, forward, best, warm.precision))
    for kind, passes in (("linear_probe", 0), ("full_finetune", _PASSES)):
        fit = many.fit.model_copy(update={"epochs": size.epochs})
        run = many.model_copy(update={"regime": Choice(kind=kind), "fit": fit})
        record = train_ours(run, setting.folder("store")).record
        if record.feature_seconds:
            rate = (record.n_train + record.n_test) / record.feature_seconds
            rows.append(_row("frozen extraction", rate, forward, best, record.precision))
        images = record.n_train * record.epochs / record.fit_seconds
        rows.append(_row(f"{kind}, fit", images, passes * forward, best, record.precision))
    return Detail(f"VGG16 at {size.image_size} px on {device}", _HEAD, tuple(rows))


def main(
    jobs: Annotated[int, typer.Option(min=1, help="Runs that share the GPU.")] = 4,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes.")] = False,
) -> None:
    """VGG16 at 224 px and the default grid on an NVIDIA GPU."""
    if not torch.cuda.is_available():
        sys.exit("no NVIDIA GPU here: PyTorch sees none, so there is nothing to measure")
    quiet()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:

        def say(text: str) -> None:
            console.print(f"{datetime.now():%H:%M:%S} {text}", markup=False)

        setting = Setting(Path(scratch), say, quick)
        show_details((rates(setting, "cuda"),), console)
        run_grid(GRID, jobs, setting)
    console.print("; ".join(f"{k}: {v}" for k, v in machine().items()), markup=False)


def _row(
    name: str, images: float, operations: float, best: float, precision: str
) -> tuple[str, ...]:
    """`operations` of an image; 0 where next to nothing is computed, as by a probe's head."""
    rate = images * operations
    computed = (f"{rate / 1e12:.2f}", f"{rate / best:.0%}") if operations else ("", "")
    return (name, f"{images:,.0f}", *computed, precision)


if __name__ == "__main__":
    typer.run(main)
