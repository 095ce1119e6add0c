"""The test part that a person has put beside the photographs: is it like them, and is it apart from
them?"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from transfer_lab.advice.advice import Flag, Promise
from transfer_lab.advice.album.album import Album, Photo
from transfer_lab.advice.audit.audit import flag
from transfer_lab.advice.audit.near_copies import near_copies
from transfer_lab.advice.features.features import Features, extract
from transfer_lab.advice.features.networks import Network
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.stats.intervals import wilson

MOST = 500
"""Photographs of a test part that are looked at: enough to tell six points."""


def own_test(
    album: Album,
    features: Features,
    network: Network,
    promise: Promise,
    *,
    cache: Path | None = None,
    listen: Listener = SILENT,
    seconds: float = math.inf,
) -> tuple[Flag, ...]:
    """Flags for a test part whose photographs are also learnt from, or are named right less often,
    by the default, than photographs like those that are.

    Nothing is learnt from it, and nothing else goes by it.
    """
    chosen = _in_turn(album.test)[:MOST]
    if not chosen:
        return ()
    found = extract(
        [photo.path for photo in chosen],
        [photo.sha256 for photo in chosen],
        network,
        network.image_size,
        cache=cache,
        listen=listen,
        seconds=seconds,
    )
    if not len(found.kept):
        return ()
    held = [chosen[place] for place in found.kept]
    return _copies(album, features, held, found) + _unlike(
        album, features.values, held, found.values, promise
    )


def _in_turn(photos: tuple[Photo, ...]) -> list[Photo]:
    """By content, so that wherever it ends each class has come in proportion."""
    return sorted(photos, key=lambda photo: photo.sha256)


def _copies(
    album: Album, features: Features, held: list[Photo], found: Features
) -> tuple[Flag, ...]:
    groups = near_copies(
        np.concatenate([features.values, found.values]),
        np.concatenate([features.thumbnails, found.thumbnails]),
        np.concatenate([album.labels, _numbers(album, held)]),
    )
    learnt, tested = np.split(groups, [len(features.values)])
    same = np.flatnonzero(np.isin(tested, learnt))
    if not len(same):
        return ()
    text = (
        f"{len(same)} of {len(held)} photos of your test part are near-copies of photos that are "
        "learnt from: it would say too much"
    )
    return (flag("own_test", text, [[album.place(held[place].path)] for place in same]),)


def _unlike(
    album: Album,
    features: np.ndarray,
    held: list[Photo],
    values: np.ndarray,
    promise: Promise,
) -> tuple[Flag, ...]:
    head = fit_probe(features, album.labels, len(album.classes))
    labels = _numbers(album, held)
    right = head.logits(values).argmax(axis=1) == labels
    recalls = [right[labels == one].mean() for one in np.unique(labels)]
    share = float(np.mean(recalls))
    _, high = wilson(share, len(held), promise.level)
    if high >= promise.low:
        return ()
    text = (
        f"your test part is unlike the rest: {100 * share:.0f} of 100 right there, where "
        f"{100 * promise.low:.0f} to {100 * promise.high:.0f} were to be expected"
    )
    wrong = [[album.place(held[place].path)] for place in np.flatnonzero(~right)]
    return (flag("own_test", text, wrong),)


def _numbers(album: Album, photos: list[Photo]) -> np.ndarray:
    number = {name: place for place, name in enumerate(album.classes)}
    return np.array([number[photo.label] for photo in photos], dtype=np.int64)
