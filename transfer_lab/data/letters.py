"""Letters of a script, rendered from the font files that matplotlib ships."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import torch
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional as F

from transfer_lab.data.base import Part
from transfer_lab.data.rendered import BalancedDomain, paint

_CANVAS = 64
_GLYPH = 40
_LIGHT = np.array([0.8, 0.5, 0.25], np.float32)[:, None, None]
_CONTRAST, _NOISE = 0.3, 0.2
"""Of shifted images; plain ones have noise of 0.02 to 0.08."""
_INK = 0.25
"""The part of a pixel that ink covers, from which it is the letter's: with half of it, one letter
in two hundred of 8 x 8 pixels would have none."""


class Script(BalancedDomain):
    """Letters in random font, size, affine warp, contrast and noise; the mask of each is known.

    Options: `letters`: the classes, by default the whole alphabet of the script; `fonts`: names of
    font files without their ending, as `DejaVuSerif-Bold`, by default all that hold the letters;
    `shift`: the same letters as another camera would see them, `recoloured`, faint under orange
    light, or `noisy`; those of BalancedDomain. A shifted script shows the very letters of the plain
    one unless it has another `render_seed`.
    """

    alphabet: str
    annotates = ("boxes", "masks")

    def __init__(
        self,
        image_size: int,
        *,
        letters: str | None = None,
        fonts: Sequence[str] | None = None,
        shift: Literal["recoloured", "noisy"] | None = None,
        train_per_class: int = 500,
        test_per_class: int = 100,
        render_seed: int = 0,
    ):
        super().__init__(
            image_size,
            train_per_class=train_per_class,
            test_per_class=test_per_class,
            render_seed=render_seed,
        )
        self.classes = tuple(self.alphabet if letters is None else letters)
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"letters must be at least two different ones, not '{letters}'")
        self.fonts, self.shift = _chosen("".join(self.classes), fonts), shift

    @property
    def identity(self) -> dict[str, object]:
        fonts = [path.name for path in self.fonts]
        known = {"fonts": fonts, "matplotlib": matplotlib.__version__}
        return super().identity | known | ({"shift": self.shift} if self.shift else {})

    def render(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        images = paint(self.coverage(labels, rngs), rngs)
        return _shifted(images, self.shift, rngs) if self.shift else images

    def mask_blocks(self, part: Part) -> Iterator[np.ndarray]:
        return self.blocks(part, self._masked)

    def _masked(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        return (self.coverage(labels, rngs) >= _INK).astype(np.uint8)

    def coverage(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        """(n, s, s) in [0, 1]: how much of each pixel the letter covers, which is what the
        generators are asked first."""
        atlas = _atlas("".join(self.classes), self.fonts)
        fonts = [rng.integers(len(atlas)) for rng in rngs]
        warps = np.stack([_random_warp(rng) for rng in rngs])
        glyphs = torch.from_numpy(atlas[fonts, labels])[:, None]
        return _warp(glyphs, torch.from_numpy(warps), self.image_size)


class Latin(Script):
    """37 Latin letters: capitals, and the small letters that differ in shape from their capital.

    The merging of look-alikes follows EMNIST (Cohen et al. 2017, "balanced" split).
    """

    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"


class Greek(Script):
    """24 Greek capitals."""

    alphabet = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"


class Cyrillic(Script):
    """33 Cyrillic capitals of the Russian alphabet."""

    alphabet = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"


@cache
def fonts_with(letters: str) -> tuple[Path, ...]:
    """matplotlib's text fonts that hold every letter; raises ValueError if there is none."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    wanted = set(map(ord, letters))
    found = []
    for path in sorted(folder.glob("*.ttf")):
        if path.name.startswith(("DejaVuSans", "DejaVuSerif", "STIXGeneral")):
            with TTFont(path, lazy=True) as font:
                if wanted <= font.getBestCmap().keys():
                    found.append(path)
    if not found:
        raise ValueError(f"no font that matplotlib ships holds all of '{letters}'")
    return tuple(found)


def _chosen(letters: str, names: Sequence[str] | None) -> tuple[Path, ...]:
    """The fonts of these names, or all that hold the letters; raises ValueError for a name that is
    none of theirs, or twice the same."""
    known = {path.stem: path for path in fonts_with(letters)}
    if names is None:
        return tuple(known.values())
    wrong = sorted(set(names) - known.keys())
    if wrong or not names or len(set(names)) < len(names):
        told = f"fonts={list(names)}: name some of {', '.join(known)}, each once"
        raise ValueError(told)
    return tuple(path for name, path in known.items() if name in names)


@cache
def _atlas(letters: str, paths: tuple[Path, ...]) -> np.ndarray:
    """(fonts, letters, canvas, canvas) float32 in [0, 1]: each glyph once, centred."""
    fonts = [ImageFont.truetype(str(path), _GLYPH) for path in paths]
    return np.stack([np.stack([_glyph(font, letter) for letter in letters]) for font in fonts])


def _glyph(font: ImageFont.FreeTypeFont, letter: str) -> np.ndarray:
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    ImageDraw.Draw(canvas).text(
        (_CANVAS / 2, _CANVAS / 2), letter, fill=255, font=font, anchor="mm"
    )
    return np.asarray(canvas, np.float32) / 255


def _random_warp(rng: np.random.Generator) -> np.ndarray:
    """(2, 3): output coordinates to canvas coordinates, both in [-1, 1]."""
    turn, shear = rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2)
    size, stretch = rng.uniform(0.8, 1.15), rng.uniform(0.88, 1.14)
    shift = rng.uniform(-0.12, 0.12, 2)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = (
        rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([stretch, 1 / stretch]) / size * 0.8
    )
    return np.column_stack([matrix, shift]).astype(np.float32)


def _warp(glyphs: torch.Tensor, warps: torch.Tensor, size: int) -> np.ndarray:
    """Sampled at twice the size and averaged, since shrinking by interpolation alone aliases."""
    grid = F.affine_grid(warps, [len(glyphs), 1, 2 * size, 2 * size], align_corners=False)
    fine = F.grid_sample(glyphs, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(fine, 2)[:, 0].numpy()


def _shifted(images: np.ndarray, shift: str, rngs: list[np.random.Generator]) -> np.ndarray:
    """Painted images (n, 3, s, s), uint8, under other light or with more noise."""
    values = images.astype(np.float32) / 255
    if shift == "recoloured":
        values = _LIGHT + _CONTRAST * (values - 0.5)
    else:
        noise = [rng.standard_normal(values.shape[1:], np.float32) for rng in rngs]
        values += _NOISE * np.stack(noise)
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
