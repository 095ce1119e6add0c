"""Procedural textures: a source domain that shares no shapes with letters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from transfer_lab.data.rendered import BalancedDomain, paint

Pattern = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def _stripes(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(u)


def _checks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sign(np.sin(u)) * np.sign(np.sin(v))


def _dots(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.cos(u) + np.cos(v) - 0.8


def _rings(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(np.hypot(u, v))


def _waves(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(u + 1.5 * np.sin(v / 2))


def _clouds(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angles, phases = rng.uniform(0, 2 * np.pi, (2, 12))
    waves = np.cos(
        np.multiply.outer(np.cos(angles), u)
        + np.multiply.outer(np.sin(angles), v)
        + phases[:, None, None]
    )
    return waves.sum(0) / 2


_PATTERNS: dict[str, Pattern] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "waves": _waves,
    "clouds": _clouds,
}
_CYCLES = {"coarse": 2.0, "fine": 4.0}
_ANGLES = {"0": 0.0, "45": np.pi / 4, "90": np.pi / 2, "135": 3 * np.pi / 4}
_ONE_ANGLE = ("rings", "clouds")
_TWO_ANGLES = ("checks", "dots")


def _angles_of(kind: str) -> tuple[str, ...]:
    """Angles at which a pattern looks different: the rest would be the same class twice."""
    if kind in _ONE_ANGLE:
        return ("0",)
    return ("0", "45") if kind in _TWO_ANGLES else tuple(_ANGLES)


class Textures(BalancedDomain):
    """28 textures: six patterns, coarse or fine, at the angles that tell them apart.

    Frequency, angle, phase, colours, contrast and noise vary from image to image.
    """

    classes = tuple(
        f"{kind}-{scale}-{angle}"
        for kind in _PATTERNS
        for scale in _CYCLES
        for angle in _angles_of(kind)
    )

    def render(self, labels: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        pairs = zip(labels, rngs, strict=True)
        return paint(np.stack([self._coverage(self.classes[y], rng) for y, rng in pairs]), rngs)

    def _coverage(self, name: str, rng: np.random.Generator) -> np.ndarray:
        kind, scale, angle = name.split("-")
        turn = _ANGLES[angle] + rng.uniform(-0.15, 0.15)
        cycles = _CYCLES[scale] * rng.uniform(0.85, 1.15)
        axis = (np.arange(self.image_size) + 0.5) / self.image_size - 0.5
        x, y = np.meshgrid(axis, axis)
        x, y = x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5)
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        wave = _PATTERNS[kind](2 * np.pi * cycles * u, 2 * np.pi * cycles * v, rng)
        return np.clip(0.5 + wave, 0, 1)
