"""Photographs whose class may be wrong, and photographs unlike all others. No torch."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from transfer_lab.advice.audit.near_copies import unit_length

_OWN_AT_MOST, _OTHER_AT_LEAST = 0.1, 0.5
"""Probabilities of the owner's class and of another one, from which on a label is looked at.

With a twentieth of the labels of 200 and 800 cartoons, sketches and flowers made wrong, 54 to 72 of
100 that this names were, and it named 60 to 85 of 100 of those.
"""
_NEIGHBOURS = 5
_FAR = 5.0
"""Robust standard deviations beyond which a photograph is unlike the others."""


def label_suspects(
    logits: np.ndarray, labels: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of photographs that heads which had not seen them would name otherwise in every
    repeat, and surely so, most suspicious first; and the class that they would give.

    `logits` (repeats, n, classes), of out-of-fold heads.
    """
    shares = softmax(logits / temperature, axis=2)
    answers = logits.argmax(axis=2)
    agreed = (answers == answers[0]).all(axis=0) & (answers[0] != labels)
    mean = shares.mean(axis=0)
    rows = np.arange(len(labels))
    own, other = mean[rows, labels], mean[rows, answers[0]]
    found = np.flatnonzero(agreed & (own <= _OWN_AT_MOST) & (other >= _OTHER_AT_LEAST))
    order = found[np.argsort(own[found] / other[found], kind="stable")]
    return order, answers[0][order]


def unlike_the_rest(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Indices of photographs whose nearest ones, near-copies aside, are unusually far by the cosine
    of their features (n, d), farthest first."""
    far = _distance(unit_length(features), groups)
    middle = np.median(far)
    spread = 1.4826 * np.median(np.abs(far - middle))
    if spread == 0:
        return np.arange(0)
    found = np.flatnonzero(far > middle + _FAR * spread)
    return found[np.argsort(-far[found], kind="stable")]


def _distance(unit: np.ndarray, groups: np.ndarray, block: int = 1024) -> np.ndarray:
    """(n) mean cosine distance to the nearest photographs of other groups."""
    many = min(_NEIGHBOURS, len(np.unique(groups)) - 1)
    if many < 1:
        return np.zeros(len(unit))
    found = np.empty(len(unit))
    for start in range(0, len(unit), block):
        rows = slice(start, start + block)
        cosine = unit[rows] @ unit.T
        cosine[groups[rows, None] == groups[None, :]] = -1
        found[rows] = 1 - np.partition(cosine, -many, axis=1)[:, -many:].mean(axis=1)
    return found
