"""Measures of test answers as a mean over images, so that their errors are those of a mean."""

from __future__ import annotations

import numpy as np


def balanced(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By image, what its answer adds to the mean recall of the classes that occur or are predicted:
    exactly, as the measure is linear in correctness."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    classes = len(np.union1d(labels, predicted))
    return (labels == predicted) * (len(labels) / (classes * counts))[place]


def macro_f1(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By image, the mean F1 of the classes that occur or are predicted, plus the image's influence
    on it (the first term of its expansion in the shares of images by label and answer).

    Their mean is the measure, and their variance over images that of the measure for many images.
    """
    classes = int(max(labels.max(), predicted.max())) + 1
    right = labels == predicted
    hits = np.bincount(labels[right], minlength=classes)
    both = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    seen = both > 0
    score = np.zeros(classes)
    score[seen] = 2 * hits[seen] / both[seen]
    # A class's 2 TP / (positives + predictions) changes by (2 dTP - F1 d(both)) / both.
    each = np.divide(1.0, both, out=np.zeros(classes), where=seen)
    change = 2 * right * each[labels] - (score * each)[labels] - (score * each)[predicted]
    return score[seen].mean() + len(labels) * change / seen.sum()
