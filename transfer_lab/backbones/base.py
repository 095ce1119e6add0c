"""What every backbone shares: ordered stages, one input transform, features at the end."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from transfer_lab.backbones.hub import Published

_SHAPES: dict[tuple[str, int], tuple[int, ...]] = {}
"""Of outputs, by structure and image size: many runs of a grid ask for the same few."""


class Backbone(nn.Module):
    """A feature extractor made of `stages`, from input to output.

    `stages` hold all parameters and buffers; the last one gives (batch, num_features). Images are
    (batch, 3, image_size, image_size), uint8. Keyword-only constructor arguments are the options
    in YAML.
    """

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    options: Mapping[str, object] = MappingProxyType({})
    """What it was built with, filled in by its builder: equal tensors may still compute unlike."""
    origin: Mapping[str, str] = MappingProxyType({})
    """What code that is not the lab's own is known by, filled in by its builder."""
    sees_pixels: bool = True
    """Whether its images are pictures, so that they can be turned, moved and differentiated by."""
    image_size: int = 224
    """Side of the images it was built for, filled in by its builder."""
    native_size: int = 224
    """Side of the images that published weights of it were trained at."""
    fixed_size: bool = False
    """Whether it takes images of the one size that it was built for."""
    licence: str | None = None
    """Of published weights, where their publisher says so."""

    def __init__(self, stages: Iterable[nn.Module], num_features: int):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        _check(self.stages)
        self.num_features = num_features
        self.initialise()

    @property
    def published(self) -> Published | None:
        """The file of ImageNet weights that others publish for it, if there is one."""
        return None

    @classmethod
    def publishes(cls, **options: Any) -> Published | None:
        """The same of a network with these options, without building it."""
        return None

    @property
    def keras_layers(self) -> tuple[int, ...]:
        """For each stage, the n for which `model.layers[:n]` of the Keras model of that name ends
        where it does; empty where there is none."""
        return ()

    def initialise(self) -> None:
        """Draw fresh weights: He initialisation unless a subclass does otherwise."""
        self.apply(_he_init)

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a weights file under the names of `stages.state_dict()`.

        Names that are those already stay; a backbone with weights of another origin overrides it.
        Tensors of no stage, as those of a classifier, may be left in. Raises KeyError or
        ValueError where the file is of another kind.
        """
        return {key.removeprefix("stages."): value for key, value in state.items()}

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 images to normalised floats: the one input transform of every regime."""
        mean = torch.tensor(self.mean, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(3, 1, 1)
        scaled = (images.float() / 255 - mean) / std
        return scaled.contiguous(memory_format=torch.channels_last)

    def structure(self, stop: int | None = None) -> str:
        """All that determines what `stages[:stop]` compute but their tensors."""
        prefix = self.stages[:stop]
        cls = f"{type(self).__module__}.{type(self).__qualname__}"
        graphs = [getattr(module, "code", "") for module in prefix]  # of divided networks
        known = (cls, self.options, prefix, graphs, self.mean, self.std)
        # Code that is not the lab's own may compute and transform otherwise under the same names.
        return repr((*known, dict(self.origin)) if self.origin else known)

    def output_shape(self, image_size: int, stop: int | None = None) -> tuple[int, ...]:
        """Shape of one image's output of `stages[:stop]`, found without computing anything."""
        key = (self.structure(stop), image_size)
        if key not in _SHAPES:
            _SHAPES[key] = self._output_shape(image_size, stop)
        return _SHAPES[key]

    def _output_shape(self, image_size: int, stop: int | None) -> tuple[int, ...]:
        # On a shadow without memory, in eval mode: a pass through the backbone itself, which may
        # be in training mode, would move running statistics.
        shadow = copy.deepcopy(self).to("meta").eval()
        probe = torch.zeros(1, 3, image_size, image_size, dtype=torch.uint8, device="meta")
        with torch.no_grad():
            return tuple(shadow(probe, stop=stop).shape[1:])

    def forward(self, inputs: torch.Tensor, *, start: int = 0, stop: int | None = None):
        """Run stages[start:stop]. Inputs are images if start is 0, else the output of the stage
        before `start`."""
        outputs = self.prepare(inputs) if start == 0 else inputs
        for stage in self.stages[start:stop]:
            outputs = stage(outputs)
        return outputs


def _check(stages: nn.ModuleList) -> None:
    """Raise ValueError unless there are stages, and each tensor belongs to one of them."""
    if not len(stages):
        raise ValueError("a backbone needs at least one stage")
    seen: set[int] = set()
    for number, stage in enumerate(stages, start=1):
        own = {id(tensor) for tensor in (*stage.parameters(), *stage.buffers())}
        if own & seen:
            raise ValueError(
                f"stage {number} shares a parameter or buffer with an earlier stage: one could not "
                "be frozen without the other"
            )
        seen |= own


def _he_init(module: nn.Module) -> None:
    """He et al. 2015, as torchvision's VGG; PyTorch's default would starve deep ReLU stacks."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
