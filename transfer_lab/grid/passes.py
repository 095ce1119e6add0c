"""What is seen of a backbone when images pass through it, before any training."""

from __future__ import annotations

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone, described
from transfer_lab.backbones.repeated import ROUNDING, apart
from transfer_lab.experiment.choices import Architecture

_IMAGES = 4


def refusal(backbone: Backbone, choice: Architecture, image_size: int) -> str | None:
    """Why this backbone, which has no memory, cannot be used at this size of images; or None."""
    try:
        shape = described(backbone, choice, image_size).output_shape(image_size)
    except Exception as error:  # as an image that poolings have made too small
        text = str(error).partition("\n")[0]
        return f"cannot take images of {image_size} x {image_size}: {text}"
    if shape != (backbone.num_features,):
        return f"num_features is {backbone.num_features}, but the last stage gives {shape}"
    # The lab's own are held to it by a contract: to give large ones their memory here takes
    # seconds, and the worker that checks them goes on to train.
    return _of_chance(choice, image_size) if choice.is_own else None


def _of_chance(choice: Architecture, image_size: int) -> str | None:
    """What is said of a backbone that gives the same images other features at a second look."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            backbone = build_backbone(choice, image_size).eval()
            shape = (_IMAGES, 3, image_size, image_size)
            gap = apart(backbone, torch.randint(256, shape, dtype=torch.uint8))
    except Exception as error:  # somebody's class
        return f"{choice.kind}: {type(error).__name__}: {error}"
    if gap <= ROUNDING:
        return None
    return (
        f"{choice.kind}: two passes of the same images in eval mode gave different answers, "
        f"{gap:.2g} of the largest feature apart: a test would be chance, and outputs of frozen "
        "stages are computed once. Draw no random numbers in forward but in training (`if "
        "self.training`, or nn.Dropout, which sees to that), and keep nothing from call to call"
    )
