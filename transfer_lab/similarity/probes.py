"""What simple classifiers reach on frozen features of labelled images, image by image."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from transfer_lab.similarity.samples import DegenerateError, Estimate, labelled

NEIGHBOURS, FOLDS, COMPONENTS = 5, 5, 128


def neighbours_right(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the majority of each image's 5 nearest others, by cosine, is of its class.

    Leave-one-out; a tie goes to the class that is nearer in sum. Raises DegenerateError.
    """
    features, codes = labelled(features, labels)
    close = cosine_similarity(features - features.mean(0))
    np.fill_diagonal(close, -np.inf)
    count = min(NEIGHBOURS, len(codes) - 1)
    near = np.argpartition(-close, count - 1, axis=1)[:, :count]
    votes = np.zeros((len(codes), codes.max() + 1))
    rows = np.arange(len(codes))[:, None]
    # A vote counts one; similarity, at most 1 apiece, only decides between equal counts.
    weights = 1 + 1e-3 * np.take_along_axis(close, near, axis=1)
    np.add.at(votes, (rows, codes[near]), weights)
    return votes.argmax(1) == codes


def linear_right(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether a cross-validated logistic regression on up to 128 principal components gives each
    image its class.

    Raises DegenerateError where a class has fewer than two images.
    """
    features, codes = labelled(features, labels)
    folds = min(FOLDS, int(np.bincount(codes).min()))
    if folds < 2:
        raise DegenerateError("a class has a single image: it cannot be learnt and tested")
    fitted = len(codes) - -(-len(codes) // folds) - 1
    model = make_pipeline(
        StandardScaler(),
        PCA(max(1, min(COMPONENTS, features.shape[1], fitted)), svd_solver="randomized",
            random_state=0),
        LogisticRegression(C=0.01, max_iter=300),
    )  # fmt: skip
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cross_val_predict(model, features, codes, cv=split) == codes


def gain(right: np.ndarray, baseline: np.ndarray) -> Estimate:
    """How much more often one set of features is right than another on the same images."""
    difference = right.astype(float) - baseline
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
    return Estimate(float(difference.mean()), float(error))
