"""Seeds that share one test set: the error of the seeds and that of the test images, apart.

The correctness y of seed s on image i is taken as mean + seed effect + image effect + rest, all
random (a crossed two-way layout). The squared standard error of the grand mean over k seeds and
m images is then

    MS(seeds) / (k m)  +  (MS(images) - MS(rest)) / (k m)

The first part is the seeds' sample variance over k, which already holds the rest's share; the
second is the part of the test set's error that is common to all seeds and that no number of seeds
removes. Images and rest are taken within classes: statements are about new images in the same mix
of classes. Adding p(1-p)/m instead would count the rest twice, so it bounds the second part from
above; it is used where only accuracies are known, and no correctness by image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transfer_lab.stats.estimates import Estimate

_EXACT = 2**22
"""So many zeros and ones are summed in single precision at a time, without loss."""
_ROOM = 2**24
"""And so many are held in it at a time, of all arms together."""


@dataclass(frozen=True)
class Crossed:
    """Arms measured with the same seeds on the same images: means and both error covariances.

    `over_seeds` is None with one seed. `over_images` of one seed is the whole test-set error of
    the networks that were trained; of more seeds it is a difference of two mean squares, so that a
    contrast's may be below zero, and is then taken as none.
    """

    means: np.ndarray
    over_seeds: np.ndarray | None
    over_images: np.ndarray | None
    seeds: int
    images: int

    @classmethod
    def of(cls, right: np.ndarray, labels: np.ndarray) -> Crossed:
        """From correctness, or other values whose mean is the score, by (arm, seed, image), and the
        images' classes."""
        _, k, m = right.shape
        by_seed = right.mean(axis=2, dtype=np.float64)
        seeds = _covariance(by_seed) / k if k > 1 else None
        images = _shared_by_seeds(right, labels)
        return cls(by_seed.mean(axis=1), seeds, images, k, m)

    @classmethod
    def of_scores(cls, scores: np.ndarray, images: int | None) -> Crossed:
        """From accuracies by (arm, seed) alone, as if each arm had been tested on images of its
        own: an upper bound where what is hard for one arm is hard for the others."""
        k = scores.shape[1]
        means = scores.mean(axis=1)
        known = images is not None and images > 1
        over_images = np.diag(np.maximum(means * (1 - means), 0) / images) if known else None
        over_seeds = _covariance(scores) / k if k > 1 else None
        return cls(means, over_seeds, over_images, k, images or 0)

    @classmethod
    def of_seeds(cls, scores: np.ndarray, images: int | None) -> Crossed:
        """From scores by (arm, seed) of which nothing is known by image: as if the test set had no
        error."""
        k = scores.shape[1]
        seeds = _covariance(scores) / k if k > 1 else None
        return cls(scores.mean(axis=1), seeds, np.zeros((len(scores),) * 2), k, images or 2)

    def contrast(self, weights: Sequence[float], arms: Sequence[int] | None = None) -> Estimate:
        """The weighted sum of the means of all arms, or of some, with its own errors."""
        w = np.asarray(weights, dtype=float)
        at = np.arange(len(self.means)) if arms is None else np.asarray(arms)
        seeds, images = (
            None if matrix is None else max(0.0, float(w @ matrix[np.ix_(at, at)] @ w))
            for matrix in (self.over_seeds, self.over_images)
        )
        return Estimate(float(w @ self.means[at]), seeds, images, self.seeds, self.images)

    def draws(self, count: int, chance: np.random.Generator) -> np.ndarray:
        """Joint draws (count, arms) of the true means, given what was measured.

        The posterior under the usual flat prior: Student's t over seeds, with the seeds' sample
        covariance and k - 1 degrees of freedom, plus a normal error of the images. Every
        difference of arms then has the spread of its own paired test. Raises ValueError unless
        both errors are known.
        """
        if self.over_seeds is None or self.over_images is None:
            raise ValueError("draws need two seeds, and a test set of two images")
        spread = np.sqrt((self.seeds - 1) / chance.chisquare(self.seeds - 1, size=(count, 1)))
        seeds = chance.standard_normal((count, len(self.means))) @ _root(self.over_seeds)
        images = chance.standard_normal((count, len(self.means))) @ _root(self.over_images)
        return self.means + spread * seeds + images


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Exact two-sided p of McNemar's test on two networks' correctness by image."""
    from scipy.special import bdtr

    first, second = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if first == second:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(first, second), first + second, 0.5)))


def _covariance(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred @ centred.T / (rows.shape[1] - 1)


def _shared_by_seeds(right: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """(MS(images) - MS(rest)) / (k m), both within classes; of one seed MS(images) / m.

    None where no class has two images.
    """
    arms, k, m = right.shape
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    free = m - len(counts)
    if free == 0:
        return None
    right = np.take(right, order, axis=2)  # an index would leave images in the outermost axis
    by_image = right.sum(axis=1, dtype=np.float64)
    images = _within(by_image, starts, counts) / k
    if k == 1:
        return images / free / m
    total = np.zeros((arms, arms))
    step = max(1, min(_EXACT // m, _ROOM // (arms * m)))
    for first in range(0, k, step):
        total += _within(right[:, first : first + step], starts, counts)
    rest = (total - images) / ((k - 1) * free)
    return (images / free - rest) / (k * m)


def _within(values: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Products by arm of deviations from class means, summed over all else; the last axis is
    images, sorted by class."""
    arms = len(values)
    values = values.astype(np.float32 if values.dtype == bool else np.float64)
    sums = np.add.reduceat(values, starts, axis=-1).astype(np.float64)
    means = (sums / np.sqrt(counts)).reshape(arms, -1)
    rows = values.reshape(arms, -1)
    return (rows @ rows.T).astype(np.float64) - means @ means.T


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))).T
