"""Classes that can be told by something that is not in the picture: its size, or its frame. No
torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer_lab.advice.features.looks import Look

_HIT, _FALSE = 0.9, 0.05
"""Of a class's photographs and of all others: how many share what would give the class away."""
_LEAST = 8


def told_by_size(looks: Sequence[Look], labels: np.ndarray) -> list[int]:
    """Classes whose photographs have a width and height, or a shape, that hardly any other has."""
    width = np.array([look.width for look in looks], dtype=float)
    height = np.array([look.height for look in looks], dtype=float)
    measures = (width * height, np.log(width / height), width, height)
    return [c for c in _large(labels) if any(_between(m, labels == c) for m in measures)]


def told_by_frame(looks: Sequence[Look], labels: np.ndarray) -> list[int]:
    """Classes whose photographs have an even strip along a side that hardly any other has."""
    frames = np.array([look.frame for look in looks]).reshape(-1, 4)
    told = []
    for number in _large(labels):
        ours = labels == number
        framed = [(frames[:, side] == colour) for side, colour in _usual(frames[ours])]
        if any(mark[ours].mean() >= _HIT and mark[~ours].mean() <= _FALSE for mark in framed):
            told.append(number)
    return told


def _large(labels: np.ndarray) -> list[int]:
    """Classes of which enough photographs are there, and not of only one kind."""
    counts = np.bincount(labels)
    return [c for c, n in enumerate(counts) if n >= _LEAST and len(labels) - n >= _LEAST]


def _between(values: np.ndarray, ours: np.ndarray) -> bool:
    """Whether nine tenths of the class lie in a range that hardly any other lies in."""
    low, high = np.quantile(values[ours], [(1 - _HIT) / 2, (1 + _HIT) / 2], method="nearest")
    inside = (values >= low) & (values <= high)
    return bool(inside[~ours].mean() <= _FALSE)


def _usual(frames: np.ndarray) -> list[tuple[int, int]]:
    """For each side, the even colour that most of these have."""
    found = []
    for side in range(frames.shape[1]):
        colours, counts = np.unique(frames[:, side], return_counts=True)
        best = int(colours[counts.argmax()])
        if best >= 0:
            found.append((side, best))
    return found
