"""Two times stratified 5-fold cross-validation, 10-fold of few images, in which near-copies stay
together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.fitted import Head
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.data.partition import partition
from transfer_lab.experiment.seeds import derive
from transfer_lab.system.decode import on_all_cores

FOLDS, REPEATS, HALVES = 5, 2, 2
FOLDS_OF_FEW, FEW, MOST_OF_FEW = 10, 20, 1000
"""Of classes of so many groups or fewer in the mean, and so many in all: of 8 images every one that
a head goes without counts, and a fold more costs next to nothing."""

FoldMask = tuple[np.ndarray, np.ndarray]
"""Indices of the training and of the test images."""


class OutOfFold(NamedTuple):
    """What heads that had not seen an image said of it, once in each repeat."""

    logits: np.ndarray
    """(repeats, images, classes)."""
    folds: int = FOLDS
    learnt: float = 1 - 1 / FOLDS
    """The share of an image's own class that the head had learnt from."""
    thinned: np.ndarray = np.zeros(())
    """(repeats, images, classes), or of no matter: the logarithm of how many times more images of
    each class there are than the head had learnt from."""
    halves: OutOfFold | None = None
    """The same of heads fitted on half of the images."""
    seconds: float = 0.0
    """That fitting the head of a fold took, in the mean."""

    @property
    def fit_seconds(self) -> float:
        """That fitting it on all images takes."""
        return self.seconds * self.folds / (self.folds - 1)

    @property
    def answers(self) -> np.ndarray:
        """(repeats, images): the class that is named, by a head that expects each as often as it
        is among all images.

        One that went without some of a class expects it less often, and of those it is asked: its
        logits are put right by the ratio of the shares (Saerens et al. 2002, eq. 2.4).
        """
        return (self.logits + self.thinned).argmax(axis=2)


def number_of_folds(labels: np.ndarray, groups: np.ndarray, folds: int = FOLDS) -> int:
    """As many as asked for, but no more than the class with the most groups has groups: each fold
    then tests on something.

    A class of fewer groups than folds does not lower it: its groups lie in different folds, and it
    is learnt from all but one of them wherever it is tested, which no smaller number of folds
    would better. A class of one group is never learnt where it is tested, and counts as wrong.
    Raises RefusedError where all images are one group.
    """
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    if len(np.unique(groups)) < 2:
        raise RefusedError(
            "all photographs are near-copies of one another, so that nothing tells how new ones "
            "would be named: add photographs taken at other moments"
        )
    return max(2, min(folds, int(np.bincount(pairs[0]).max())))


def promised_folds(labels: np.ndarray, groups: np.ndarray) -> int:
    """How many folds a promise is made of: more of few images."""
    held = np.unique(np.stack([labels, groups]), axis=1).shape[1]
    return FOLDS_OF_FEW if held <= min(FEW * len(np.unique(labels)), MOST_OF_FEW) else FOLDS


def fold_masks(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> list[FoldMask]:
    """The folds of every repeat, one repeat after the other; a group is never divided.

    `labels`, `groups`: a number an image. Folds without an image are left out.
    """
    k = number_of_folds(labels, groups, folds)
    found = []
    for repeat in range(repeats):
        chosen = partition(labels, groups, k, derive(seed, "repeat", repeat))
        sides = [(np.flatnonzero(chosen != f), np.flatnonzero(chosen == f)) for f in range(k)]
        found += [(train, test) for train, test in sides if len(train) and len(test)]
    return found


def once_a_group(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A weight an image: those of a class that are near-copies of each other make up 1."""
    _, place, sizes = np.unique(
        np.stack([labels, groups]), axis=1, return_inverse=True, return_counts=True
    )
    return 1 / sizes[place.ravel()]


def share_learnt(masks: Sequence[FoldMask], labels: np.ndarray, groups: np.ndarray) -> float:
    """The share of an image's own class, near-copies as one, that a head learns from which answers
    it; the mean over images, repeats and classes.

    Less than 1 - 1 / folds where classes do not divide evenly: of 8 images two in three folds and
    one in two, most images are answered without 2 of their class. A class of one group, of which
    nothing is learnt wherever it is tested, says nothing of the others.
    """
    weights = once_a_group(labels, groups)
    held = np.bincount(labels, weights)
    tested = np.stack([np.bincount(labels[at], weights[at], len(held)) for _, at in masks])
    repeats = sum(len(test) for _, test in masks) / len(labels)
    several = np.round(held) > 1
    if not several.any():
        return 1 - repeats / len(masks)
    missed = (tested[:, several] / held[several]) ** 2
    return float(1 - missed.sum(axis=0).mean() / repeats)


def first_repeat(masks: Sequence[FoldMask], images: int) -> list[FoldMask]:
    """The folds that together test every image once."""
    tested, folds = 0, []
    for train, test in masks:
        if tested < images:
            folds.append((train, test))
            tested += len(test)
    return folds


def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    num_classes: int,
    *,
    masks: Sequence[FoldMask] | None = None,
    seed: int = 0,
    fit: Callable[[np.ndarray, np.ndarray, int], Head] = fit_probe,
    listen: Callable[[int, int], object] = lambda done, total: None,
    seconds: float = math.inf,
) -> OutOfFold:
    """Logits of the default probe for every image, from heads fitted without its fold.

    `masks`: those that a promise is made of unless given. Everything that is learnt, scaling too,
    is learnt inside the fold. Heads of half of the images are fitted too, which tells what more
    images bring. `listen` is told how many of how many heads are fitted. Where all but the first
    repeat would take longer than `seconds`, that is all.
    """
    if masks is None:
        masks = fold_masks(labels, groups, folds=promised_folds(labels, groups), seed=seed)
    halves = fold_masks(labels, groups, folds=HALVES, seed=seed)
    once = first_repeat(masks, len(labels))
    later = [*masks[len(once) :], *halves]
    took: list[float] = []

    def held_out(mask: FoldMask) -> np.ndarray:
        train, test = mask
        start = time.monotonic()
        head = fit(features[train], labels[train], num_classes)
        took.append(time.monotonic() - start)
        return head.logits(features[test])

    def fitted(some: Sequence[FoldMask], before: int) -> Iterator[np.ndarray]:
        for number, block in enumerate(on_all_cores(held_out, some), start=before + 1):
            listen(number, len(once) + len(later))
            yield block

    start = time.monotonic()
    # A fold a core: threads within a product would wait for each other, and sums of an order of
    # their own would make the last digits go by the number of cores.
    with threadpool_limits(1, user_api="blas"):
        blocks = list(fitted(once, 0))
        each = float(np.mean(took))
        if (time.monotonic() - start) / len(once) * len(later) > seconds:
            return collected(blocks, once, labels, groups)._replace(seconds=each)
        blocks += fitted(later, len(once))
    whole = collected(blocks[: len(masks)], masks, labels, groups)
    half = collected(blocks[len(masks) :], halves, labels, groups)
    return whole._replace(halves=half, seconds=each)


def collected(
    blocks: Sequence[np.ndarray],
    masks: Sequence[FoldMask],
    labels: np.ndarray,
    groups: np.ndarray,
) -> OutOfFold:
    """The logits of each fold's test images put where the images are.

    `blocks`: (test images, classes) for each of `masks`, which are whole repeats.
    """
    images = len(masks[0][0]) + len(masks[0][1])
    repeats = sum(len(test) for _, test in masks) // images
    table = np.full((repeats, images, blocks[0].shape[1]), np.nan)
    thinned = np.zeros(table.shape)
    seen = np.zeros(images, dtype=np.int64)
    for block, (train, test) in zip(blocks, masks, strict=True):
        table[seen[test], test] = block
        thinned[seen[test], test] = _thinned(labels, train, table.shape[2])
        seen[test] += 1
    learnt = share_learnt(masks, labels, groups)
    return OutOfFold(table, len(masks) // repeats, learnt, thinned)


def _thinned(labels: np.ndarray, train: np.ndarray, classes: int) -> np.ndarray:
    """(classes) the logarithm of how many times more of each there are than are learnt from; 0 of
    one that nothing is learnt of, which no head names."""
    of_all, known = (np.bincount(some, minlength=classes) for some in (labels, labels[train]))
    return np.log(np.where(known > 0, of_all, 1) / np.maximum(known, 1))
