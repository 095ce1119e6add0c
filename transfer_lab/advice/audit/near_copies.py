"""Photographs that show the same moment, near-copies and bursts: told by features, and by what is
seen in them. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from transfer_lab.advice.audit.registration import recurring, registered

_NEIGHBOURS, _RESEMBLE = 8, 0.25
"""A photograph is compared with so many others, those of the largest cosine in units of the album's
own scatter; pictures of a smaller cosine are not looked at."""
_SAME, _REST = 1.4, 0.02
"""Two are near-copies if their cosine and what is seen add up to 1.4: features alone never say so,
for they take a class that looks alike for one thing.

What is seen is a logarithm: how many times less the one picture leaves unexplained of the other
than is ordinary for them. Ordinary is what each leaves of itself, moved, so that stripes say
nothing of other stripes, and what most of its neighbours leave of it, so that drawings of one kind
of thing, all of a shape, say little; but no less than a fifth, for neighbours may be the same
moment, too.
"""
_FIFTH = 0.8
_ORDINARY, _GAP, _BEYOND = 0.8, 0.6, 0.3
"""Photographs of two classes are of two things, and show how far mere resemblance goes in an album:
near-copies must score 0.3 more. It ends where, from 0.8 on, the next 0.6 below hold no more than
half as many such pairs as lie above, or none where none does: shots of one moment stand apart, also
where some lie in a wrong folder; letters of a dozen fonts, of which some differ in a stroke, do
not.
"""
_EQUAL = 0.98
_SURE, _NEARER, _OTHERS = 0.5, 0.4, 5
"""Whatever is seen, they are near-copies, too, if their cosine is 0.98, or if it is 0.5 at least
and their distance less than 0.4 of that to the fifth nearest of either.

All was chosen on photographs, paintings, cartoons, sketches and flowers, and on invented patterns.
Of three shots of each, moved, turned and lit a little otherwise, every pair is found, also in an
album of one kind of thing, and of twelve shots 97 of 100 or more. Where the subject moved by
itself, too, and light, colours and sharpness changed more, it is 78 (paintings) to 97 (flowers),
but 36 of sketches. Of 1,200 flowers and paintings and 2,000 sketches less than 1 of 100 is taken
for a copy of another, of cartoons 2, of photographs 3: portraits of one person in one sitting.
Of twelve kinds of patterns, a different part in each picture, it is 1 of 100, where features alone
took 78; but of shots of patterns 58 of 100 pairs are found.
"""
_BLOCK = 1024


class _Pairs(NamedTuple):
    """Near neighbours, each two once, as `rows` and `columns` (pairs), of which the first is
    smaller; `of` (n, neighbours): every photograph's pairs."""

    rows: np.ndarray
    columns: np.ndarray
    of: np.ndarray


def near_copies(features: np.ndarray, thumbnails: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n) group of each photograph: those of a chain of near-copies are of one group, and groups
    are numbered in the order of their first.

    `features` (n, d); `thumbnails` (n, side, side), uint8; `labels` (n): the classes, which tell
    how far photographs of two things resemble each other. Copies of two classes are found, too.
    """
    if len(features) < 2:
        return np.arange(len(features))
    order = _by_content(features, thumbnails)
    where = directions(features[order])
    pairs, reach = _neighbours(where)
    cosine = np.einsum("pd,pd->p", where[pairs.rows], where[pairs.columns])
    nearer = 1 - cosine < _NEARER * np.minimum(reach[pairs.rows], reach[pairs.columns])
    same = (cosine > _EQUAL) | (nearer & (cosine > _SURE))
    score = cosine + _seen(thumbnails[order], pairs, cosine > _RESEMBLE)
    other = labels[order][pairs.rows] != labels[order][pairs.columns]
    same |= score >= max(_SAME, _end_of_resemblance(score[other]) + _BEYOND)
    return joined(len(features), order[pairs.rows[same]], order[pairs.columns[same]])


def joined(count: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(count) groups: the connected parts of a graph with these edges."""
    edges = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    return _numbered(connected_components(edges, directed=False)[1])


def together(groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n) the finest groups that divide none of either."""
    nodes = np.arange(len(groups))
    heads = []
    for given in (groups, others):
        _, first, place = np.unique(given, return_index=True, return_inverse=True)
        heads.append(first[place.ravel()])
    return joined(len(groups), np.tile(nodes, 2), np.concatenate(heads))


def directions(features: np.ndarray) -> np.ndarray:
    """Where each photograph lies as seen from the middle of all, in units of their scatter, at
    length 1: rows of which products are cosines."""
    scatter = features.std(axis=0)
    unit = scatter + np.median(scatter) / 2  # as the probe's: what hardly varies is not blown up
    scaled = (features - features.mean(axis=0)) / np.where(unit > 0, unit, 1)
    return unit_length(scaled)


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Each row divided by its length; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def _by_content(features: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """An order that the photographs have whatever order they are given in."""
    content = [
        one.tobytes() + other.tobytes() for one, other in zip(thumbnails, features, strict=True)
    ]
    return np.array(sorted(range(len(content)), key=content.__getitem__), dtype=np.int64)


def _neighbours(where: np.ndarray) -> tuple[_Pairs, np.ndarray]:
    """Pairs of near neighbours, and (n) the distance of each photograph to its fifth nearest; 0
    where there are not so many."""
    count, most = len(where), min(_NEIGHBOURS, len(where) - 1)
    nearest, reach = np.empty((count, most), np.int64), np.zeros(count)
    for start in range(0, count, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, count))
        distance = 1 - where[block] @ where.T
        distance[np.arange(len(block)), block] = np.inf
        nearest[block] = np.argpartition(distance, most - 1, axis=1)[:, :most]
        if count > _OTHERS:
            reach[block] = np.partition(distance, _OTHERS - 1, axis=1)[:, _OTHERS - 1]
    places = np.arange(count)[:, None]
    both = np.minimum(nearest, places) * count + np.maximum(nearest, places)
    pairs, of = np.unique(both, return_inverse=True)
    return _Pairs(*np.divmod(pairs, count), of.reshape(both.shape)), reach


def _end_of_resemblance(scores: np.ndarray) -> float:
    """The least value, from `_ORDINARY` on, above which scores of pairs of two classes stand apart
    from those below."""
    ranked = np.sort(scores[scores >= _ORDINARY - _GAP])
    places = np.concatenate([[_ORDINARY], ranked, ranked + _GAP])
    for place in np.sort(np.nextafter(places[places >= _ORDINARY], np.inf)):
        below, at = np.searchsorted(ranked, [place - _GAP, place])
        if at - below <= (len(ranked) - at) / 2:
            return float(place)
    return _ORDINARY


def _seen(thumbnails: np.ndarray, pairs: _Pairs, looked_at: np.ndarray) -> np.ndarray:
    """(pairs) what pictures say."""
    match = np.zeros(len(pairs.rows))
    match[looked_at] = registered(thumbnails, pairs.rows[looked_at], pairs.columns[looked_at])
    most = pairs.of.shape[1] // 4
    usual = np.partition(match[pairs.of], most, axis=1)[:, most]
    ordinary = np.maximum(recurring(thumbnails), np.minimum(usual, _FIFTH))
    left = 1 - np.maximum(ordinary[pairs.rows], ordinary[pairs.columns])
    return np.log((left + _REST) / (1 - match + _REST))


def _numbered(groups: np.ndarray) -> np.ndarray:
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[place.ravel()]
