"""The model that was advised, or another one that is named, from all photographs."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from transfer_lab.advice.advice import Advice, Recommendation
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.challengers.base import Challenger
from transfer_lab.advice.challengers.field import challenger_of
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.features.networks import Network, find_network
from transfer_lab.advice.fitted import FittedModel
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.promise.resampling import fold_masks
from transfer_lab.advice.promise.temperature import temperature

if TYPE_CHECKING:
    from transfer_lab.advice.advise import Session


def final_fit(
    session: Session, recommendation: Recommendation, listen: Listener = SILENT
) -> FittedModel:
    """The model from all photographs: of what is recommended, or of any regime that learns a linear
    head from labelled photographs alone.

    Where another one is trained than was advised, what the advice promises is left out. Raises
    RefusedError where there is no such network, regime or option.
    """
    photographs = session.photographs
    network = _network(session.network, recommendation.backbone)
    challenger = challenger_of(photographs, network, recommendation)
    expected, started = challenger.cost().training, time.monotonic()
    listen.step("training", expected)
    heard = _Heard(challenger.image_steps(len(photographs)), listen)
    challenger.make_ready(heard, math.inf)
    trained = challenger.fit_all(heard)
    listen.done("training", time.monotonic() - started)
    calibrated = _temperature(session, recommendation, challenger, listen)
    return FittedModel(
        classes=photographs.classes,
        network=network,
        backbone=trained.backbone,
        head=trained.head,
        image_size=recommendation.image_size,
        features=trained.features.astype(np.float32),
        labels=photographs.labels,
        temperature=calibrated,
        advice=_of_what_was_trained(session.advice, recommendation, challenger),
        groups=session.groups,
    )


class _Heard:
    """Tells how far a fit is."""

    def __init__(self, total: int, listen: Listener):
        self._done, self._total, self._listen = 0, total, listen

    def __call__(self, images: int) -> None:
        self._done += images
        if images and self._total:
            self._listen.progress(min(self._done, self._total), self._total)


def _network(known: Network, name: str) -> Network:
    return known if name == known.name else find_network(name)


def _temperature(
    session: Session, recommendation: Recommendation, challenger: Challenger, listen: Listener
) -> float:
    """From answers on photographs that were held out: those of the advice if that is what was
    trained, else of all folds if they cost no steps, and of one if they do."""
    photographs: Photographs = session.photographs
    if recommendation == session.advice.recommendation and session.oof is not None:
        return temperature(session.oof.logits, photographs.labels)
    try:
        masks = fold_masks(photographs.labels, session.groups, repeats=1, seed=photographs.seed)
    except RefusedError:  # nothing can be held out: all are copies of one
        return 1.0
    if challenger.image_steps(1):
        masks = masks[:1]
    started = time.monotonic()
    listen.step("calibrating", challenger.cost().fold * len(masks))
    heard = _Heard(len(masks) * challenger.image_steps(len(masks[0][0])), listen)
    logits = np.concatenate([challenger.fit_predict(*mask, heard) for mask in masks])
    tested = np.concatenate([test for _, test in masks])
    listen.done("calibrating", time.monotonic() - started)
    return temperature(logits, photographs.labels[tested])


def _of_what_was_trained(
    advice: Advice, recommendation: Recommendation, challenger: Challenger
) -> Advice:
    """The advice with all options of what was trained; without what holds for another model."""
    trained = recommendation.model_copy(update={"options": challenger.options})
    if recommendation == advice.recommendation:
        return advice.model_copy(update={"recommendation": trained})
    unsaid = {"promise": None, "more_images": (), "per_class": (), "confusion": (), "cost": None}
    return advice.model_copy(update={"recommendation": trained, **unsaid})
