"""Images made less and less like the source, in an order that is known: what measures must see."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

STRENGTHS = (0, 1, 2, 3, 4, 5)
BLOCKS = (1, 2, 4, 8)
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def with_noise(images: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """Normal noise on every pixel, of a standard deviation of 8 % of the range per strength."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    return _bytes(images + 0.08 * 255 * strength * noise)


def blurred(images: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    """A Gaussian blur whose width is 3 % of the side per strength."""
    width = 0.03 * strength * images.shape[-1]
    if not width:
        return images
    return _bytes(gaussian_filter(images.astype(np.float32), (0, 0, width, width), mode="nearest"))


def block_shuffled(images: np.ndarray, blocks: int, seed: int) -> np.ndarray:
    """The middle cut into blocks x blocks squares, which change places, in every image otherwise.

    The middle is the largest square that every number of BLOCKS divides; what is around it stays,
    at every rung.
    """
    side = images.shape[-1] // BLOCKS[-1] * BLOCKS[-1]
    start = (images.shape[-1] - side) // 2
    middle = (..., slice(start, start + side), slice(start, start + side))
    changed = images.copy()
    changed[middle] = _shuffled(images[middle], blocks, seed)
    return changed


def _shuffled(images: np.ndarray, blocks: int, seed: int) -> np.ndarray:
    n, channels, side, _ = images.shape
    size = side // blocks
    squares = images.reshape(n, channels, blocks, size, blocks, size).transpose(0, 2, 4, 1, 3, 5)
    squares = squares.reshape(n, blocks**2, channels, size, size)
    order = np.argsort(np.random.default_rng(seed).random((n, blocks**2)), axis=1)
    moved = squares[np.arange(n)[:, None], order]
    moved = moved.reshape(n, blocks, blocks, channels, size, size).transpose(0, 3, 1, 4, 2, 5)
    return moved.reshape(images.shape)


def mixed(first: np.ndarray, second: np.ndarray, share: float, seed: int) -> np.ndarray:
    """As many images as `first` has, this share of them from `second`, in random order."""
    count = round(share * len(first))
    if count > len(second):
        raise ValueError(f"{count} images asked for, but there are {len(second)}")
    rng = np.random.default_rng(seed)
    taken = rng.permutation(len(second))[:count]
    kept = rng.permutation(len(first))[: len(first) - count]
    return rng.permutation(np.concatenate([first[kept], second[taken]]))


def mislabelled(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """This share of the labels, drawn at random, replaced by other classes."""
    rng = np.random.default_rng(seed)
    classes, codes = np.unique(labels, return_inverse=True)
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    changed = codes.copy()
    changed[wrong] += rng.integers(1, len(classes), len(wrong))
    return classes[changed % len(classes)]


def noise_images(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Independent uniform pixels: a far domain that holds nothing of any other."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
