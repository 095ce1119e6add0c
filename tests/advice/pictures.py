"""Small grey pictures for what registers them: of things, of patterns that look alike, of
nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from transfer_lab.advice.features.looks import thumbnail_of

WHOLE = 96


@cache
def something(seed: int) -> Image.Image:
    """A scene like no other: soft shapes of many sizes."""
    draw = np.random.default_rng(seed)
    shapes = sum(
        gaussian_filter(draw.normal(size=(WHOLE, WHOLE)), width) * width for width in (2, 4, 8, 16)
    )
    return _picture(shapes)


def stripes(seed: int, *, period: float = 10.0) -> Image.Image:
    """Another part of the same striped cloth."""
    draw = np.random.default_rng(seed)
    along = np.arange(WHOLE) + draw.uniform(0, period)
    cloth = np.tile(np.sin(2 * np.pi * along / period), (WHOLE, 1))
    return _picture(cloth + 0.1 * draw.normal(size=cloth.shape))


def another_shot(image: Image.Image, seed: int) -> Image.Image:
    """Turned, nearer, moved and lit a little otherwise."""
    draw = np.random.default_rng(seed)
    side = round(WHOLE * draw.uniform(0.86, 0.92))
    left, top = draw.integers(0, WHOLE - side, 2, endpoint=True)
    turned = image.rotate(draw.uniform(-3, 3), Image.Resampling.BILINEAR)
    cut = turned.crop((left, top, left + side, top + side)).resize((WHOLE, WHOLE))
    return cut.point(lambda value: value * draw.uniform(0.8, 1.1))


def thumbnails(images: list[Image.Image]) -> np.ndarray:
    """As extraction makes them of photographs."""
    return np.stack(
        [thumbnail_of(np.asarray(one.convert("RGB")).transpose(2, 0, 1)) for one in images]
    )


def scribbles(groups: np.ndarray) -> np.ndarray:
    """Thumbnails of invented photographs: those of one group have the same."""
    return thumbnails([something(1000 + int(group)) for group in groups])


def _picture(values: np.ndarray) -> Image.Image:
    values = (values - values.min()) / np.ptp(values)
    return Image.fromarray((20 + 200 * values).astype(np.uint8))
