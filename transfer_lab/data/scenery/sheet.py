"""The sheet that a scene is drawn on: its camera, its colours, its dice and its light."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterable
from random import Random

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
"""Corners of a four-sided surface: upper left, upper right, lower right, lower left."""
Colour = tuple[int, int, int]

LEFT, RIGHT, TOP, BOTTOM = -0.3, 1.3, -0.3, 1.3
"""How far a scene is drawn: the camera shows about 0 to 1, turned and shifted a little."""

_CIRCLE = tuple((math.cos(2 * math.pi * k / 14), math.sin(2 * math.pi * k / 14)) for k in range(14))


class Sheet:
    """One picture in the making, in units of its side: x to the right, y down, about 0 to 1.

    Camera, palette and light are drawn from the image's own generator and know nothing of the
    class, so that what a scene shows is told by its shapes and not by its colours.
    """

    def __init__(self, size: int, rng: np.random.Generator):
        self._rng = rng
        # Python's dice are ten times faster than NumPy's for one number at a time.
        self._dice = Random(int(rng.integers(1 << 62)))
        self._fine = 3 if size < 64 else 2
        self._image = Image.new("RGB", (size * self._fine, size * self._fine))
        self._pen = ImageDraw.Draw(self._image)
        self._place_camera(size * self._fine)
        hue = self.between(0, 1)
        self._hues = (hue, hue + self.between(-0.12, 0.12), self.between(0, 1))
        self._colourful = self.between(0.05, 0.6)

    def between(self, low: float, high: float) -> float:
        """A number from low to high."""
        return low + (high - low) * self._dice.random()

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self._dice.random())

    def chance(self, share: float) -> bool:
        """True in this share of the images."""
        return self._dice.random() < share

    def one_of(self, *things):
        """One of the things, each as likely as the others."""
        return things[int(len(things) * self._dice.random())]

    def colour(self, darkest: float = 0.1, lightest: float = 0.92) -> Colour:
        """A colour of this image's palette, of any lightness between the two."""
        hue = self.one_of(*self._hues) + self.between(-0.04, 0.04)
        light, strength = self.between(darkest, lightest), self._colourful * self.between(0.4, 1.3)
        red, green, blue = colorsys.hls_to_rgb(hue % 1, light, min(strength, 1))
        return int(255 * red), int(255 * green), int(255 * blue)

    def against(self, ground: Colour, least: float = 0.18, most: float = 0.42) -> Colour:
        """A colour that can be seen on `ground`: lighter or darker by least to most."""
        here, gap = lightness(ground), self.between(least, most)
        lighter = self.chance(0.5) if gap < here - 0.03 and here + gap < 0.97 else here < 0.5
        light = min(max(here + gap if lighter else here - gap, 0.03), 0.97)
        return self.colour(light, light)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """A filled surface."""
        a, b, c, d, e, f = self._camera
        self._pen.polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in points], colour)

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        """A line through points; the thinnest is a half or a third of a pixel of the image wide."""
        a, b, c, d, e, f = self._camera
        pixels = max(1, round(width * self._unit))
        path = [(a * x + b * y + c, d * x + e * y + f) for x, y in points]
        self._pen.line(path, colour, pixels)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled upright rectangle."""
        self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse around (x, y)."""
        self.polygon([(x + rx * c, y + ry * s) for c, s in _CIRCLE], colour)

    def cells(
        self, quad: Quad, rows: int, columns: int, colour: Colour, *, fill=0.6, keep=1.0
    ) -> None:
        """A grid of panes on a surface seen in any perspective: windows, tiles, shelves, books.

        `fill`: the side of a pane as a share of its cell, one number or (across, down); `keep`: the
        share of panes that are there.
        """
        across, down = fill if isinstance(fill, tuple) else (fill, fill)
        margin_u, margin_v = (1 - across) / 2, (1 - down) / 2
        for row in range(rows):
            v0, v1 = (row + margin_v) / rows, (row + 1 - margin_v) / rows
            for column in range(columns):
                if keep < 1 and not self.chance(keep):
                    continue
                u0, u1 = (column + margin_u) / columns, (column + 1 - margin_u) / columns
                self.polygon(part_of(quad, u0, v0, u1, v1), colour)

    def finished(self) -> np.ndarray:
        """(3, size, size) uint8: the picture with something in the way, in some light, with noise.

        Uses up the sheet.
        """
        for _ in range(self.one_of(0, 1, 1, 2, 3)):
            self._occluder()
        image = np.asarray(self._image.reduce(self._fine), np.float32) / 255
        return _in_some_light(image.transpose(2, 0, 1), self._rng)

    def _place_camera(self, pixels: int) -> None:
        zoom, stretch = self.between(0.9, 1.45), self.between(0.88, 1.13)
        turn, flip = self.between(-0.1, 0.1), self.one_of(-1, 1)
        cos, sin = pixels * zoom * math.cos(turn), pixels * zoom * math.sin(turn)
        self._unit = pixels * zoom
        a, b, d, e = flip * cos * stretch, -sin, flip * sin * stretch, cos
        x, y = 0.5 + self.between(-0.12, 0.12), 0.5 + self.between(-0.12, 0.12)
        middle = pixels / 2
        self._camera = (a, b, middle - a * x - b * y, d, e, middle - d * x - e * y)

    def _occluder(self) -> None:
        """Something between camera and scene that has nothing to do with either."""
        colour, x, y = self.colour(), self.between(0, 1), self.between(0, 1)
        kind = self.one_of("post", "ball", "slab", "twig")
        if kind == "post":
            wide, lean = self.between(0.01, 0.05), self.between(-0.1, 0.1)
            self.line(((x, TOP), (x + lean, BOTTOM)), wide, colour)
        elif kind == "ball":
            x, y = self.one_of(self.between(-0.05, 0.2), self.between(0.8, 1.05)), y
            self.ellipse(x, y, self.between(0.05, 0.16), self.between(0.05, 0.16), colour)
        elif kind == "slab":
            wide, high, lean = (self.between(0.06, 0.24) for _ in range(3))
            corners = ((x, y), (x + wide, y + lean), (x + wide, y + high + lean), (x, y + high))
            self.polygon(corners, colour)
        else:
            end = (x + self.between(-0.5, 0.5), y + self.between(-0.4, 0.4))
            self.line(((x, self.one_of(TOP, y)), end), self.between(0.006, 0.03), colour)


Scene = Callable[[Sheet], None]
"""Draws one kind of scene."""


def lightness(colour: Colour) -> float:
    """How light a colour is, 0 to 1."""
    return (max(colour) + min(colour)) / 510


def shade(colour: Colour, by: float) -> Colour:
    """The same colour, lighter by a share of the whole range, or darker."""
    step = int(255 * by)
    red, green, blue = (min(max(c + step, 0), 255) for c in colour)
    return red, green, blue


def part_of(quad: Quad, u0: float, v0: float, u1: float, v1: float) -> Quad:
    """The piece of a surface from (u0, v0) to (u1, v1), each 0 to 1 across and down."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    corners = []
    for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)):
        a, b, c, d = (1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v
        corners.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return tuple(corners)


def upright(x0: float, y0: float, x1: float, y1: float) -> Quad:
    """A surface seen straight from the front."""
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _in_some_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Negative or not, haze, slanting light, contrast, brightness, tint, and noise a pixel."""
    size = image.shape[1]
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    turned, haze, way, slant, contrast, bright, grain = rng.random(7, np.float32)
    tint = rng.uniform(-0.1, 0.1, (3, 1, 1)).astype(np.float32)
    if turned < 0.25:
        # Dark scenes under light skies become light ones under dark skies, as at night.
        image = 1 - image
    if haze < 0.3:
        thick = (0.15 + 1.2 * haze) * (1 - 0.4 * axis[:, None])
        image = image + (0.35 + bright * 0.5 - image) * thick
    angle = 2 * np.pi * way
    light = 1 + 0.35 * slant * (np.cos(angle) * axis + np.sin(angle) * axis[:, None])
    image = (image * light - 0.5) * (0.4 + 0.65 * contrast) + 0.5 + 0.3 * (bright - 0.5) + tint
    image = image + rng.standard_normal(image.shape, np.float32) * (0.02 + 0.1 * grain)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
