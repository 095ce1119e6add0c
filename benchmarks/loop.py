"""The lab's training loop against one written by hand, on the same batches and network."""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

from benchmarks.cells import train_ours
from benchmarks.figures import Figure, Result, at_most, ratio
from benchmarks.plain_lightning import warm_cosine
from benchmarks.setting import Setting, interleaved
from transfer_lab.choices import Architecture, Choice
from transfer_lab.record_store import RecordStore
from transfer_lab.spec import Fit, Run
from transfer_lab.training import build_domain, build_regime


def training_loop(setting: Setting) -> Result:
    """Seconds of fitting a small CNN, as the record has them, over those of a bare loop."""
    run = run_of(epochs=2 if setting.quick else 12, per_class=8 if setting.quick else 80)
    store = setting.folder("store")
    warm = train_ours(run, store).record  # images are rendered here, and not below

    def ours() -> float:
        return train_ours(run, store).record.fit_seconds

    timings = interleaved(
        {"by hand": lambda: by_hand(run, RecordStore(store), warm.precision), "ours": ours},
        1 if setting.quick else 2 * setting.repeats + 1,
    )
    figure = Figure(
        cell=f"training loop, CNN at {run.image_size} px, {warm.steps} steps of "
        f"{run.fit.batch_size} images",
        value=ratio(timings["ours"], timings["by hand"]),
        baseline_name="PyTorch loop by hand",
        baseline=timings["by hand"],
        ours=timings["ours"],
        target=at_most(1.05),
        note=f"{warm.precision}; the lab's time over that of the loop",
    )
    return Result((figure,))


def by_hand(run: Run, store: RecordStore, precision: str) -> float:
    """Seconds of a bare loop: forward, loss, backward, AdamW, schedule; nothing is counted."""
    domain = build_domain(run, store.root / "images")
    regime = build_regime(run, domain, store)
    regime.begin(regime.phases()[0])
    batches, epochs = domain.loader("train"), run.fit.epochs
    optimizer = torch.optim.AdamW(
        regime.parameters(), lr=regime.lr, weight_decay=regime.weight_decay, fused=True
    )
    steps = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: warm_cosine(s, steps))
    start = time.perf_counter()
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(regime(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
    return time.perf_counter() - start


def run_of(epochs: int, per_class: int) -> Run:
    """A small CNN on rendered letters, from scratch."""
    pool = {"train_per_class": per_class, "test_per_class": 4}
    return Run(
        domain=Choice(kind="latin", options=pool),
        image_size=32,
        per_class="all",
        backbone=Architecture(kind="cnn"),
        regime=Choice(kind="from_scratch"),
        fit=Fit(epochs=epochs, batch_size=64, val_fraction=0),
        seed=1,
    )
