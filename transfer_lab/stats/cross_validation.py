"""k-fold cross-validation: the error of a mean over folds, none of which stands alone.

Any two folds have most of their training images in common, so that the sample variance s² over
folds, taken for that of independent values, is too small. The corrected squared standard error of
a mean over J folds (Nadeau & Bengio 2003, Machine Learning 52) is

    (1 / J  +  n_test / n_train) s²

with J - 1 degrees of freedom; n_test / n_train is 1 / (k - 1) for k folds, whatever part of the
rest is learnt from: it stands for what the folds of a partition, and partitions of the same images,
share. The folds' spread holds the error of their test images already, so that none is added.
"""

from __future__ import annotations

import numpy as np

from transfer_lab.stats.two_way import Crossed


def inflation(units: int, folds: int) -> float:
    """By how much the squared standard error is larger than that of so many independent values:
    J (1 / J + 1 / (k - 1)).

    >>> inflation(10, 5)
    3.5
    """
    return 1 + units / (folds - 1)


def cross_validated(scores: np.ndarray, folds: int, images: int) -> Crossed:
    """From accuracies by (arm, unit), a unit being a fold of one of the partitions into `folds`, of
    so many images: means and their corrected covariance.

    >>> found = cross_validated(np.array([[0.7, 0.9, 0.8, 0.8, 0.8]]), 5, 100)
    >>> round(found.contrast([1]).over_seeds, 6)  # (1/5 + 1/4) 0.005
    0.00225
    """
    found = Crossed.of_scores(scores, None)
    arms, units = scores.shape
    covariance = found.over_seeds
    if covariance is not None:
        covariance = covariance * inflation(units, folds)
    return Crossed(found.means, covariance, np.zeros((arms, arms)), units, max(2, images))
