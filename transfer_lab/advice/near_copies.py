"""Photographs that show the same moment: near-copies and bursts, told by their features. No
torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ALIKE = 0.78
"""Cosine, in units of the album's own scatter, above which two photographs are near-copies."""
_RESEMBLE, _NEARER, _OTHERS = 0.5, 0.65, 5
"""Below that two photographs are near-copies, too, if their cosine is 0.5 at least and their
distance less than 0.65 of that to the fifth nearest of either.

Chosen on three shots of each scene, moved, turned and lit a little otherwise: of photographs,
cartoons, paintings, sketches and rendered scenes it finds 97 to 100 of 100 pairs, of twelve shots
of each 74 (sketches) and 100 (photographs). Of 2,000 cartoons, sketches and flowers it takes 3 to 6
of 100 for a copy of another, some of which are. A cosine of 0.9 of the features as they are takes
more than half of the sketches for near-copies: what all have in common is most of it.
"""
_BLOCK = 1024


def near_copies(features: np.ndarray) -> np.ndarray:
    """(n) group of each photograph: those of a chain of near-copies are of one group, and groups
    are numbered in the order of their first."""
    pairs = [np.stack(found) for found in _pairs(directions(features))]
    rows, columns = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), int)
    return joined(len(features), rows, columns)


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


def _pairs(where: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each pair once, a block of rows at a time."""
    reach = _reach(where)
    for start in range(0, len(where), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosine = where[block] @ where[start:].T
        nearer = 1 - cosine < _NEARER * np.minimum(reach[block, None], reach[None, start:])
        rows, columns = np.nonzero((cosine > ALIKE) | ((cosine > _RESEMBLE) & nearer))
        later = columns > rows
        yield rows[later] + start, columns[later] + start


def _reach(where: np.ndarray) -> np.ndarray:
    """(n) distance of each photograph to its fifth nearest; 0 where there are not so many."""
    if len(where) <= _OTHERS:
        return np.zeros(len(where))
    reach = np.empty(len(where))
    for start in range(0, len(where), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Of the largest cosines one is that of the photograph with itself.
        reach[block] = 1 - np.partition(where[block] @ where.T, -_OTHERS - 1)[:, -_OTHERS - 1]
    return reach


def _numbered(groups: np.ndarray) -> np.ndarray:
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[place.ravel()]
