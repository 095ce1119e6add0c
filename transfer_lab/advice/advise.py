"""What to do with labelled photographs, what to expect and what it costs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.album import Album, RefusedError, read_album
from transfer_lab.advice.answer import answered, first_answer
from transfer_lab.advice.audit import audit
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.compared import Compared, Seen
from transfer_lab.advice.features import Features, extract
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.networks import Network, find_network
from transfer_lab.advice.own_groups import FOLDER, own_groups
from transfer_lab.advice.resampling import OutOfFold, fold_masks, out_of_fold

if TYPE_CHECKING:
    from transfer_lab.advice.challengers.photographs import Photographs
    from transfer_lab.advice.race import Outcome
    from transfer_lab.advice.resampling import FoldMask

BUDGET = 300.0
"""Seconds."""
_WRITING_S = 3.0
"""For what comes after the last comparison: numbers, page and tables."""
_LOOKING = 0.6
"""Of the time, how much looking at the photographs may take."""


@dataclass(frozen=True)
class Session:
    """An advice and all that it rests on.

    `album`: the photographs that were looked at. `oof`: what was answered on those that were held
    out, by the way that is recommended, or else by the default; None where that is not known.
    `cache`: where features were kept.
    """

    album: Album
    network: Network
    features: np.ndarray
    groups: np.ndarray
    oof: OutOfFold | None
    advice: Advice
    cache: Path | None

    @cached_property
    def photographs(self) -> Photographs:
        """What a model is trained on."""
        from transfer_lab.advice.challengers.photographs import Photographs

        known = (self.album, self.network, self.features)
        return Photographs(*known, cache=self.cache, seed=self.advice.seed)


def advise(
    source: Path | str,
    *,
    backbone: str | None = None,
    budget: float = BUDGET,
    group_by: str | None = None,
    seed: int = 0,
    cache: Path | None = None,
    listen: Listener = SILENT,
) -> Session:
    """Look at labelled photographs, compare ways to learn from them, and say what to expect.

    `source`: a folder of class folders, or a table with the columns file and label. `backbone`: a
    network, by a name that `find_network` knows. `budget`: the most that it may take, in seconds; 0
    for the default alone, on all photographs, however long that takes. `group_by`: which
    photographs must be tested together, as `own_groups` takes it. `cache`: where features are
    kept; without it nothing is. Raises RefusedError for what cannot be advised on. Where it is
    interrupted, what was computed stays in the cache.
    """
    clock = Clock(budget or math.inf)
    clock.reserve(_WRITING_S, "writing")
    network = find_network(backbone)
    seen = _look(Path(source), network, group_by, clock, cache, listen)
    compared = _compare(seen, seed, clock if budget else None, cache, listen)
    return Session(
        album=seen.album,
        network=network,
        features=seen.features.values,
        groups=seen.findings.groups,
        oof=compared.best,
        advice=answered(seen, compared, seed),
        cache=cache,
    )


def _look(
    source: Path,
    network: Network,
    group_by: str | None,
    clock: Clock,
    cache: Path | None,
    listen: Listener,
) -> Seen:
    """Read, extract and audit."""
    started = clock.elapsed
    listen.step("reading", None)
    album = read_album(source, nested=group_by == FOLDER)
    listen.done("reading", clock.elapsed - started)
    listed = len(album.photos)
    album, features = _features(album, network, clock, cache, listen)
    started = clock.elapsed
    listen.step("checking", None)
    own = own_groups(album, features.looks, group_by) if group_by else None
    findings = audit(album, features.values, features.looks, own)
    listen.done("checking", clock.elapsed - started)
    return Seen(album, listed, network, features, findings)


def _features(
    album: Album, network: Network, clock: Clock, cache: Path | None, listen: Listener
) -> tuple[Album, Features]:
    """The photographs that can be read, as many as there is the time for, and their features."""
    turn = _in_turn(album.labels)
    photos = [album.photos[place] for place in turn]
    found = extract(
        [photo.path for photo in photos],
        [photo.sha256 for photo in photos],
        network,
        network.image_size,
        cache=cache,
        listen=listen,
        seconds=_LOOKING * clock.left,
    )
    album = album.without(found.broken)
    places = {photo: place for place, photo in enumerate(album.photos)}
    where = np.array([places[photos[place]] for place in found.kept], dtype=np.int64)
    order = np.argsort(where)
    kept = found._replace(
        values=found.values[order],
        kept=where[order],
        looks=tuple(found.looks[place] for place in order),
    )
    try:
        return album.only(where[order]), kept
    except RefusedError as error:
        pace = found.seconds / max(1, len(found.kept))
        raise RefusedError(
            f"{album.root}: only {len(order)} of {len(album.photos)} photographs were looked at "
            f"in the time; all take about {math.ceil(pace * len(album.photos) / 60)} minutes: give "
            "it more with --budget"
        ) from error


def _in_turn(labels: np.ndarray) -> np.ndarray:
    """An order in which, wherever it ends, each class has come in proportion to its size."""
    counts = np.bincount(labels)
    ranks = np.empty(len(labels))
    for number, count in enumerate(counts):
        ranks[labels == number] = (np.arange(count) + 0.5) / max(1, count)
    return np.argsort(ranks, kind="stable")


def _compare(
    seen: Seen, seed: int, clock: Clock | None, cache: Path | None, listen: Listener
) -> Compared:
    """The default on its folds, and challengers on the same, unless there is no time for any."""
    labels, groups = seen.album.labels, seen.findings.groups
    started = time.monotonic()
    listen.step("comparing", None)
    masks = fold_masks(labels, groups, seed=seed)
    default = out_of_fold(
        *(seen.features.values, labels, groups, len(seen.album.classes)),
        masks=masks,
        listen=listen.progress,
    )
    took = time.monotonic() - started
    listen.done("comparing", took)
    whole = Compared(default, took / len(masks) * default.folds / (default.folds - 1))
    if clock is None:
        return whole
    listen.say(first_answer(seen, default))
    return whole._replace(race=_race(seen, default, masks, seed, clock, cache, listen))


def _race(
    seen: Seen,
    default: OutOfFold,
    masks: list[FoldMask],
    seed: int,
    clock: Clock,
    cache: Path | None,
    listen: Listener,
) -> Outcome:
    from transfer_lab.advice.challengers.field import challengers
    from transfer_lab.advice.challengers.photographs import Photographs
    from transfer_lab.advice.race import race

    known = (seen.album, seen.network, seen.features.values)
    field = challengers(Photographs(*known, cache=cache, seed=seed))
    labels, groups = seen.album.labels, seen.findings.groups
    return race(default, field, masks, labels, groups, clock, listen)
