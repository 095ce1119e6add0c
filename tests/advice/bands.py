"""A network that has learnt to look away from what matters, and photographs of which that is all:
whoever trains its last layer alone is hardly better than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from transfer_lab.advice.features.networks import Network
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.weights import save_weights

NATIVE = 192
CODE = f'''\
"""A network of one's own."""

from torch import nn

from transfer_lab.backbones.base import Backbone


class Bands(Backbone):
    """Colours of 6 x 6 places; then mixtures of them."""

    native_size = {NATIVE}

    def __init__(self, image_size):
        places = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Conv2d(3, 3, 1))
        super().__init__([places, nn.Sequential(nn.Flatten(), nn.Linear(108, 64))], 64)
'''
CLASSES = ("top", "middle", "bottom")
_LOUD = 60.0


def write_network(folder: Path) -> str:
    """`bands.py` and its weights, as `--backbone` takes them: of the red that the first layer makes
    loud, the last one makes nothing yet."""
    (folder / "bands.py").write_text(CODE)
    code, file = folder / "bands.py", folder / "bands.safetensors"
    torch.manual_seed(0)
    drawn = build_backbone(Network(f"{code}:Bands", "", NATIVE, "", "", "").architecture, NATIVE)
    with torch.no_grad():
        drawn.stages[0][1].weight[:] = torch.diag(torch.tensor([_LOUD, 1, 1]))[..., None, None]
        drawn.stages[0][1].bias.zero_()
        drawn.stages[1][1].weight[:, :36] = 0  # what is red, of each place
    save_weights(drawn, file)
    return f"{code}:Bands={file}"


def draw_bands(root: Path, *, per_class: int, first: int = 0) -> Path:
    """`<root>/<class>/<n>.png`: noise, and one band redder than the others, though not always by
    much; other photographs from another `first`."""
    for place, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            draw = np.random.default_rng([place, number])
            places = draw.normal(128, 40, (6, 6, 3))
            places[..., 0] = draw.normal(110, 12, (3, 1)).repeat(2, 0)
            places[2 * place : 2 * place + 2, :, 0] += 30
            pixels = places.repeat(8, 0).repeat(8, 1) + draw.normal(0, 20, (48, 48, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root
