"""Frozen stages made ready for inference once, instead of at every call."""

from __future__ import annotations

import copy

import torch
from torch import nn

from transfer_lab.backbones import onnx_runtime
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.folding import folded, folds_activated
from transfer_lab.system.device import Precision

_PIXELS = 2**19
_BATCHES = (8, 128)
_GPU_BATCH = 256
_CASTABLE = (
    nn.Conv2d, nn.Linear, nn.ReLU, nn.ReLU6, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
    nn.Flatten, nn.Dropout, nn.Identity, nn.ZeroPad2d,
)  # fmt: skip
"""Layers whose weights and maps may be bf16 throughout, as autocast would have most of them."""


def computed_by(
    backbone: Backbone, stop: int, device: torch.device, precision: Precision = "fp32"
) -> tuple[str, ...]:
    """What a frozen prefix computes with, if it is not what torch does with it layer by layer: the
    last digits of its outputs depend on that."""
    stages = backbone.stages[:stop]
    if _is_for_onnx(stages, device, precision):
        return onnx_runtime.versions()
    return ("activated normalisation folded",) if folds_activated(stages) else ()


def _is_for_onnx(stages: nn.ModuleList, device: torch.device, precision: Precision) -> bool:
    """Whether ONNX Runtime is there and computes these stages several times as fast."""
    suitable = device.type == "cpu" and precision == "fp32" and onnx_runtime.gains(stages)
    return suitable and bool(onnx_runtime.versions())


class FrozenPrefix:
    """`stages[:stop]` of a backbone as a function of images: no gradient, batch normalisation
    folded into the convolutions before it, weights cast once where the precision is bf16. On a CPU
    ONNX Runtime computes networks with grouped convolutions, where it is installed.

    The backbone is left as it is; tensors that need no change are shared with it. Raises
    RuntimeError if one of these stages is in training mode: its output would not be fixed.
    """

    def __init__(
        self, backbone: Backbone, stop: int, device: torch.device, precision: Precision = "fp32"
    ):
        stages = backbone.stages[:stop]
        if any(module.training for stage in stages for module in stage.modules()):
            raise RuntimeError("a frozen prefix must be in eval mode")
        self.device, self.stop = device, stop
        self._half = precision == "bf16"
        self._backbone = _with_stages(backbone, nn.ModuleList(folded(s) for s in _views(stages)))
        leaves = [m for m in self._backbone.stages.modules() if not len(list(m.children()))]
        cast = self._half and all(type(leaf) in _CASTABLE for leaf in leaves)
        self._dtype = torch.bfloat16 if cast else torch.float32
        self._backbone.stages.to(device, self._dtype, memory_format=torch.channels_last)
        by_onnx = _is_for_onnx(stages, device, precision)
        self._onnx = onnx_runtime.OnnxStages(self._backbone.stages) if by_onnx else None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Output for images (n, 3, s, s), uint8, as fp32 on the CPU."""
        return self.on_device(images).cpu()

    def on_device(self, images: torch.Tensor) -> torch.Tensor:
        """The same where it is computed."""
        if self._onnx:
            outputs = self._onnx(self._backbone.prepare(images).float())
            if outputs is not None:
                return outputs
        autocast = self._half and self._dtype == torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=autocast),
        ):
            outputs = self._backbone.prepare(images.to(self.device)).to(self._dtype)
            for stage in self._backbone.stages:
                outputs = stage(outputs)
            outputs = outputs.float()
        return outputs.clone()  # an inference tensor could not be learnt from

    def batch_size(self, image_size: int) -> int:
        """Images at a time: on a CPU few enough for their maps to stay in its caches."""
        if self.device.type != "cpu":
            return _GPU_BATCH
        low, high = _BATCHES
        return min(high, max(low, _PIXELS // image_size**2))


def _views(stages: nn.ModuleList) -> nn.ModuleList:
    """Modules of their own around the same memory: they can be moved and replaced at no cost."""
    parameters = {id(p): nn.Parameter(p.data, requires_grad=False) for p in stages.parameters()}
    buffers = {id(b): b.view_as(b) for b in stages.buffers()}
    return copy.deepcopy(stages, memo=parameters | buffers)


def _with_stages(backbone: Backbone, stages: nn.ModuleList) -> Backbone:
    """The backbone's transform and forward on other stages."""
    other = copy.copy(backbone)
    other._modules = dict(backbone._modules)
    other.stages = stages
    return other
