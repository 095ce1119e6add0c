"""The lab's training loop against one written by hand, on the same batches and network."""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

from benchmarks.cells import train_ours
from benchmarks.figures import Figure, Result, Target, at_most, ratio
from benchmarks.plain_lightning import warm_cosine
from benchmarks.setting import Setting, interleaved
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_domain, build_regime

CNN = Architecture(kind="cnn")
RESNET = Architecture(kind="torchvision", options={"name": "resnet18"})


def training_loop(setting: Setting) -> Result:
    """Seconds of fitting, as the record has them, over those of a bare loop: a small CNN, and a
    ResNet18 whose last maps are so small that the lab learns on them by products."""
    quick = setting.quick
    cnn = run_of(CNN, epochs=2 if quick else 12, per_class=8 if quick else 80)
    resnet = run_of(RESNET, epochs=1, per_class=2 if quick else 40)
    return Result((_figure(cnn, setting, at_most(1.05)), _figure(resnet, setting, None)))


def _figure(run: Run, setting: Setting, target: Target | None) -> Figure:
    store = setting.folder("store")
    warm = train_ours(run, store).record  # images are rendered here, and not below

    def ours() -> float:
        return train_ours(run, store).record.fit_seconds

    timings = interleaved(
        {"by hand": lambda: by_hand(run, RecordStore(store), warm.precision), "ours": ours},
        1 if setting.quick else 2 * setting.repeats + 1,
    )
    return Figure(
        cell=f"training loop, {run.backbone.label} at {run.image_size} px, {warm.steps} steps of "
        f"{run.fit.batch_size} images",
        value=ratio(timings["ours"], timings["by hand"]),
        baseline_name="PyTorch loop by hand",
        baseline=timings["by hand"],
        ours=timings["ours"],
        target=target,
        note=f"{warm.precision}; the lab's time over that of the loop",
    )


def by_hand(run: Run, store: RecordStore, precision: str) -> float:
    """Seconds of a bare loop: forward, loss, backward, AdamW, schedule; nothing is counted."""
    domain = build_domain(run, store.root / "images")
    regime = build_regime(run, domain, store)
    regime.train()
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


def run_of(backbone: Architecture, epochs: int, per_class: int) -> Run:
    """A network on rendered letters, from scratch."""
    pool = {"train_per_class": per_class, "test_per_class": 4}
    return Run(
        domain=Choice(kind="latin", options=pool),
        image_size=32,
        per_class="all",
        backbone=backbone,
        regime=Choice(kind="from_scratch"),
        fit=Fit(epochs=epochs, batch_size=64, val_fraction=0),
        seed=1,
    )
