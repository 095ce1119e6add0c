"""What is true of answers of which the labels are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

_BINS = 10


def mean_recall(answers: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that there are of the share answered right."""
    held = np.bincount(labels)
    right = np.bincount(labels, answers == labels)
    return float((right[held > 0] / held[held > 0]).mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Expected calibration error of the named class's probability, in ten bins of as many images.

    `logits` (n, classes).
    """
    shares = softmax(logits / temperature, axis=1)
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    bins = np.array_split(np.argsort(sure, kind="stable"), _BINS)
    gaps = [len(b) * abs(sure[b].mean() - right[b].mean()) for b in bins if len(b)]
    return float(sum(gaps) / len(labels))


def allotted(labels: np.ndarray, n: int, least: int) -> np.ndarray:
    """Images of each class among n, in the proportions of all, but no fewer than `least`."""
    held = np.bincount(labels)
    counts = np.maximum(np.floor(held / held.sum() * n).astype(int), np.minimum(least, held))
    while counts.sum() < n and (counts < held).any():
        room = np.where(counts < held, held / (counts + 0.5), 0)
        counts[room.argmax()] += 1
    return counts


def nested_draws(
    labels: np.ndarray, sizes: Sequence[int], least: int, seed: int
) -> list[np.ndarray]:
    """Indices of so many images, smallest first, each draw holding those before it."""
    draw = np.random.default_rng(seed)
    orders = [draw.permutation(np.flatnonzero(labels == c)) for c in range(labels.max() + 1)]
    found, last = [], np.zeros(len(orders), dtype=int)
    for n in sizes:
        last = np.maximum(last, allotted(labels, n, least))
        found.append(np.concatenate([o[:k] for o, k in zip(orders, last, strict=True)]))
    return found
