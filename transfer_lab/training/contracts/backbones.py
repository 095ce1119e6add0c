"""What must hold for every backbone: stages that hold all and compose, prefixes that compute once
what they compute live."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.backbones.repeated import ROUNDING, apart
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.training.contracts.cases import Check, arguments, demand
from transfer_lab.training.contracts.regimes import RegimeCase, moves_what_learns
from transfer_lab.training.contracts.toys import Blocks, drawn
from transfer_lab.training.frozen_features import FrozenFeatures

CPU = torch.device("cpu")


@dataclass(frozen=True)
class BackboneCase:
    """A backbone with the options it is checked with, and sides of images that it must take."""

    cls: type[Backbone]
    options: Mapping[str, object] = field(default_factory=dict)
    sizes: tuple[int, ...] = (8, 12, 16, 20, 33, 64)

    @property
    def size(self) -> int:
        """The side of images in most checks."""
        return self.sizes[min(1, len(self.sizes) - 1)]

    def build(self, image_size: int | None = None) -> Backbone:
        """The backbone with fresh weights."""
        torch.manual_seed(0)
        size = image_size or self.size
        given = arguments(self.cls, self.options)
        backbone = self.cls(size, **given)
        backbone.options, backbone.image_size = given, size
        return backbone

    def images(self, count: int, size: int | None = None) -> torch.Tensor:
        """Random ones."""
        generator, side = torch.Generator().manual_seed(1), size or self.size
        shape = (count, 3, side, side)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    def settled(self) -> Backbone:
        """In eval mode, with running statistics that no longer are the initial ones."""
        backbone = self.build()
        backbone(self.images(8))
        return backbone.eval()


def features_are_flat_finite_and_as_many_as_announced(case: BackboneCase) -> None:
    """At every size of image."""
    demand((case.cls.__doc__ or "").strip(), "it has no docstring")
    for size in case.sizes:
        backbone = case.build(size).eval()
        features, expected = backbone(case.images(3, size)), (3, backbone.num_features)
        told = f"features of 3 images are {tuple(features.shape)}, not {expected}"
        demand(features.shape == expected, told)
        demand(features.isfinite().all(), f"not all features are finite at {size} pixels")


def two_passes_over_the_same_images_give_the_same_features(case: BackboneCase) -> None:
    """In eval mode nothing is left to chance, and nothing is kept from call to call."""
    gap = apart(case.settled(), case.images(5))
    demand(gap <= ROUNDING, f"they are {gap:.2g} of the largest feature apart in eval mode")


def stages_hold_every_parameter_and_buffer_once(case: BackboneCase) -> None:
    """What stands outside of them could not be frozen or transferred."""
    backbone = case.build()
    owned = [id(t) for s in backbone.stages for t in (*s.parameters(), *s.buffers())]
    demand(len(owned) == len(set(owned)), "a tensor is in two stages")
    everything = {id(t) for t in (*backbone.parameters(), *backbone.buffers())}
    demand(set(owned) == everything, "a parameter or buffer is in no stage")
    for number, stage in enumerate(backbone.stages, start=1):
        demand(any(True for _ in stage.parameters()), f"stage {number} has no parameters")


def a_prefix_and_the_rest_compose_to_the_whole_at_every_stage(case: BackboneCase) -> None:
    """To the last bit."""
    backbone = case.build().eval()
    whole = backbone(case.images(5))
    for stage in _stops(backbone):
        halfway = backbone(case.images(5), stop=stage)
        same = torch.equal(backbone(halfway, start=stage), whole)
        demand(same, f"going on after stage {stage} gives other features")


def the_output_computed_once_equals_the_live_one_at_every_stage(case: BackboneCase) -> None:
    """In other batches, too: a frozen prefix must not look at an image's companions."""
    backbone, domain = case.settled(), drawn(Blocks(case.size))
    for stage in _stops(backbone):
        with tempfile.TemporaryDirectory() as folder:
            data = FrozenFeatures(domain, backbone, stage, FeatureCache(Path(folder)))
            data.setup("fit")
            data.setup("test")
            for section in ("train", "val", "test"):
                stored, live = getattr(data, f"{section}_dataloader")(), domain.loader(section)
                for (outputs, labels), (inputs, expected) in zip(stored, live, strict=True):
                    _close(outputs, backbone(inputs, stop=stage), f"stored output of {stage}")
                    demand(torch.equal(labels, expected), "stored outputs have other labels")


def a_prefix_made_ready_for_inference_computes_the_same_and_leaves_the_backbone_alone(
    case: BackboneCase,
) -> None:
    """Batch norms are folded and layouts changed in a copy of it."""
    backbone = case.settled()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    modules = [type(module) for module in backbone.modules()]
    images = case.images(5)
    for stage in _stops(backbone):
        live = backbone(images, stop=stage)
        exact = FrozenPrefix(backbone, stage, CPU)(images)
        coarse = FrozenPrefix(backbone, stage, CPU, "bf16")(images)
        _close(exact, live, f"the ready prefix of {stage} stages")
        told = "is further off in bf16 than its 8 bits of mantissa explain"
        demand((coarse - live).norm() < 0.03 * live.norm(), f"the prefix of {stage} stages {told}")
        if _computes(backbone, stage):
            demand(not torch.equal(coarse, exact), "bf16 computes what fp32 does")
        demand(coarse.dtype == exact.dtype == torch.float32, "its outputs are not fp32")
        demand(not (exact.requires_grad or exact.is_inference()), "its outputs cannot be learnt on")
    after = backbone.state_dict()
    demand(all(torch.equal(before[k], after[k]) for k in before), "the backbone has changed")
    demand([type(m) for m in backbone.modules()] == modules, "its modules have changed")


def a_prefix_in_training_mode_is_refused(case: BackboneCase) -> None:
    """It would be another one at every batch."""
    try:
        FrozenPrefix(case.build(), 1, CPU)
    except RuntimeError as error:
        demand("eval mode" in str(error), f"it is refused for another reason: {error}")
    else:
        demand(False, "it is taken")


def the_input_transform_centres_bytes_the_same_way_for_every_image(case: BackboneCase) -> None:
    """By the backbone's `mean` and `std`."""
    backbone, images = case.build(), case.images(4)
    prepared = backbone.prepare(images)
    demand(prepared.dtype == torch.float32, f"it gives {prepared.dtype}")
    alone = backbone.prepare(images[1:2])
    demand(torch.equal(prepared[1:2], alone), "it depends on the other images")
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (backbone.mean, backbone.std))
    _close(prepared, (images / 255 - mean) / std, "the prepared image", tolerance=1.3e-6)


def it_trains_in_the_labs_regimes(case: BackboneCase) -> None:
    """Every stage moves where it learns, and none where it is frozen."""
    for name in ("from_scratch", "linear_probe", "lp_ft"):
        moves_what_learns(RegimeCase(REGIMES.load(name)), case.build(), case.cls.__name__)


BACKBONE_CHECKS: tuple[Check, ...] = (
    features_are_flat_finite_and_as_many_as_announced,
    two_passes_over_the_same_images_give_the_same_features,
    stages_hold_every_parameter_and_buffer_once,
    a_prefix_and_the_rest_compose_to_the_whole_at_every_stage,
    the_output_computed_once_equals_the_live_one_at_every_stage,
    a_prefix_made_ready_for_inference_computes_the_same_and_leaves_the_backbone_alone,
    a_prefix_in_training_mode_is_refused,
    the_input_transform_centres_bytes_the_same_way_for_every_image,
)


def _stops(backbone: Backbone) -> Iterator[int]:
    return iter(range(1, len(backbone.stages) + 1))


def _computes(backbone: Backbone, stop: int) -> bool:
    """Whether the prefix has a product to round."""
    found = (m for stage in backbone.stages[:stop] for m in stage.modules())
    return any(isinstance(module, nn.Conv2d | nn.Linear) for module in found)


def _close(found: torch.Tensor, live: torch.Tensor, what: str, tolerance: float = 1e-5) -> None:
    try:
        torch.testing.assert_close(found, live, rtol=tolerance, atol=1e-5)
    except AssertionError as error:
        demand(False, f"{what} differs from the live one: {error}")
