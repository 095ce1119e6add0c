"""From what was seen and compared to what is said: the content of advice.json."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transfer_lab.advice.advice import (
    Advice,
    Data,
    Flag,
    Promise,
    Recommendation,
)
from transfer_lab.advice.audit.audit import flag, in_order, suspects_flag
from transfer_lab.advice.compared import Compared, Seen
from transfer_lab.advice.costs import cost_of
from transfer_lab.advice.promise.abstain import abstentions
from transfer_lab.advice.promise.more_images import forecast
from transfer_lab.advice.promise.promise import confusion, per_class, promise
from transfer_lab.advice.promise.resampling import OutOfFold
from transfer_lab.advice.promise.temperature import temperature
from transfer_lab.advice.similarity import position
from transfer_lab.system import host

_PACKAGES = ("transfer-lab", "torch", "timm", "numpy", "pillow")


class _Basis(NamedTuple):
    """What promises are made of: answers, and the photographs that they are counted on."""

    oof: OutOfFold
    labels: np.ndarray
    groups: np.ndarray
    switched: bool
    recommendation: Recommendation

    @property
    def promise(self) -> Promise:
        """What these photographs let one expect."""
        known = (self.oof, self.labels, self.groups)
        return promise(*known, switched=self.switched, regime=self.recommendation.regime)


def answered(seen: Seen, compared: Compared, seed: int) -> Advice:
    """The advice on photographs that were seen, from what was compared on them."""
    basis = _basis(seen, compared)
    promised, regime = basis.promise, basis.recommendation.regime
    unsaid = abstentions(promised, basis.oof, basis.labels, basis.groups, regime)
    unasked = {one.question for one in unsaid}
    known = (basis.oof, basis.labels, basis.groups, seen.album.classes)
    return Advice(
        data=_data(seen),
        recommendation=None if "recommendation" in unasked else basis.recommendation,
        promise=None if "promise" in unasked else promised,
        alternatives=compared.race.alternatives if compared.race else (),
        more_images=() if "more_images" in unasked else forecast(promised, regime=regime),
        cost=None if "recommendation" in unasked else cost_of(seen, compared, basis.recommendation),
        similarity=position(
            seen.features.values, seen.network, seen.network.image_size, seen.findings.groups
        ),
        per_class=per_class(*known, switched=basis.switched, regime=regime),
        confusion=tuple(map(tuple, confusion(basis.oof, basis.labels).tolist())),
        flags=_flags(seen, compared),
        abstentions=unsaid,
        versions={name: host.version(name) for name in _PACKAGES},
        seed=seed,
    )


class First(NamedTuple):
    """What the default alone lets one expect, and a sentence that says so."""

    promise: Promise
    text: str


def first_answer(seen: Seen, default: Compared) -> First:
    """Before anything is compared with the default."""
    basis = _basis(seen, default)
    promised = basis.promise
    if unsaid := abstentions(promised, basis.oof, basis.labels, basis.groups):
        return First(promised, f"so far: {unsaid[0].reason}")
    low, value, high = (round(100 * s) for s in (promised.low, promised.value, promised.high))
    text = (
        f"so far: with only a new last layer, about {value} of 100 new photos right ({low} to "
        f"{high}); now to see whether another way is better"
    )
    return First(promised, text)


def _basis(seen: Seen, compared: Compared) -> _Basis:
    labels, groups = seen.album.labels, seen.findings.groups
    race = compared.race
    if race is None or race.winner is None or race.lead is None or race.unused is None:
        default = Recommendation(
            backbone=seen.network.name,
            regime="linear_probe",
            image_size=seen.network.image_size,
        )
        return _Basis(compared.default, labels, groups, False, default)
    chosen = race.winner.recommendation.model_copy(
        update={"left_default": True, "paired_lead": race.lead.points, "se": race.lead.se}
    )
    counted = race.unused._replace(logits=race.unused.logits[:, race.counted])
    return _Basis(counted, labels[race.counted], groups[race.counted], True, chosen)


def _data(seen: Seen) -> Data:
    album = seen.album
    unreadable = [one for one in seen.findings.flags if one.kind == "unreadable"]
    return Data(
        root=str(album.root),
        images=len(album.photos),
        groups=len(np.unique(seen.findings.groups)),
        classes=album.classes,
        per_class=album.per_class,
        unreadable=tuple(path for one in unreadable for (path,) in one.paths),
        content_hash=seen.whole.content_hash,
    )


def _flags(seen: Seen, compared: Compared) -> tuple[Flag, ...]:
    logits, labels = compared.best.logits, seen.album.labels
    found = [
        *seen.findings.flags,
        *compared.flags,
        *suspects_flag(seen.album, logits, temperature(logits, labels)),
    ]
    if seen.missed:
        count = f"{seen.missed} of {len(seen.whole.photos)} photos"
        text = f"{count} were not looked at for want of time: give it more with --budget"
        found.append(flag("not_reached", text))
    if seen.features.problem:
        text = f"nothing is kept for the next time: {seen.features.problem}"
        found.append(flag("cache", text))
    return in_order(found)
