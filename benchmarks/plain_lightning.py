"""What a competent Lightning user writes without the lab, one run after another.

A dataset with per-image transforms, DataLoaders, fp32, a module whose frozen layers run live at
every epoch, AdamW under a warm-up and a cosine, `Trainer(max_epochs)`. Worker processes decode
image files; for small images in memory it is tried whether they pay. Logger,
checkpoints, sanity checks and progress bar are off, which flatters this script.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

WORKERS = 2

Batch = tuple[torch.Tensor, torch.Tensor]


class ImageFiles(Dataset):
    """Image files, decoded and transformed one by one."""

    def __init__(self, paths: Sequence[Path], labels: np.ndarray, transform: v2.Transform):
        self.paths, self.labels, self.transform = paths, labels, transform
        self.workers = WORKERS

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), int(self.labels[index])


class ImageArrays(Dataset):
    """Images (n, 3, s, s) in memory, transformed one by one."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, transform: v2.Transform, workers: int = 0
    ):
        self.images, self.labels, self.transform = images, labels, transform
        self.workers = workers

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(torch.from_numpy(self.images[index])), int(self.labels[index])


def transform(mean: Sequence[float], std: Sequence[float], size: int | None = None) -> v2.Transform:
    """The usual chain: to a tensor, to one size if files have several, to floats, normalised."""
    resize = [v2.Resize(size, antialias=True), v2.CenterCrop(size)] if size else []
    scale = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.ToImage(), *resize, scale, v2.Normalize(mean, std)])


def loader(data: Dataset, batch_size: int, *, shuffle: bool = False) -> DataLoader:
    """Batches; workers stay from epoch to epoch."""
    return DataLoader(
        data,
        batch_size=batch_size,
        shuffle=shuffle,
        num_workers=data.workers,
        persistent_workers=data.workers > 0,
    )


@dataclass(frozen=True)
class EpochChunk:
    """Epochs with these layers frozen, at these peak rates of head and other layers."""

    frozen: tuple[int, ...]
    lr: float
    backbone_lr: float
    epochs: int


class PlainModule(L.LightningModule):
    """Pretrained layers, some of them frozen, and a linear head."""

    def __init__(self, layers: Sequence[nn.Module], head: nn.Module, weight_decay: float = 1e-4):
        super().__init__()
        self.layers, self.head = nn.ModuleList(layers), head
        self.weight_decay = weight_decay
        self.stretch: EpochChunk | None = None
        self.right = self.seen = 0

    def begin(self, stretch: EpochChunk) -> None:
        """Freeze what is frozen now."""
        self.stretch = stretch
        for number, layer in enumerate(self.layers):
            layer.requires_grad_(number not in stretch.frozen)

    def train(self, mode: bool = True) -> PlainModule:
        """Frozen layers keep their running statistics."""
        super().train(mode)
        for number in self.stretch.frozen if self.stretch else ():
            self.layers[number].eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            images = layer(images)
        return self.head(images)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def validation_step(self, batch: Batch, _: int) -> None:
        self(batch[0])

    def test_step(self, batch: Batch, _: int) -> None:
        images, labels = batch
        self.right += int((self(images).argmax(1) == labels).sum())
        self.seen += len(labels)

    def configure_optimizers(self) -> dict[str, object]:
        learning = [p for layer in self.layers for p in layer.parameters() if p.requires_grad]
        groups = [{"params": list(self.head.parameters()), "lr": self.stretch.lr}]
        if learning:
            groups.append({"params": learning, "lr": self.stretch.backbone_lr})
        optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: warm_cosine(s, steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def warm_cosine(step: int, steps: int) -> float:
    """A linear warm-up over a twentieth of the steps, then a cosine to zero."""
    warmup = max(1, math.ceil(0.05 * steps))
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@dataclass
class Pace(L.Callback):
    """Seconds an image, batch by batch; the first holds what comes before it, too."""

    train: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    first: float = 0.0
    """Seconds until the first batch had been trained on."""
    _last: float = field(default_factory=time.perf_counter)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: object, batch: Batch, _: int
    ) -> None:
        taken = self._lap()
        self.first = self.first or taken
        self.train.append(taken / len(batch[1]))

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._lap()

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._lap()

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: object,
        batch: Batch,
        *_: int,
    ) -> None:
        self.test.append(self._lap() / len(batch[1]))

    def _lap(self) -> float:
        now = time.perf_counter()
        taken, self._last = now - self._last, now
        return taken


@dataclass(frozen=True)
class Outcome:
    """How a plain run ended, and how long it took."""

    accuracy: float
    tested: int
    steps: int
    seconds: float
    pace: Pace


@dataclass(frozen=True)
class Data:
    """Training, validation and test images."""

    train: Dataset
    val: Dataset
    test: Dataset


def train_and_test(
    module: PlainModule,
    data: Data,
    stretches: Sequence[EpochChunk],
    *,
    batch_size: int,
    validations: int = 10,
    accelerator: str = "auto",
) -> Outcome:
    """Fit stretch by stretch, then test once."""
    begin, pace, steps = time.perf_counter(), Pace(), 0
    for stretch in stretches:
        module.begin(stretch)
        trainer = L.Trainer(
            max_epochs=stretch.epochs,
            check_val_every_n_epoch=-(-stretch.epochs // validations),
            callbacks=[pace],
            **_trainer(accelerator),
        )
        val = [loader(data.val, batch_size)] if len(data.val) else None
        trainer.fit(module, loader(data.train, batch_size, shuffle=True), val)
        steps += trainer.global_step
    module.begin(stretches[-1])
    trainer = L.Trainer(callbacks=[pace], **_trainer(accelerator))
    trainer.test(module, loader(data.test, batch_size), verbose=False)
    seconds = time.perf_counter() - begin
    return Outcome(module.right / module.seen, module.seen, steps, seconds, pace)


def extract(layers: Sequence[nn.Module], data: Dataset, batch_size: int) -> torch.Tensor:
    """The frozen layers' output for all images."""
    network = nn.Sequential(*layers).eval()
    with torch.no_grad():
        return torch.cat([network(images) for images, _ in loader(data, batch_size)])


def _trainer(accelerator: str) -> dict[str, object]:
    return {
        "accelerator": accelerator,
        "devices": 1,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
