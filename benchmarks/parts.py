"""The parts of the benchmark: what each measures, and the function that does."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Result
from benchmarks.setting import Setting


@dataclass(frozen=True)
class Part:
    """A part's function, as `module:name`, imported when it is run, and what it measures.

    `only_named`: too long to be run unless it is asked for by name.
    """

    place: str
    says: str
    only_named: bool = False

    def load(self) -> Callable[[Setting], Result]:
        """The function."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(f"benchmarks.{module}"), name)


PARTS = {
    "extraction": Part("vgg16:extraction", "VGG16 at 224 px, frozen, and its per-layer floor"),
    "frozen_networks": Part(
        "frozen_networks:extraction",
        "EfficientNet-Lite0 and VGG16 at 224 px, frozen, against torch layer by layer",
    ),
    "linear_probe": Part("vgg16:linear_probe", "linear_probe of VGG16 at 224 px, cold"),
    "partial_finetune": Part("vgg16:partial_finetune", "frozen to the fourth stage, cold"),
    "grid": Part("grid:default_grid", "the default grid, cold; two workers against one"),
    "loop": Part("loop:training_loop", "the training loop against one written by hand"),
    "engines": Part("engines:engines", "a grid on a Ray cluster against local workers"),
    "scale": Part("scale:scale", "plan and status of 100,000 cells, report over 10,000 records"),
    "memory": Part("memory:memory", "memory of a worker as its domain grows"),
    "precision": Part(
        "precision:precision",
        "accuracy of the default grid in bf16 and in fp32; only if named: without bf16 in "
        "hardware it takes an hour",
        only_named=True,
    ),
}
"""In the order in which they run."""
