"""Estimates of p_T(x) / p_S(x) at the source's examples, from features of both domains.

Each takes source (n, features), target (m, features) and the largest weight there may be, and gives
weights (n) that are in proportion to the ratio.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from transfer_lab.regimes.logistic import fit_logistic

_FOLDS = 3
_DISCRIMINATOR_L2 = 0.1
_STEPS = 500
_CENTRES = 100
_MOST_PAIRED = 8000
_SAMPLED = 1000
_WIDTHS = (0.5, 1.0, 2.0)
"""Of KLIEP's kernels, in units of the median distance: its likelihood chooses."""


def by_discriminator(source: np.ndarray, target: np.ndarray, most: float) -> np.ndarray:
    """Odds of the target by a logistic regression that tells the domains apart, each counting for
    half. Each example is judged by one that has not learnt from it: a classifier of many features
    knows its own examples by heart, and the target's are never among the source's."""
    both = np.concatenate([source, target])
    domain = np.repeat([0, 1], [len(source), len(target)])
    share = np.repeat([1 / len(source), 1 / len(target)], [len(source), len(target)])
    fold = np.random.default_rng(0).permutation(len(both)) % _FOLDS
    logits = np.empty(len(both))
    for out in range(_FOLDS):
        learns = fold != out
        weight, bias = fit_logistic(
            both[learns], domain[learns], share[learns], 2, _DISCRIMINATOR_L2
        )
        logits[~learns] = both[~learns] @ (weight[1] - weight[0]) + bias[1] - bias[0]
    chance = expit(logits[: len(source)])
    return chance / (1 - chance).clip(1e-6)


def kmm(source: np.ndarray, target: np.ndarray, most: float) -> np.ndarray:
    """Kernel mean matching: the smallest |mean_i b_i phi(s_i) - mean_j phi(t_j)|^2 with
    0 <= b <= most and mean b = 1 (Huang et al. 2006, whose epsilon is 0 here), phi being that of a
    Gaussian kernel as wide as the median distance; by accelerated projected gradient.

    Raises ValueError where there are too many source images for a kernel of all pairs.
    """
    if len(source) > _MOST_PAIRED:
        raise ValueError(
            f"method kmm takes at most {_MOST_PAIRED} source images, and there are {len(source)}: "
            "take discriminator or kliep"
        )
    width = median_distance(source, target)
    kernel = gaussian(source, source, width)
    wanted = gaussian(source, target, width).mean(1) * len(source)
    step = 1 / np.abs(kernel).sum(1).max()  # not below the largest eigenvalue
    found = ahead = np.ones(len(source))
    momentum = 1.0
    for _ in range(_STEPS):
        last, found = found, projected(ahead - step * (kernel @ ahead - wanted), most)
        before, momentum = momentum, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = found + (before - 1) / momentum * (found - last)
        if np.abs(found - last).max() < 1e-7:
            break
    return found


def projected(weights: np.ndarray, most: float) -> np.ndarray:
    """The nearest weights between 0 and `most` whose mean is 1."""
    low, high = weights.min() - most, weights.max()
    for _ in range(60):
        shift = (low + high) / 2
        too_many = (weights - shift).clip(0, most).mean() > 1
        low, high = (shift, high) if too_many else (low, shift)
    return (weights - high).clip(0, most)


def kliep(source: np.ndarray, target: np.ndarray, most: float) -> np.ndarray:
    """Kullback-Leibler importance estimation: w(x) = sum_l a_l k(x, c_l) with a >= 0, whose mean
    over the source is 1 and whose mean log over the target is largest (Sugiyama et al. 2008);
    centres are up to 100 target examples, and the kernel's width is the one of the greatest
    likelihood of target examples that were left out."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(target))
    centres = target[order[:_CENTRES]]
    fold = rng.permutation(len(target)) % _FOLDS
    unit = median_distance(source, target)
    kernels = {
        width: (gaussian(source, centres, width * unit), gaussian(target, centres, width * unit))
        for width in _WIDTHS
    }

    def likelihood(width: float) -> float:
        of_source, of_target = kernels[width]
        score = 0.0
        for out in range(_FOLDS):
            found = mixture(of_source, of_target[fold != out])
            score += np.log((of_target[fold == out] @ found).clip(1e-300)).sum()
        return score

    width = max(_WIDTHS, key=likelihood) if len(target) >= _FOLDS else 1.0
    of_source, of_target = kernels[width]
    return of_source @ mixture(of_source, of_target)


def mixture(of_source: np.ndarray, of_target: np.ndarray) -> np.ndarray:
    """KLIEP's a, of kernels (n, centres) and (m, centres). a_l times the mean kernel over the
    source is a share of a mixture, and expectation-maximisation finds the best shares: they stay
    positive and add up to 1, which is the mean weight."""
    means = of_source.mean(0).clip(1e-300)
    densities = of_target / means
    shares = np.full(len(means), 1 / len(means))
    for _ in range(_STEPS):
        last = shares
        shares = shares * (densities / (densities @ shares)[:, None].clip(1e-300)).mean(0)
        if np.abs(shares - last).max() < 1e-7:
            break
    return shares / means


def gaussian(one: np.ndarray, other: np.ndarray, width: float) -> np.ndarray:
    """exp(-|x - y|^2 / (2 width^2)) of all pairs (n, m)."""
    return np.exp(-_squared(one, other) / (2 * width**2))


def median_distance(source: np.ndarray, target: np.ndarray) -> float:
    """Of all pairs of both domains, or of a thousand examples of them; 1 where all are alike."""
    both = np.concatenate([source, target])
    both = both[:: -(-len(both) // _SAMPLED)]
    squared = _squared(both, both)[np.triu_indices(len(both), 1)]
    return float(np.sqrt(np.median(squared))) or 1.0


def _squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    norms = (one**2).sum(1)[:, None] + (other**2).sum(1)
    return (norms - 2 * one @ other.T).clip(0)
