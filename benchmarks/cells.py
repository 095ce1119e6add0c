"""One and the same cell for both sides: the lab's own, and the plain script's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import Dataset
from torchvision.transforms import v2

from benchmarks.figures import Timing
from benchmarks.plain_lightning import (
    Data,
    EpochChunk,
    ImageArrays,
    ImageFiles,
    Outcome,
    PlainModule,
    train_and_test,
    transform,
)
from benchmarks.setting import stopwatch
from transfer_lab.data.base import ImageDomain, Section
from transfer_lab.data.folder import Folder
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.engines.local import LocalEngine
from transfer_lab.regimes.base import TransferModule
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.training.building import build_domain, build_regime
from transfer_lab.training.fit import epochs_for, phase_epochs
from transfer_lab.training.run import Setting, train


@dataclass(frozen=True)
class Ours:
    """A run of the lab: its record and the seconds of the whole."""

    record: Record
    seconds: float


def train_ours(run: Run, store: Path) -> Ours:
    """The lab's run in a worker process, as in a grid, with all that it reads and writes."""
    return _worker(torch.get_num_threads()).submit(_trained, run, store).result()


@cache
def _worker(threads: int) -> LocalEngine:
    """Started once; it has imported what is heavy before its first run."""
    return LocalEngine(1, threads)


def _trained(run: Run, store: Path) -> Ours:
    setting = Setting(threads=torch.get_num_threads())
    records: list[Record] = []
    seconds = stopwatch(lambda: records.append(train(run, RecordStore(store), setting)))
    return Ours(records[0], seconds)


@dataclass(frozen=True)
class PlainCell:
    """A run's network, images and budget, as the plain script takes them."""

    module: PlainModule
    data: Data
    stretches: tuple[EpochChunk, ...]
    batch_size: int

    @classmethod
    def of(cls, run: Run, store: RecordStore, workers: int = 0) -> PlainCell:
        """The same weights, the same subset, the same epochs and rates; `workers` load images that
        are arrays."""
        domain = build_domain(run, store.root / IMAGES)
        regime = build_regime(run, domain, store)
        epochs = epochs_for(run.fit, len(domain.split.train))
        stretches = tuple(
            EpochChunk(phase.frozen, phase.lr, phase.backbone_lr, share)
            for phase, share in phase_epochs(regime.phases(), epochs)
        )
        data = plain_data(domain, regime, workers)
        return cls(plain_module(regime), data, stretches, run.fit.batch_size)

    def run(self, accelerator: str = "auto") -> Outcome:
        """Train and test it."""
        return train_and_test(
            self.module,
            self.data,
            self.stretches,
            batch_size=self.batch_size,
            accelerator=accelerator,
        )


def plain_module(regime: TransferModule) -> PlainModule:
    """A copy of a regime's layers in PyTorch's default memory layout."""
    layers = [copy.deepcopy(stage) for stage in regime.backbone.stages]
    module = PlainModule(layers, copy.deepcopy(regime.head), regime.weight_decay)
    return module.to(memory_format=torch.contiguous_format)


def plain_data(domain: ImageDomain, regime: TransferModule, workers: int = 0) -> Data:
    """The domain's drawn images: files where it has files, arrays otherwise."""
    mean, std = regime.backbone.mean, regime.backbone.std
    change = transform(mean, std, domain.image_size if isinstance(domain, Folder) else None)
    return Data(*(_section(domain, s, change, workers) for s in ("train", "val", "test")))


def _section(domain: ImageDomain, section: Section, change: v2.Transform, workers: int) -> Dataset:
    labels = domain.section_labels(section).numpy()
    if isinstance(domain, Folder):
        part = "test" if section == "test" else "train"
        index = range(len(labels)) if section == "test" else getattr(domain.split, section)
        paths = [domain.files[part][i].path for i in index]
        return ImageFiles(paths, labels, change)
    images, index, _ = domain.source_of(section)
    return ImageArrays(images[index], labels, change, workers)


def projection(outcome: Outcome, images: int, tested: int) -> Timing:
    """What training on so many images in all, and testing on so many, would take at this pace.

    Each image is taken to cost what it did in the median batch; what came before the first batch
    is counted once.
    """
    train, test = _typical(outcome.pace.train), _typical(outcome.pace.test)
    seconds = outcome.pace.first + images * train + tested * test
    source = f"{len(outcome.pace.train)} training and {len(outcome.pace.test)} test batches"
    return Timing((seconds,), projected=source)


def _typical(seconds: Sequence[float]) -> float:
    return median(seconds[1:] or seconds)
