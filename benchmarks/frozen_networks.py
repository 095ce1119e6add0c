"""Frozen extraction in fp32 on one core, against the same network as torch computes it layer by
layer."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from benchmarks.figures import Figure, Result, Target, at_least, ratio
from benchmarks.setting import Setting, interleaved
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.frozen import FrozenPrefix, computed_by
from transfer_lab.experiment.choices import Architecture

_CPU = torch.device("cpu")
_ROUNDS = 3
"""Rounds for each repeat that is asked for: a batch is short."""
_LITE0 = Architecture(kind="timm", options={"name": "tf_efficientnet_lite0"})
_VGG16 = Architecture(kind="vgg16", options={"top": "pooled"})


def extraction(setting: Setting) -> Result:
    """CPU seconds of an image: of a network with depthwise convolutions, and of VGG16, which must
    lose nothing."""
    cells = (
        ("EfficientNet-Lite0", _LITE0, at_least(3)),
        ("VGG16", _VGG16, at_least(0.95)),
    )
    with _one_thread():
        return Result(tuple(_figure(*cell, setting) for cell in cells))


def _figure(name: str, architecture: Architecture, target: Target, setting: Setting) -> Figure:
    size = 32 if setting.quick else 224
    torch.manual_seed(0)  # values do not change the time
    backbone = build_backbone(architecture, size).eval()
    stop = len(backbone.stages)
    prefix = FrozenPrefix(backbone, stop, _CPU)
    images = torch.randint(0, 256, (prefix.batch_size(size), 3, size, size), dtype=torch.uint8)
    start = time.process_time()
    prefix(images)
    made = time.process_time() - start
    calls = {"torch": layer_by_layer(backbone), "ours": prefix}
    timings = interleaved(
        {who: lambda call=call: _cpu_seconds(call, images) for who, call in calls.items()},
        _ROUNDS * setting.repeats,
    )
    told = {who: f"{1 / timing.median:.1f} images a CPU second" for who, timing in timings.items()}
    setting.say(f"{name}: torch {told['torch']}, ours {told['ours']}")
    by = ", ".join(computed_by(backbone, stop, _CPU)) or "torch"
    return Figure(
        cell=f"{name} at {size} px, frozen extraction in fp32 on one core, one image",
        value=ratio(timings["torch"], timings["ours"]),
        baseline_name="torch, layer by layer",
        baseline=timings["torch"],
        ours=timings["ours"],
        target=target,
        note=f"CPU seconds; {told['ours']} by {by}; the first batch took {made:.1f} s",
    )


def layer_by_layer(backbone: Backbone) -> Callable[[torch.Tensor], torch.Tensor]:
    """The stages without a gradient in the memory format that torch's convolutions like best."""
    stages = copy.deepcopy(backbone.stages).to(memory_format=torch.channels_last)

    def outputs(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            found = backbone.prepare(images)
            for stage in stages:
                found = stage(found)
        return found

    return outputs


def _cpu_seconds(call: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> float:
    """Of an image: they do not depend on what else the machine does, as those on a clock would."""
    start = time.process_time()
    call(images)
    return (time.process_time() - start) / len(images)


@contextmanager
def _one_thread() -> Iterator[None]:
    """As each of a grid's workers has it; waiting threads would count as work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
