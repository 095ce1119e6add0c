"""Which images a run may learn from: nested, class-stratified, validation counted in n."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from transfer_lab.experiment.seeds import derive


class Split(NamedTuple):
    """Indices into a domain's training pool, each sorted."""

    train: np.ndarray
    val: np.ndarray


class SubsetError(ValueError):
    """A subset was asked for that the pool does not hold."""


def check_per_class(counts: np.ndarray, per_class: int | Literal["all"]) -> None:
    """Raise SubsetError if a class has fewer images than a subset needs."""
    if per_class != "all" and per_class > counts.min():
        raise SubsetError(
            f"{per_class} images per class asked for, but the smallest class has {counts.min()}"
        )


def nested_subset(
    labels: np.ndarray, per_class: int | Literal["all"], val_fraction: float, seed: int
) -> Split:
    """The seed's stratified subset of the pool, divided into train and validation.

    Each class is put into one random order that depends on the seed and the class alone; a subset
    is the beginning of that order, so the subset of a smaller n lies within that of a larger one.
    Validation images are taken from it at even distances and count towards n.
    """
    check_per_class(np.bincount(labels), per_class)
    train, val = [], []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = np.random.default_rng(derive(seed, "subset", int(label))).permutation(members)
        chosen = order if per_class == "all" else order[:per_class]
        held_out = _held_out(len(chosen), val_fraction)
        val.append(chosen[held_out])
        train.append(chosen[~held_out])
    return Split(np.sort(np.concatenate(train)), np.sort(np.concatenate(val)))


def split_sizes(
    counts: np.ndarray, per_class: int | Literal["all"], val_fraction: float
) -> tuple[int, int]:
    """How many training and how many validation images such a subset of a pool with so many images
    per class has."""
    drawn = [count if per_class == "all" else min(count, per_class) for count in counts.tolist()]
    val = sum(_number_held_out(count, val_fraction) for count in drawn)
    return sum(drawn) - val, val


def overlap(split: Split, labels: np.ndarray) -> float:
    """The share of a subset's images that another seed's subset of this pool holds as well, on
    average: of each class n / pool, since each is drawn without regard to the other."""
    pool = np.bincount(labels)
    drawn = np.bincount(labels[np.concatenate(split)], minlength=len(pool))
    return float((drawn[drawn > 0] ** 2 / pool[drawn > 0]).sum() / drawn.sum())


def held_out_test(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Which images of a dataset without a test set become one: the same ones for every seed.

    A fraction of every class, but never all of it and never nothing; raises SubsetError where a
    class has fewer than two images.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        raise SubsetError("a class has fewer than two images: too few to train and test on")
    chosen = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(counts):
        order = np.random.default_rng(derive(0, "test", label)).permutation(count)
        taken = min(count - 1, max(1, round(fraction * count)))
        chosen[np.flatnonzero(labels == label)[order[:taken]]] = True
    return chosen


def _held_out(n: int, fraction: float) -> np.ndarray:
    """Every (1/fraction)-th position; the last one if that gives none and two are left."""
    steps = np.array([math.floor((i + 1) * fraction + 1e-9) for i in range(-1, n)])
    mask = np.diff(steps) > 0
    if fraction > 0 and n > 1 and not mask.any():
        mask[-1] = True
    return mask


def _number_held_out(n: int, fraction: float) -> int:
    """How many positions that is."""
    return max(math.floor(n * fraction + 1e-9), int(fraction > 0 and n > 1))
