"""What to do with labelled photographs, what to expect and what it costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.album.album import Album, RefusedError, read_album
from transfer_lab.advice.answer import answered, first_answer
from transfer_lab.advice.audit.audit import audit
from transfer_lab.advice.audit.own_groups import FOLDER, own_groups
from transfer_lab.advice.audit.own_test_part import own_test
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.compared import Compared, Seen
from transfer_lab.advice.features.features import Features, extract
from transfer_lab.advice.features.networks import Network, find_network
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.promise.resampling import (
    OutOfFold,
    fold_masks,
    number_of_folds,
    out_of_fold,
)

if TYPE_CHECKING:
    from transfer_lab.advice.challengers.photographs import Photographs
    from transfer_lab.advice.challengers.race import Outcome

_LEAST_S, _EACH_S, _MOST_S = 90.0, 0.6, 300.0
"""Of a budget that nobody has named: for few photographs what lets the last stage be fine-tuned on
two cores, then so much for each, and a limit to anybody's patience."""
_WRITING = "writing"
_WRITING_S = 3.0
"""Of a processor's work, for what comes after the last comparison: numbers, page and tables."""
_LOADING_S = 8.0
"""Likewise, for loading and trying what fine-tunes: with less time it is not begun."""
_LOOKING, _TESTING, _REPEATING, _SIGN = 0.6, 0.1, 0.5, 0.1
"""Of the time, how much looking at the photographs, and at those of a test part, may take; testing
the default more than once; and looking for the sign that fine-tuning gains."""


@dataclass(frozen=True)
class Session:
    """An advice and all that it rests on.

    `album`: the photographs that were looked at. `oof`: what was answered on those that were held
    out, by the way that is recommended, or else by the default; None where they were answered by
    another. `cache`: where features were kept. `whole`: looks at all photographs, where there was
    not the time for that.
    """

    album: Album
    network: Network
    features: np.ndarray
    groups: np.ndarray
    oof: OutOfFold | None
    advice: Advice
    cache: Path | None
    whole: Callable[[Listener], Session] | None = None

    @cached_property
    def photographs(self) -> Photographs:
        """What a model is trained on."""
        from transfer_lab.advice.challengers.photographs import Photographs

        known = (self.album, self.network, self.features)
        return Photographs(*known, cache=self.cache, seed=self.advice.seed)

    def complete(self, listen: Listener = SILENT) -> Session:
        """The same advice on all photographs, however long looking at the rest of them takes."""
        if self.whole is None:
            return self
        found = self.whole(listen)
        answered_by_default = found.advice.recommendation == self.advice.recommendation
        oof = found.oof if answered_by_default else None
        return dataclasses.replace(found, advice=self.advice, oof=oof)


class _Means(NamedTuple):
    """What there is to work with; `budget` 0 where nothing is to be compared, None where it goes by
    the number of photographs."""

    budget: float | None
    clock: Clock
    seed: int
    cache: Path | None
    listen: Listener


def advise(
    source: Path | str,
    *,
    backbone: str | None = None,
    budget: float | None = None,
    group_by: str | None = None,
    seed: int = 0,
    cache: Path | None = None,
    listen: Listener = SILENT,
) -> Session:
    """Look at labelled photographs, compare ways to learn from them, and say what to expect.

    `source`: a folder of class folders, or a table with the columns file and label. `backbone`: a
    network, by a name that `find_network` knows. `budget`: the most that it may take, in seconds;
    by the number of photographs unless given, and 0 for the default alone, on all of them, however
    long that takes. `group_by`: which photographs must be tested together, as `own_groups` takes
    it. `cache`: where features are kept; without it nothing is. Raises RefusedError for what cannot
    be advised on. Where it is interrupted, what was computed stays in the cache.
    """
    clock = Clock(math.inf if budget == 0 else budget or _MOST_S)
    clock.reserve(_WRITING_S, _WRITING)
    means = _Means(budget, clock, seed, cache, listen)
    seen = _look(Path(source), find_network(backbone), group_by, means)
    compared = _compare(seen, means)
    again = partial(
        advise, source, backbone=backbone, budget=0, group_by=group_by, seed=seed, cache=cache
    )
    return Session(
        album=seen.album,
        network=seen.network,
        features=seen.features.values,
        groups=seen.findings.groups,
        oof=compared.best,
        advice=answered(seen, compared, seed),
        cache=cache,
        whole=(lambda listen: again(listen=listen)) if seen.missed else None,
    )


def _look(source: Path, network: Network, group_by: str | None, means: _Means) -> Seen:
    """Read, extract and audit."""
    clock, listen = means.clock, means.listen
    started = clock.elapsed
    listen.step("reading", None)
    whole = read_album(source, nested=group_by == FOLDER)
    if means.budget is None:
        clock.budget = min(_MOST_S, max(_LEAST_S, _EACH_S * len(whole.photos)))
    listen.done("reading", clock.elapsed - started)
    album, features = _features(whole, network, means)
    started = clock.elapsed
    listen.step("checking", None)
    own = own_groups(album, features.looks, group_by) if group_by else None
    findings = audit(album, features, own)
    listen.done("checking", clock.elapsed - started)
    return Seen(whole, album, network, features, findings)


def _features(album: Album, network: Network, means: _Means) -> tuple[Album, Features]:
    """The photographs that can be read, as many as there is the time for, and their features."""
    photos = [album.photos[place] for place in _in_turn(album.labels)]
    found = extract(
        [photo.path for photo in photos],
        [photo.sha256 for photo in photos],
        network,
        network.image_size,
        cache=means.cache,
        listen=means.listen,
        seconds=_LOOKING * means.clock.left,
    )
    readable = album.without(found.broken)
    places = {photo: place for place, photo in enumerate(readable.photos)}
    where = np.array([places[photos[place]] for place in found.kept], dtype=np.int64)
    order = np.argsort(where)
    kept = found._replace(
        values=found.values[order],
        kept=where[order],
        looks=tuple(found.looks[place] for place in order),
        thumbnails=found.thumbnails[order],
    )
    try:
        return readable.only(kept.kept), kept
    except RefusedError as error:
        pace = found.seconds / max(1, len(found.kept))
        raise RefusedError(
            f"{album.root}: there was time for {len(order)} of {len(album.photos)} photographs "
            f"alone; all take about {math.ceil(pace * len(album.photos) / 60)} min: give it more "
            "with --budget"
        ) from error


def _in_turn(labels: np.ndarray) -> np.ndarray:
    """An order in which, wherever it ends, each class has come in proportion to its size."""
    ranks = np.empty(len(labels))
    for number, count in enumerate(np.bincount(labels)):
        ranks[labels == number] = (np.arange(count) + 0.5) / max(1, count)
    return np.argsort(ranks, kind="stable")


def _compare(seen: Seen, means: _Means) -> Compared:
    """The default on its folds, and challengers on the same, unless nothing is to be compared."""
    clock, listen = means.clock, means.listen
    started = clock.elapsed
    listen.step("comparing", None)
    labels, groups = seen.album.labels, seen.findings.groups
    known = (seen.features.values, labels, groups, len(seen.album.classes))
    default = out_of_fold(
        *known,
        seed=means.seed,
        listen=listen.progress,
        seconds=_REPEATING * clock.left,
    )
    listen.done("comparing", clock.elapsed - started)
    compared = Compared(default)
    if means.budget == 0:
        return compared
    first = first_answer(seen, compared)
    listen.say(first.text)
    flags = own_test(
        *(seen.album, seen.features, seen.network, first.promise),
        cache=means.cache,
        listen=listen,
        seconds=_TESTING * clock.left,
    )
    clock.reserve(_WRITING_S * clock.slowness, _WRITING)
    is_time = clock.left > _LOADING_S * clock.slowness
    race = _race(seen, default, means) if is_time else None
    return compared._replace(flags=flags, race=race)


def _race(seen: Seen, promised: OutOfFold, means: _Means) -> Outcome:
    """On five folds, however many the promise has: whoever fine-tunes pays for each."""
    # Late: these need libraries that take seconds to load, and the first answer does not.
    from transfer_lab.advice.challengers.earlier import earlier_lead
    from transfer_lab.advice.challengers.field import challengers
    from transfer_lab.advice.challengers.photographs import Photographs
    from transfer_lab.advice.challengers.race import race

    known = (seen.album, seen.network, seen.features.values)
    photographs = Photographs(*known, cache=means.cache, seed=means.seed)
    photographs.probe_seconds = promised.fit_seconds  # of a thousand classes it takes a minute
    labels, groups, clock = seen.album.labels, seen.findings.groups, means.clock
    earlier = earlier_lead(photographs, groups, listen=means.listen, seconds=_SIGN * clock.left)
    field = challengers(photographs)
    masks, default = fold_masks(labels, groups, seed=means.seed), promised
    if promised.folds != number_of_folds(labels, groups):
        classes = len(photographs.classes)
        default = out_of_fold(known[2], labels, groups, classes, masks=masks, seconds=0)
    return race(default, field, masks, labels, groups, clock, means.listen, earlier=earlier)
