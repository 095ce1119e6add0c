"""How many of new photographs like these will be named right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer_lab.advice.advice import ClassOutcome, Promise
from transfer_lab.advice.measured import evidence
from transfer_lab.advice.promise.resampling import OutOfFold, once_a_group
from transfer_lab.advice.promise.steepness import law
from transfer_lab.stats.intervals import wilson

LEVEL = 0.9


def learnt_from_all(share: float, learnt: float, exponent: float) -> float:
    """The share right of a head fitted on all images, from that of heads that had `learnt` so large
    a part of what is asked: error falls as images^-exponent."""
    return 1 - (1 - share) * learnt**exponent


def promise(
    oof: OutOfFold,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    switched: bool = False,
    regime: str = "linear_probe",
) -> Promise:
    """Mean per-class recall on new photographs with its 90 % interval, and accuracy beside it.

    Near-copies count as one. `switched`: whether these folds are those of a challenger that won.
    """
    weights = once_a_group(labels, groups)
    recalls = _recalls(oof, labels, weights)
    right = (oof.answers == labels).mean(axis=0)
    steep = law(oof, labels, groups, regime)
    value = learnt_from_all(float(recalls.mean()), oof.learnt, steep.mean)
    accuracy = learnt_from_all(float(weights @ right / weights.sum()), oof.learnt, steep.mean)
    n = effective_images(labels, groups, switched=switched)
    low, high = wilson(value, n, LEVEL)
    return Promise(
        metric="mean_recall",
        value=value,
        low=low,
        high=high,
        level=LEVEL,
        accuracy=accuracy,
        protocol=_protocol(oof, len(labels), round(weights.sum())),
        n_effective=n,
        majority=float(np.bincount(labels).max() / len(labels)),
        exponent=steep.mean,
        exponent_spread=steep.spread,
    )


def per_class(
    oof: OutOfFold,
    labels: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str],
    *,
    switched: bool = False,
    regime: str = "linear_probe",
) -> tuple[ClassOutcome, ...]:
    """Every class in its order: recalls whose mean is the promise, each with its own interval."""
    weights = once_a_group(labels, groups)
    factor = 1 - learnt_from_all(0.0, oof.learnt, law(oof, labels, groups, regime).mean)
    many = len(names)
    images, held = (np.bincount(labels, of, minlength=many) for of in (None, weights))
    named = _named(oof.answers, labels, weights, many)
    found = []
    for number, name in enumerate(names):
        shares = named[number] / (held[number] or 1)
        recall = 1 - (1 - shares[number]) * factor
        shares[number] = 0
        low, high = wilson(recall, held[number] / _dependence(switched), LEVEL)
        taken = int(shares.argmax())
        found.append(
            ClassOutcome(
                name=name,
                images=int(images[number]),
                recall=float(recall),
                low=low,
                high=high,
                taken_for=names[taken] if shares[taken] > 0 else None,
                taken_for_share=float(shares[taken] * factor),
            )
        )
    return tuple(found)


def _named(
    answers: np.ndarray, labels: np.ndarray, weights: np.ndarray, classes: int
) -> np.ndarray:
    """(classes, classes): how much of each class, in rows, was named each; the mean over repeats.

    `answers` (repeats, images).
    """
    table = np.zeros((classes, classes))
    for once in answers:
        np.add.at(table, (labels, once), weights)
    return table / len(answers)


def confusion(oof: OutOfFold, labels: np.ndarray) -> np.ndarray:
    """(classes, classes): the owner's class in rows, the answer in columns; every image once, as
    answered in the first repeat."""
    classes = oof.logits.shape[2]
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, oof.answers[0]), 1)
    return table


def effective_images(labels: np.ndarray, groups: np.ndarray, *, switched: bool) -> float:
    """Independent images that a mean of class recalls is worth: fewer than there are groups where
    classes are unequal, for the smallest tells least and counts as much."""
    held = np.bincount(labels, once_a_group(labels, groups))
    held = held[held > 0]
    return float(len(held) ** 2 / (1 / held).sum() / _dependence(switched))


def _dependence(switched: bool) -> float:
    found = evidence()
    return found.dependence_after_switch if switched else found.dependence


def _recalls(oof: OutOfFold, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of every class that has images, the mean over repeats."""
    right = (oof.answers == labels).mean(axis=0)
    held = np.bincount(labels, weights)
    return (np.bincount(labels, weights * right) / np.where(held > 0, held, 1))[held > 0]


def _protocol(oof: OutOfFold, images: int, groups: int) -> str:
    repeats = len(oof.logits)
    return (
        f"{repeats} x {oof.folds}-fold cross-validation of {images} images in {groups} groups, "
        "stratified by class; corrected for the images that each fold leaves out"
    )
