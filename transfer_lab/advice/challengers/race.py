"""Challengers against the default, paired on the same folds, within the time that is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transfer_lab.advice.advice import Alternative
from transfer_lab.advice.challengers.base import Challenger, Cost, OutOfTimeError
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.measured import Gain, evidence
from transfer_lab.advice.promise.paired import Lead, paired_lead
from transfer_lab.advice.promise.resampling import (
    FoldMask,
    OutOfFold,
    first_repeat,
    share_learnt,
)

WORTH = 1.0
"""Points that another way must be expected to name right more: less is not worth its minutes."""
HOPE = 0.5
"""Points that going on must have a hope of: less is not worth four more folds."""
FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)
"""Of a challenger alone: a loss that is not finite, no room, a network that it is not for."""


class Outcome(NamedTuple):
    """What the race has shown.

    `winner` is None where the default stays. `answers`: the winner's, on all folds; `unused`: for
    the photographs `counted`, what the race would have chosen without their own fold: a promise
    after a switch is made of these alone, since the winner's own were chosen for being good.
    """

    alternatives: tuple[Alternative, ...]
    winner: Challenger | None = None
    lead: Lead | None = None
    answers: OutOfFold | None = None
    unused: OutOfFold | None = None
    counted: np.ndarray | None = None


def race(
    default: OutOfFold,
    challengers: Sequence[Challenger],
    masks: Sequence[FoldMask],
    labels: np.ndarray,
    groups: np.ndarray,
    clock: Clock,
    listen: Listener = SILENT,
    *,
    earlier: Lead | None = None,
) -> Outcome:
    """Leave the default for the challenger of which most is to be expected, if that is a point.

    Expected is what is left of its lead by what other data sets have shown: a few photographs
    cannot show a lead of two standard errors that is there, and whoever waits for one loses it.
    `earlier`: how far an earlier stage is ahead of the last, by which such ways are known to gain.

    `masks`: the default's folds, of which all challengers have those of the first repeat, the
    cheapest challenger first; after one fold the more hopeful half goes on. Who would not have
    ended before the time is up, its fit on all photographs included, is not begun; once the time is
    up nobody else is named.
    """
    told = None if earlier is None else earlier.points
    field = _Field(default.logits[0], first_repeat(masks, len(labels)), labels, groups, told)
    entrants = _measured(challengers, field, clock, listen)
    for entrant in sorted(entrants, key=lambda each: each.seconds(len(field.folds))):
        entrant.begin()
    dropped = _halve(entrants)
    for entrant in sorted(_alive(entrants), key=_Entrant.hope, reverse=True):
        entrant.finish()
    finished = [entrant for entrant in _alive(entrants) if entrant.is_complete]
    winner = _best(finished, field.all_folds)
    alternatives = tuple(entrant.told(winner) for entrant in entrants)
    if winner is None:
        return Outcome(alternatives)
    drawn = len(field.folds), share_learnt(field.folds, labels, groups)
    return Outcome(
        alternatives,
        winner.challenger,
        winner.lead(),
        answers=OutOfFold(winner.logits[None], *drawn),
        unused=OutOfFold(_chosen_without_each(finished, field)[None], *drawn),
        counted=field.places(field.all_folds[1:] if dropped else field.all_folds),
    )


class _Field(NamedTuple):
    """What all are compared on: the default's logits (n, classes), the folds, the photographs, and
    the points by which an earlier stage is ahead of the last, where that is known."""

    default: np.ndarray
    folds: list[FoldMask]
    labels: np.ndarray
    groups: np.ndarray
    earlier: float | None

    @property
    def all_folds(self) -> list[int]:
        return list(range(len(self.folds)))

    def places(self, folds: Sequence[int]) -> np.ndarray:
        """The photographs that these folds test on, in order."""
        return np.sort(np.concatenate([self.folds[fold][1] for fold in folds]))

    def lead(self, logits: np.ndarray, folds: Sequence[int]) -> Lead:
        """Over the default, on the photographs of these folds."""
        at = self.places(folds)
        right, default_right = (
            table[at].argmax(1) == self.labels[at] for table in (logits, self.default)
        )
        found = paired_lead(right, default_right, self.labels[at], self.groups[at])
        # Where next to no answers differ, one more photograph might: nothing is known for sure.
        return found._replace(se=math.hypot(found.se, 100 / len(at)))


class _Entrant:
    """A challenger in the race: what it has answered, and what it still needs."""

    def __init__(self, challenger: Challenger, field: _Field, clock: Clock, listen: Listener):
        self.challenger, self._field, self._clock, self._listen = challenger, field, clock, listen
        self.logits = np.full(field.default.shape, np.nan)
        self.state: str | None = None
        self._done: list[int] = []
        self._is_ready, self._pace, self._seen = False, 1.0, 0
        self._cost = Cost(0.0, 0.0, 0.0)
        try:
            self._cost = challenger.cost()
        except FAILURES as error:
            self._fail(error)

    @property
    def is_complete(self) -> bool:
        """Whether it has answered every photograph."""
        return len(self._done) == len(self._field.folds)

    def seconds(self, folds: int) -> float:
        """That so many more folds will take, as it looks now."""
        ready = 0.0 if self._is_ready else self._cost.ready
        return ready + folds * self._cost.fold * self._pace

    def lead(self, folds: Sequence[int] | None = None) -> Lead:
        """Over the default, on these folds; on those that it has answered unless given."""
        return self._field.lead(self.logits, self._done if folds is None else folds)

    def expected(self, folds: Sequence[int] | None = None) -> float:
        """Points of this lead that new photographs may be expected to show."""
        return self.lead(folds).expected(self._before())

    def hope(self) -> float:
        """Points to be won if it goes on."""
        return self.lead().hope(self._before())

    def _before(self) -> Gain:
        return evidence().gain(self.challenger.regime, self._field.earlier)

    def begin(self) -> None:
        """Take one fold, if there is the time for all of them."""
        if self.state is None:
            self._take([0], self.challenger.name, len(self._field.folds))

    def finish(self) -> None:
        """Take the others."""
        rest = [fold for fold in self._field.all_folds if fold not in self._done]
        self._take(rest, f"{self.challenger.name}, on the rest", len(rest))

    def drop(self, state: str) -> None:
        """Let it go no further."""
        self.state = state

    def told(self, winner: _Entrant | None) -> Alternative:
        """It as advice.json has it."""
        lead = self.lead() if self._done else None
        return Alternative(
            backbone=self.challenger.backbone,
            regime=self.challenger.regime,
            image_size=self.challenger.image_size,
            state=self.state or _verdict(lead, self is winner),
            lead=lead.points if lead else None,
            se=lead.se if lead and np.isfinite(lead.se) else None,
            fit_seconds=self._cost.ready + self._cost.fit * self._pace,
        )

    def _take(self, folds: list[int], name: str, needed: int) -> None:
        if not self._fits(needed):
            self.state = "no time"
            return
        expected, start = self.seconds(len(folds)), self._clock.elapsed
        self._listen.step(name, expected)
        try:
            self._make_ready()
            for fold in folds:
                self._learn(fold)
                left = needed - len(self._done)
                if not self._fits(left):
                    raise OutOfTimeError(self.challenger.name)
        except OutOfTimeError:
            self.state = "no time"
        except FAILURES as error:
            self._fail(error)
        self._listen.done(name, self._clock.elapsed - start)

    def _fits(self, folds: int) -> bool:
        """Whether so many more folds, and the fit on all photographs after them, have the time."""
        return self.seconds(folds) + self._cost.fit * self._pace <= self._clock.left

    def _make_ready(self) -> None:
        if not self._is_ready:
            self.challenger.make_ready(self._tick, self._clock.left)
            self._is_ready = True

    def _learn(self, fold: int) -> None:
        train, test = self._field.folds[fold]
        self._seen, start = 0, self._clock.elapsed
        self.logits[test] = self.challenger.fit_predict(train, test, self._tick)
        self._done.append(fold)
        if self._cost.fold > 0:  # what it took says more than what a few steps did
            self._pace = (self._clock.elapsed - start) / self._cost.fold

    def _tick(self, images: int) -> None:
        """Raises OutOfTimeError once there would be no time left for the fit on all photographs."""
        if self._clock.left < self._cost.fit * self._pace:
            raise OutOfTimeError(self.challenger.name)
        self._seen += images
        total = self.challenger.image_steps(len(self._field.folds[0][0]))
        if images and total:
            self._listen.progress(min(self._seen, total), total)

    def _fail(self, error: Exception) -> None:
        self.state = "failed"
        self._listen.say(f"{self.challenger.name} could not be tried: {error}")


def _measured(
    challengers: Sequence[Challenger], field: _Field, clock: Clock, listen: Listener
) -> list[_Entrant]:
    """Each with what it will cost, as long as there is the time to tell."""
    started = clock.elapsed
    listen.step("timing other ways to learn", None)
    entrants = []
    for challenger in challengers:
        if clock.left > 0:
            entrants.append(_Entrant(challenger, field, clock, listen))
    listen.done("timing other ways to learn", clock.elapsed - started)
    return entrants


def _alive(entrants: Sequence[_Entrant]) -> list[_Entrant]:
    return [entrant for entrant in entrants if entrant.state is None]


def _halve(entrants: Sequence[_Entrant]) -> bool:
    """Drop the half of which less is to be hoped after its first fold, who has next to no hope, and
    who is clearly behind the default; whether that was anybody.

    By hope and not by expectation: a fold tells little, and a way that may be far better is worth
    more folds than one that is surely about as good.
    """
    alive = sorted(_alive(entrants), key=_Entrant.hope, reverse=True)
    kept = -(-len(alive) // 2)
    for place, entrant in enumerate(alive):
        if entrant.lead().is_loss:
            entrant.drop("worse")
        elif place >= kept or entrant.hope() < HOPE:
            entrant.drop("dropped")
    return any(entrant.state for entrant in alive)


def _best(entrants: Sequence[_Entrant], folds: Sequence[int]) -> _Entrant | None:
    """Of whom most is to be expected after these folds, if it is worth leaving the default for; the
    first of equals."""
    worth = [entrant for entrant in entrants if entrant.expected(folds) >= WORTH]
    return max(worth, key=lambda each: each.expected(folds), default=None)


def _chosen_without_each(finished: Sequence[_Entrant], field: _Field) -> np.ndarray:
    """(n, classes): for every photograph what answers that would have won without its fold."""
    logits = field.default.copy()
    for fold in field.all_folds:
        best = _best(finished, [other for other in field.all_folds if other != fold])
        if best is not None:
            at = field.folds[fold][1]
            logits[at] = best.logits[at]
    return logits


def _verdict(lead: Lead | None, has_won: bool) -> str:
    if lead is None:
        return "no time"
    if has_won:
        return "clearly better" if lead.is_clear else "likely better"
    return "worse" if lead.is_loss else "not clearly better"
