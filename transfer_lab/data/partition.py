"""Examples in folds: classes evenly, and what belongs together in one. No torch."""

from __future__ import annotations

import numpy as np

from transfer_lab.experiment.seeds import derive


def partition(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of every image, 0 to `folds` - 1: classes evenly, and a group never divided.

    `groups`: a number an image, equal for those that belong together. In random order, the largest
    groups first, each comes into the fold that has least of its classes; so the folds of images
    that are all groups of their own differ by one image of a class at most.
    """
    _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(derive(seed, "folds")).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    images = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    counts, filled = np.zeros((folds, labels.max() + 1)), np.zeros(folds)
    share = 1 / np.maximum(1, np.bincount(labels))
    chosen = np.empty(len(labels), dtype=np.int64)
    for group in order:
        members = images[group]
        classes = labels[members]
        load = counts[:, classes] @ share[classes]
        fold = np.lexsort((filled, load))[0]
        chosen[members] = fold
        np.add.at(counts[fold], classes, 1)
        filled[fold] += len(members)
    return chosen
