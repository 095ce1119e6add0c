"""Photographs that show the same moment, near-copies and bursts: told by their features, and by what
is seen in them. No torch."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from transfer_lab.advice.registration import recurring, registered

_NEIGHBOURS, _RESEMBLE = 8, 0.25
"""A photograph is compared with so many others, those of the largest cosine in units of the album's
own scatter, and with none whose cosine is less."""
_SAME, _SEEN, _ORDINARY = 1.5, 1.5, 0.7
"""Two are near-copies if their cosine and 1.5 times what is seen add up to 1.5: features alone never
say so, for they take a class that looks alike for one thing.

What is seen is how well the pictures match, less so where one matches itself elsewhere, as stripes
do: by 1 - recurring, which is 0.7 or more in most photographs.
"""
_SURE, _NEARER, _OTHERS = 0.5, 0.4, 5
"""Whatever is seen, they are near-copies, too, if their cosine is 0.5 at least and their distance
less than 0.4 of that to the fifth nearest of either.

Chosen on photographs, paintings, cartoons, sketches and flowers, and on invented patterns. Of three
shots of each, moved, turned and lit a little otherwise, every pair is found, also in an album of one
kind of thing; where the subject moved apart, too, and light, sharpness and colours changed more, 82
to 100 of 100, but 48 of sketches. Of 300 flowers and sketches and 1,200 paintings less than 1 of 100
are taken for a copy of another, of cartoons 3, of photographs 13: portraits of one person in one
sitting. Of twelve patterns in different parts it is 1 of 100, where the features alone took 78; of
shots of patterns that recur 57 of 100 pairs are found.
"""
_BLOCK = 1024


def near_copies(features: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """(n) group of each photograph: those of a chain of near-copies are of one group, and groups
    are numbered in the order of their first.

    `features` (n, d); `thumbnails` (n, side, side), uint8.
    """
    if len(features) < 2:
        return np.arange(len(features))
    order = _by_content(features, thumbnails)
    features, thumbnails = features[order], thumbnails[order]
    rows, columns, cosine, nearer = _candidates(directions(features))
    own = np.minimum(1, (1 - recurring(thumbnails)) / _ORDINARY)
    seen = registered(thumbnails, rows, columns) * np.minimum(own[rows], own[columns])
    same = (cosine + _SEEN * seen >= _SAME) | (nearer & (cosine > _SURE))
    return joined(len(features), order[rows[same]], order[columns[same]])


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
    content = [one.tobytes() + other.tobytes() for one, other in zip(thumbnails, features, strict=True)]
    return np.array(sorted(range(len(content)), key=content.__getitem__), dtype=np.int64)


def _candidates(where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of near neighbours, each once: both places, the first one being smaller, their cosine,
    and whether they are far nearer than others are."""
    count, most = len(where), min(_NEIGHBOURS, len(where) - 1)
    others, reach = np.empty((count, most), np.int64), np.zeros(count)
    for start in range(0, count, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, count))
        cosine = where[block] @ where.T
        cosine[np.arange(len(block)), block] = -np.inf
        others[block] = np.argpartition(-cosine, most - 1, axis=1)[:, :most]
        if count > _OTHERS:
            reach[block] = 1 + np.partition(-cosine, _OTHERS - 1, axis=1)[:, _OTHERS - 1]
    places = np.repeat(np.arange(count), most), others.ravel()
    rows, columns = np.divmod(np.unique(np.minimum(*places) * count + np.maximum(*places)), count)
    cosine = np.einsum("pd,pd->p", where[rows], where[columns])
    nearer = 1 - cosine < _NEARER * np.minimum(reach[rows], reach[columns])
    alike = cosine > _RESEMBLE
    return rows[alike], columns[alike], cosine[alike], nearer[alike]


def _numbered(groups: np.ndarray) -> np.ndarray:
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[place.ravel()]
