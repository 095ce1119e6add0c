"""VGG16 at 224 px: extraction of frozen features, a linear probe, the last stage fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.ceilings import DTYPES, ceilings
from benchmarks.cells import Ours, PlainCell, plain_data, plain_module, projection, train_ours
from benchmarks.figures import Detail, Figure, Result, Target, Timing, at_least, ratio
from benchmarks.floor import floor_seconds, layers
from benchmarks.operations import operations
from benchmarks.photos import write_photos
from benchmarks.plain_lightning import extract
from benchmarks.setting import Setting, interleaved, stopwatch
from transfer_lab.backbones.build import build_backbone
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_domain, build_regime

_EXTRACTED = 3
"""Extraction is timed on so many times the sample's images."""
_PROBE = Choice(kind="linear_probe")
LIMIT = 300.0
"""Seconds from which a fit of ours is cut short and projected."""


@dataclass(frozen=True)
class Size:
    """How large a part is: the cell, and the sample of it that the plain script is timed on.

    `per_class` and `epochs` are the cell's, `sample` images a class and `sample_epochs` the
    sample's. The test set is the same for both.
    """

    image_size: int
    width: float
    classes: int
    per_class: int
    epochs: int
    sample: int
    sample_epochs: int
    test: int
    batch_size: int

    @property
    def images(self) -> int:
        """Training images of the cell."""
        return self.classes * self.per_class


FULL = Size(224, 1.0, 12, 125, 20, sample=8, sample_epochs=2, test=8, batch_size=32)
QUICK = Size(32, 0.125, 4, 8, 4, sample=4, sample_epochs=2, test=4, batch_size=8)


def size_of(setting: Setting) -> Size:
    """The sizes of a whole benchmark or of a quick one."""
    return QUICK if setting.quick else FULL


def run_of(size: Size, photos: Choice, regime: Choice, *, sample: bool = False) -> Run:
    """The cell, or the sample of it; random weights, since values do not change the time."""
    return Run(
        domain=photos,
        image_size=size.image_size,
        per_class=size.sample if sample else size.per_class,
        backbone=Architecture(kind="vgg16", options={"top": "pooled", "width": size.width}),
        regime=regime,
        fit=Fit(
            epochs=size.sample_epochs if sample else size.epochs,
            batch_size=size.batch_size,
            val_fraction=0,
        ),
        seed=1,
    )


def extraction(setting: Setting) -> Result:
    """Images a second through the frozen network, and the share of the floor that is reached."""
    size = size_of(setting)
    few, many = extraction_runs(size, setting.folder("photos"))
    domain = build_domain(few, None)
    regime = build_regime(few, domain, RecordStore(setting.folder("none")))
    data, module = plain_data(domain, regime).train, plain_module(regime)

    def plain() -> float:
        return stopwatch(lambda: extract(module.layers, data, size.batch_size)) / len(data)

    precision = train_ours(few, setting.folder("store")).record.precision  # and a warm-up
    timings = interleaved(
        {"plain": plain, "ours": lambda: seconds_per_image(few, many, setting)}, setting.repeats
    )
    setting.say(", ".join(f"{k}: {1 / t.median:.1f} images a second" for k, t in timings.items()))
    detail, share = _floor(size, timings["ours"].median, DTYPES[precision], setting.quick)
    figure = Figure(
        cell=f"VGG16 at {size.image_size} px, frozen extraction, one image",
        value=ratio(timings["plain"], timings["ours"]),
        baseline_name="plain Lightning",
        baseline=timings["plain"],
        ours=timings["ours"],
        target=at_least(12),
        note=f"{precision}; {share:.0%} of the per-layer floor",
    )
    return Result((figure,), (detail,))


def extraction_runs(size: Size, folder: Path) -> tuple[Run, Run]:
    """Two probes of one epoch: on the sample's images, and on several times as many."""
    count = _EXTRACTED * size.sample
    photos = write_photos(folder / "all", classes=size.classes, train=count, test=size.test)
    few = run_of(replace(size, sample_epochs=1), photos, _PROBE, sample=True)
    return few, few.model_copy(update={"per_class": count})


def seconds_per_image(few: Run, many: Run, setting: Setting) -> float:
    """What another image costs, cold: what does not depend on their number, as building the
    network, falls out."""
    small, large = (train_ours(run, setting.folder("store")) for run in (few, many))
    images = large.record.n_train - small.record.n_train
    return max(large.seconds - small.seconds, 1e-9) / images


def linear_probe(setting: Setting) -> Result:
    """A linear head on frozen features, from files to the test accuracy."""
    return _regime(setting, _PROBE, "linear_probe", at_least(150))


def partial_finetune(setting: Setting) -> Result:
    """All but the last convolutional stage frozen, from files to the test accuracy."""
    regime = Choice(kind="partial_finetune", options={"k": 4})
    return _regime(setting, regime, "partial_finetune, frozen to its fourth stage", at_least(40))


def _regime(setting: Setting, regime: Choice, name: str, target: Target) -> Result:
    """The plain script is timed on a sample of the images and a few epochs, and projected; ours
    runs whole unless it would take longer than LIMIT. Both are tested on the sample's cell."""
    size = size_of(setting)
    folder = setting.folder("photos") / "all"
    photos = write_photos(folder, classes=size.classes, train=size.per_class, test=size.test)
    sample, cell = (run_of(size, photos, regime, sample=s) for s in (True, False))
    same = train_ours(sample, setting.folder("store"))
    setting.say(f"ours on the sample: {same.seconds:.1f} s")
    plain = PlainCell.of(sample, RecordStore(setting.folder("none"))).run()
    setting.say(f"plain on the sample: {plain.seconds:.1f} s")
    ours = _whole(cell, same, setting)
    baseline = projection(plain, size.images * size.epochs, plain.tested)
    least = _least_seconds(cell, same.record.precision, setting)
    figure = Figure(
        cell=f"VGG16 at {size.image_size} px, {name}, {size.epochs} epochs on {size.images:,} "
        "images, cold",
        value=ratio(baseline, ours),
        baseline_name="plain Lightning",
        baseline=baseline,
        ours=ours,
        accuracy_baseline=plain.accuracy,
        accuracy_ours=same.record.test_accuracy,
        target=target,
        note=f"{same.record.precision}; accuracies: {size.sample_epochs} epochs on "
        f"{same.record.n_train} images, random weights, {same.record.n_test} test images; "
        f"its operations alone take {least:,.0f} s at the best rate, {least / ours.median:.0%} of "
        f"ours, which would be {baseline.median / least:.1f}x",
    )
    return Result((figure,))


def _least_seconds(run: Run, precision: str, setting: Setting) -> float:
    """What the operations of a run take at the best rate that was measured."""
    domain = build_domain(run, None)
    regime = build_regime(run, domain, RecordStore(setting.folder("none")))
    best = ceilings(DTYPES[precision], quick=setting.quick)
    return operations(regime, domain, run.fit).total / best.operations


def _whole(cell: Run, sample: Ours, setting: Setting) -> Timing:
    """Seconds of the cell, cold; of fewer epochs and projected where they would be too many."""
    epochs, per_class = cell.fit.epochs, cell.per_class
    images = per_class * sample.record.num_classes
    an_epoch = sample.record.fit_seconds / sample.record.epochs * images / sample.record.n_train
    run_epochs = max(1, min(epochs, int(LIMIT / an_epoch)))
    fit = cell.fit.model_copy(update={"epochs": run_epochs})
    setting.say(f"ours: {run_epochs} of {epochs} epochs on {images:,} images")
    found = train_ours(cell.model_copy(update={"fit": fit}), setting.folder("store"))
    if run_epochs == epochs:
        return Timing((found.seconds,))
    rest = found.record.fit_seconds * (epochs / run_epochs - 1)
    return Timing((found.seconds + rest,), projected=f"{run_epochs} of {epochs} epochs")


def _floor(size: Size, seconds: float, dtype: torch.dtype, quick: bool) -> tuple[Detail, float]:
    """The table of layers, and the share of their floor that so many seconds an image reach."""
    best, width = ceilings(dtype, quick=quick), dtype.itemsize
    architecture = Architecture(kind="vgg16", options={"top": "pooled", "width": size.width})
    found = layers(build_backbone(architecture, size.image_size), size.image_size)
    least = floor_seconds(found, best, width)
    rows = [
        (
            layer.name,
            f"{layer.macs / 1e9:.3f}",
            f"{layer.numbers * width / 1e6:.2f}",
            f"{1e3 * layer.seconds(best, width):.3f}",
            "operations" if layer.is_bound_by_operations(best, width) else "bytes",
        )
        for layer in found
    ]
    total = sum(layer.macs for layer in found) / 1e9
    moved = sum(layer.numbers for layer in found) * width / 1e6
    rows.append(("all", f"{total:.3f}", f"{moved:.2f}", f"{1e3 * least:.3f}", ""))
    caption = (
        f"Floor of one image in {str(dtype).removeprefix('torch.')}: at best "
        f"{best.operations / 1e9:,.0f} GFLOP/s and {best.bytes / 1e9:.1f} GB/s copied; ours takes "
        f"{1e3 * seconds:.1f} ms, so {least / seconds:.0%} of the floor is reached"
    )
    head = ("layer", "GMAC", "MB", "floor in ms", "bound by")
    return Detail(caption, head, tuple(rows)), least / seconds
