"""The axis: 0 is the distance between two halves of the source, 1 that to a named far domain."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from transfer_lab.similarity.mmd import contrasts, u_statistic
from transfer_lab.similarity.samples import DegenerateError, Estimate, Position, checked

_NORMAL = 1.959964
_SHOWN = 3.0
"""A far domain nearer than this many standard errors calibrates nothing."""


class Placement(NamedTuple):
    """MMD² from the source to the target, to its own other half and to the far domain."""

    target: Estimate
    half: Estimate
    far: Estimate
    position: Position


def place(source: np.ndarray, half: np.ndarray, target: np.ndarray, far: np.ndarray) -> Placement:
    """Where the target lies, all four samples cut to the size of the smallest.

    The position is the root of a ratio of MMD² (which is a squared distance) less that of the
    halves; below zero it keeps its sign. Its interval is normal for the ratio, by linearisation,
    so that what the four samples have in common counts once. Features are standardised by source,
    target and far domain together, which treats them alike and lets no feature explode that is
    all but constant in one of them.

    Raises DegenerateError, also where the far domain cannot be told from the source.
    """
    names = ("source", "the source's other half", "target", "far domain")
    samples = [checked(s, n) for s, n in zip((source, half, target, far), names, strict=True)]
    n = min(map(len, samples))
    if n < 3:
        raise DegenerateError("at least 3 images of each domain are needed")
    source, half, target, far = standardised([s[:n] for s in samples], by=(0, 2, 3))
    to_half, to_far = contrasts(source, half), contrasts(source, far)
    to_target = contrasts(source, target)
    zero, one, there = map(u_statistic, (to_half, to_far, to_target))
    span = u_statistic(to_far - to_half)
    if span.value <= _SHOWN * span.error:
        raise DegenerateError("the far domain cannot be told from the source: no axis")
    ratio = (there.value - zero.value) / span.value
    spread = u_statistic((to_target - to_half - ratio * (to_far - to_half)) / span.value).error
    ends = (ratio, ratio - _NORMAL * spread, ratio + _NORMAL * spread)
    return Placement(there, zero, one, Position(*map(_root, ends)))


def standardised(samples: list[np.ndarray], by: tuple[int, ...]) -> list[np.ndarray]:
    """The samples with mean 0 and variance 1 over those that are named; columns that are constant
    in all are left out. Raises DegenerateError if no other is left."""
    widths = {sample.shape[1] for sample in samples}
    if len(widths) > 1:
        raise DegenerateError(f"samples have {sorted(widths)} features each")
    pool = np.concatenate([samples[number] for number in by])
    spread = pool.std(0)
    moving = spread > 1e-9 * max(1.0, float(np.abs(pool).max()))
    if not moving.any():
        raise DegenerateError("all features are constant: the images cannot be told apart")
    centre = pool[:, moving].mean(0)
    return [_of_equal_length((sample[:, moving] - centre) / spread[moving]) for sample in samples]


def _root(ratio: float) -> float:
    return math.copysign(math.sqrt(abs(ratio)), ratio)


def _of_equal_length(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features * (math.sqrt(features.shape[1]) / np.maximum(lengths, 1e-12))
