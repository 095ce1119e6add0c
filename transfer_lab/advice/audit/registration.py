"""How well two small pictures show the same, moved, turned, nearer and lit otherwise. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, sobel

_LEVELS = ((4, 4), (2, 6))
"""Coarse to fine: by how much pictures are reduced, and steps of each."""
_SHIFTS, _ZOOMS = (-0.26, -0.13, 0.0, 0.13, 0.26), (0.86, 1.0, 1.16)
"""Where the search begins, in halves of a side and times."""
_FARTHEST, _NEARER, _TURN = 0.5, 1.3, 0.2
"""How far it may lead: halves of a side, times (or one over that), radians."""
_SMOOTH, _COARSE = 0.8, 3.0
"""Pixels: what is finer is noise, what is coarser is light."""
_NOISE = 1.5
"""Grey levels: a picture of less structure shows nothing, and agrees with none."""
_NEAR, _FAR = 5, 24
"""Pixels: nearer, every picture is like itself; a pattern that recurs twice as far away as a search
may lead, or nearer, can be laid onto any other part of it."""
_BATCH, _PART = 256, 4096
"""Pairs at a time; and those whose pictures are prepared at a time, at most 60 kB each."""


class _Level(NamedTuple):
    """Pictures (n, side * side) of one size, and their `slopes` (n, 4, side * side): how they
    change as they are moved right and down, come nearer and turn."""

    side: int
    pixels: np.ndarray
    slopes: np.ndarray


def registered(pictures: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(pairs) normalised correlation of fine structure, -1 to 1, of pictures `rows` and `columns`
    (pairs) as they match best; 0 where there is none.

    `pictures` (n, side, side) uint8. Where the second lies in the first is a motion: two complex
    numbers, of which it is turned and enlarged by one and moved by the other.
    """
    found = np.empty(len(rows), np.float32)
    for begin in range(0, len(rows), _PART):
        part = slice(begin, begin + _PART)
        ends, places = np.unique([rows[part], columns[part]], return_inverse=True)
        found[part] = _registered(pictures[ends], *places.reshape(2, -1))
    return found


def recurring(pictures: np.ndarray) -> np.ndarray:
    """(n) how well each picture matches itself when it is moved, 0 to 1: stripes do, so that they
    match any others; few scenes do.

    `pictures` (n, side, side) uint8.
    """
    side = pictures.shape[1]
    full = (2 * side, 2 * side)
    along = np.abs(np.fft.fftfreq(2 * side, 1 / (2 * side)))
    far = np.maximum(along[:, None], along[None, :])
    places = (np.hypot(along[:, None], along[None, :]) > _NEAR) & (far <= _FAR)
    whole = rfft2(np.ones((side, side), np.float32), full).conj()
    found = np.empty(len(pictures), np.float32)
    for begin in range(0, len(pictures), _BATCH):
        fine = _fine(pictures[begin : begin + _BATCH].astype(np.float32))
        product = irfft2(np.abs(rfft2(fine, full)) ** 2, full)[:, places]
        energy = rfft2(fine**2 + _NOISE**2, full) * whole
        both = irfft2(energy, full)[:, places] * irfft2(energy.conj(), full)[:, places]
        found[begin : begin + _BATCH] = (product / np.sqrt(both)).max(axis=1)
    return np.clip(found, 0, 1)


def _registered(pictures: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    grey = pictures.astype(np.float32)
    levels = [_level(grey, factor) for factor, _ in _LEVELS]
    starts, fine = _Starts(levels[0]), _fine(grey)
    found = np.empty(len(rows), np.float32)
    for begin in range(0, len(rows), _BATCH):
        batch = slice(begin, begin + _BATCH)
        one, other = rows[batch], columns[batch]
        motion = starts.best(one, other)
        for level, (_, steps) in zip(levels, _LEVELS, strict=True):
            for _ in range(steps):
                motion = _step(level, one, other, motion)
        found[batch] = _correlation(fine, one, other, motion)
    return found


def _fine(grey: np.ndarray) -> np.ndarray:
    """Structure of a few pixels: neither noise nor light."""
    smooth, coarse = (gaussian_filter(grey, (0, width, width)) for width in (_SMOOTH, _COARSE))
    return smooth - coarse


def _level(grey: np.ndarray, factor: int) -> _Level:
    count, side, _ = grey.shape
    small = side // factor
    reduced = grey.reshape(count, small, factor, small, factor).mean(axis=(2, 4))
    smooth = gaussian_filter(reduced, (0, _SMOOTH, _SMOOTH))
    # Sobel's weights are 8 times a slope between pixels, of which a half of a side has small / 2.
    down, right = (sobel(smooth, axis) * (small / 16) for axis in (1, 2))
    at = _grid(small).reshape(small, small)
    nearer, turned = right * at.real + down * at.imag, down * at.real - right * at.imag
    slopes = np.stack([right, down, nearer, turned], axis=1)
    return _Level(small, smooth.reshape(count, -1), slopes.reshape(count, 4, -1))


def _grid(side: int) -> np.ndarray:
    """Pixels as complex numbers, i pointing down; the picture's edges lie at 1."""
    along = (2 * np.arange(side) + 1) / side - 1
    return (along[None, :] + 1j * along[:, None]).ravel().astype(np.complex64)


def _moved(
    pixels: np.ndarray, side: int, chosen: np.ndarray, motion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The chosen pictures (p, side * side) as motions (p, 2) show them, between their pixels, and 1
    where there is something of them."""
    at = motion[:, :1] * _grid(side) + motion[:, 1:]
    x, y = ((part + 1) * (side / 2) - 0.5 for part in (at.real, at.imag))
    inside = (x >= 0) & (x <= side - 1) & (y >= 0) & (y <= side - 1)
    left, top = (np.clip(np.floor(part), 0, side - 2) for part in (x, y))
    right, down = x - left, y - top
    first = (top * side + left).astype(np.int64) + chosen[:, None] * side**2
    flat = pixels.ravel()
    upper = flat[first] * (1 - right) + flat[first + 1] * right
    lower = flat[first + side] * (1 - right) + flat[first + side + 1] * right
    return upper * (1 - down) + lower * down, inside.astype(np.float32)


def _centred(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Less their mean (p, m), and 0 where there is no weight."""
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    return (values - (values * weight).sum(axis=1, keepdims=True) / count) * weight


def _step(level: _Level, one: np.ndarray, other: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """A better motion, by a step of Gauss and Newton (inverse compositional: Baker and Matthews,
    2004), brightness and contrast aside."""
    values, weight = _moved(level.pixels, level.side, other, motion)
    own, values = _centred(level.pixels[one], weight), _centred(values, weight)
    contrast = np.sqrt(((own**2).sum(1) + 1e-3) / ((values**2).sum(1) + 1e-3))
    slopes = level.slopes[one] * weight[:, None, :]
    wrong = slopes @ (values * contrast[:, None] - own)[:, :, None]
    curvature = slopes @ slopes.transpose(0, 2, 1)
    least = np.trace(curvature, axis1=1, axis2=2) * 1e-3 + 1e-3
    curvature += least[:, None, None] * np.eye(4, dtype=np.float32)
    right, down, nearer, turned = np.linalg.solve(curvature, wrong)[:, :, 0].T
    zoom = motion[:, 0] / (1 + nearer + 1j * turned)
    return _within_reach(zoom, motion[:, 1] - zoom * (right + 1j * down))


def _within_reach(zoom: np.ndarray, shift: np.ndarray) -> np.ndarray:
    size = np.clip(np.abs(zoom), 1 / _NEARER, _NEARER)
    turn = np.clip(np.angle(zoom), -_TURN, _TURN)
    shift = shift * np.minimum(1, _FARTHEST / np.maximum(np.abs(shift), 1e-6))
    return np.stack([size * np.exp(1j * turn), shift], axis=1).astype(np.complex64)


class _Starts:
    """Every motion that a search may begin with, tried on the smallest pictures."""

    def __init__(self, level: _Level):
        self._motions = np.array(
            [(zoom, x + 1j * y) for zoom in _ZOOMS for x in _SHIFTS for y in _SHIFTS], np.complex64
        )
        self._pixels, count = level.pixels, len(level.pixels)
        everyone, shown, weights = np.arange(count), [], []
        for motion in self._motions:
            same = np.broadcast_to(motion, (count, 2))
            values, weight = _moved(level.pixels, level.side, everyone, same)
            values = _centred(values, weight)
            shown.append(values / np.sqrt((values**2).sum(axis=1, keepdims=True) + 1))
            weights.append(weight[0])
        self._shown, self._weights = np.stack(shown, axis=1), np.stack(weights)

    def best(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """(p, 2): the motion by which each pair agrees most."""
        own, areas = self._pixels[one], self._weights.sum(axis=1)
        energy = own**2 @ self._weights.T - (own @ self._weights.T) ** 2 / areas
        agreement = (self._shown[other] @ own[:, :, None])[:, :, 0]
        return self._motions[(agreement / np.sqrt(np.maximum(energy, 1))).argmax(axis=1)]


def _correlation(
    fine: np.ndarray, one: np.ndarray, other: np.ndarray, motion: np.ndarray
) -> np.ndarray:
    side = fine.shape[1]
    flat = fine.reshape(len(fine), -1)
    values, weight = _moved(flat, side, other, motion)
    own, values = _centred(flat[one], weight), _centred(values, weight)
    noise = _NOISE**2 * weight.sum(axis=1)
    norm = np.sqrt(((own**2).sum(1) + noise) * ((values**2).sum(1) + noise))
    return (own * values).sum(1) / np.maximum(norm, 1e-6)
