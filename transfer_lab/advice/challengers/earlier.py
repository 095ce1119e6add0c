"""Whether a stage earlier tells as much: the sign by which fine-tuning is known to gain."""

from __future__ import annotations

import math

import numpy as np
from threadpoolctl import threadpool_limits

from transfer_lab.advice.challengers.base import OutOfTimeError
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.promise.paired import Lead, paired_lead
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.advice.promise.resampling import fold_masks
from transfer_lab.data.partition import partition

_MOST = 400
"""Photographs: they tell it to within two or three points."""


def earlier_lead(
    photographs: Photographs,
    groups: np.ndarray,
    *,
    listen: Listener = SILENT,
    seconds: float = math.inf,
) -> Lead | None:
    """How far the default head is ahead on what the last stage but one gives, of that on what the
    last one does; None where the network has but one stage, or there is not the time.

    Far behind, for photographs like those that the network was trained on: its last stage has
    learnt to see what they show. As good, where that is of no use for them, and may as well be
    adjusted (compare Yosinski et al. 2014: last layers are specific to what they were trained on).
    """
    if len(photographs.backbone(photographs.network).stages) < 2:
        return None
    rows = _some(photographs.labels, groups, photographs.seed)
    size = photographs.network.image_size
    try:
        earlier = photographs.features_a_stage_earlier(rows, listen=listen, seconds=seconds)
    except OutOfTimeError:
        return None
    last = photographs.features(photographs.network, size)[rows]
    labels, groups, classes = photographs.labels[rows], groups[rows], len(photographs.classes)
    right = np.zeros((2, len(rows)), bool)
    with threadpool_limits(1, user_api="blas"):  # as the default's folds
        for train, test in fold_masks(labels, groups, repeats=1, seed=photographs.seed):
            for number, features in enumerate((earlier, last)):
                head = fit_probe(features[train], labels[train], classes)
                right[number, test] = head.logits(features[test]).argmax(1) == labels[test]
    return paired_lead(right[0], right[1], labels, groups)


def _some(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """All photographs, or of very many a part: whole groups, and classes in proportion."""
    parts = math.ceil(len(labels) / _MOST)
    if parts == 1:
        return np.arange(len(labels))
    return np.flatnonzero(partition(labels, groups, parts, seed) == 0)
