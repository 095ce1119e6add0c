"""What looks at the results have found so far: which arms are still in question, and which seeds
are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from transfer_lab.reporting.accuracies import Place
from transfer_lab.store.results import NOT_NEEDED, WAITING


class Question(NamedTuple):
    """Which arm of a scenario is best: of those on one backbone, or on all (None)."""

    scenario: str
    backbone: str | None

    @property
    def name(self) -> str:
        """'large_dissimilar/cnn', or the scenario alone."""
        return self.scenario if self.backbone is None else f"{self.scenario}/{self.backbone}"


class Answer(NamedTuple):
    """What a look says to a question: the arms that may be best, what leads first; what the best of
    all is ahead of that at most (None: not known); whether no more seeds are needed for it."""

    question: Question
    left: tuple[Place, ...]
    bound: float | None
    settled: bool

    def text(self, *, last: bool) -> str:
        """The same in plain words; `last`: there are no more looks."""
        return f"{self.question.name}: {self.found(last=last)}"

    def found(self, *, last: bool) -> str:
        """These words without the question."""
        if not self.left:
            return "nothing was measured"
        if self.settled and len(self.left) == 1:
            return f"settled, {self._leader} is ahead of all others"
        if self.settled:
            return f"settled, nothing is more than {self._points} better than {self._leader}"
        after = "and no more seeds" if last else "going on"
        if self.bound is None:
            return f"{self._arms} cannot be told apart yet, {after}"
        return f"{self._arms} within {self._points}, {after}"

    @property
    def _arms(self) -> str:
        return f"{len(self.left)} arms"

    @property
    def _leader(self) -> str:
        place = self.left[0]
        return place.regime if self.question.backbone else f"{place.regime} on {place.backbone}"

    @property
    def _points(self) -> str:
        """Rounded up: a bound stays one."""
        shown = f"{math.ceil(1000 * (self.bound or 0.0) - 1e-9) / 10:.1f}"
        return f"{shown} point{'' if shown == '1.0' else 's'}"


@dataclass(frozen=True)
class Course:
    """How far an experiment with looks has come.

    `given`: how many seeds each arm has, or is to have next. `open`: the arms that may get more.
    `looks`: the answers of each look that could be taken; `ruled_out`: by question, the arms that
    one of them has ruled out. `over`: there is none after them.
    """

    given: Mapping[Place, int]
    open: frozenset[Place]
    looks: tuple[tuple[Answer, ...], ...]
    ruled_out: Mapping[Question, frozenset[Place]]
    over: bool = False

    def beyond(self, place: Place, position: int) -> str | None:
        """What an arm's seed at this position is that is not asked for by now: waiting for a look,
        or not needed. None for one that is asked for."""
        if position < self.given.get(place, 0):
            return None
        return WAITING if place in self.open else NOT_NEEDED
