"""Questions that so few or such photographs cannot answer."""

from __future__ import annotations

import numpy as np

from transfer_lab.advice.advice import Abstention, Promise
from transfer_lab.advice.measured import evidence
from transfer_lab.advice.promise.promise import learnt_from_all
from transfer_lab.advice.promise.resampling import OutOfFold
from transfer_lab.stats.intervals import wilson

LEAST_IN_A_CLASS, LEAST_GROUPS = 5, 40
_SURE = 0.95
"""Of the interval that must lie above guessing: labels that say nothing pass for something in 1 of
40 folders, where the promise's own interval would let 1 of 20 pass."""


def abstentions(
    promise: Promise,
    oof: OutOfFold,
    labels: np.ndarray,
    groups: np.ndarray,
    regime: str = "linear_probe",
) -> tuple[Abstention, ...]:
    """Which of the questions are left open, and why, in plain words; `oof`: what the promise was
    made of.

    Nothing is recommended where the lower end of the promise's 95 % interval is no higher than what
    guessing gets; no number is given for too few photographs, and no forecast without a number.
    """
    found = []
    if reason := too_few(labels, groups):
        found += [Abstention(question=q, reason=reason) for q in ("promise", "more_images")]
    low, _ = wilson(promise.value, promise.n_effective, _SURE)
    if low <= guessing(promise, oof.learnt, labels, regime):
        reason = (
            "no better than guessing: the names of the folders could not be told from the "
            "photographs. Look whether they lie in the right folders, and whether the classes "
            "differ in something that can be seen"
        )
        asked = ("recommendation", "promise", "more_images")
        found = [Abstention(question=q, reason=reason) for q in asked]
    return tuple(found)


def too_few(labels: np.ndarray, groups: np.ndarray) -> str | None:
    """Why no number can be given, if so: fewer than 5 images in a class, or than 40 groups."""
    held = np.bincount(labels)
    smallest, distinct = int(held[held > 0].min()), len(np.unique(groups))
    if smallest < LEAST_IN_A_CLASS:
        return (
            f"the smallest class has {smallest} photographs; with fewer than {LEAST_IN_A_CLASS} "
            "nobody can say how often it will be named right: add some"
        )
    if distinct < LEAST_GROUPS:
        return (
            f"there are {distinct} photographs that are not near-copies of another; with fewer "
            f"than {LEAST_GROUPS} an interval would be wider than useful: add some"
        )
    return None


def guessing(
    promise: Promise, learnt: float, labels: np.ndarray, regime: str = "linear_probe"
) -> float:
    """The promise that guessing would be given.

    Of accuracy: that of naming the largest class every time; of mean recall, which is 1 / classes
    for any guess, that. The folds' correction, which raises it, raises the guess's likewise.
    """
    classes = len(np.unique(labels))
    guess = promise.majority if promise.metric == "accuracy" else 1 / classes
    own = promise.exponent
    exponent = evidence().exponent(regime).mean if own is None else own
    return learnt_from_all(guess, learnt, exponent)
