"""Photographs that show the same moment: near-copies and bursts, told by their features. No
torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ALIKE = 0.75
"""Cosine, in units of the album's own scatter, above which two photographs are near-copies.

Of shots of the same scene (moved, turned and lit a little otherwise) it finds 77 to 96 of 100
pairs, fewest among sketches, and takes for such at most 4 of 88,000 others among sketches and none
among cartoons and paintings. A cosine of 0.9 of the features as they are finds as many, but takes
more than half of 2,000 sketches for near-copies: what all have in common is most of it.
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
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1)


def _pairs(unit: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each pair once, a block of rows at a time."""
    for start in range(0, len(unit), _BLOCK):
        cosine = unit[start : start + _BLOCK] @ unit[start:].T
        rows, columns = np.nonzero(cosine > ALIKE)
        later = columns > rows
        yield rows[later] + start, columns[later] + start


def _numbered(groups: np.ndarray) -> np.ndarray:
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[place.ravel()]
