"""Whether the axis finds the order of images that were put at growing distances on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from transfer_lab.similarity.calibration import place
from transfer_lab.similarity.ladders import (
    BLOCKS,
    SHARES,
    STRENGTHS,
    block_shuffled,
    blurred,
    mislabelled,
    mixed,
    noise_images,
    with_noise,
)
from transfer_lab.similarity.measure import Sample, Space, sample, space_of
from transfer_lab.similarity.pairs import Comparison
from transfer_lab.similarity.probes import neighbours_right
from transfer_lab.store.records import RecordStore

SEEDS, IMAGES = (0, 1, 2), 250


class Ladder(NamedTuple):
    """A name, what each rung is, and the values: a row a seed, a column a rung."""

    name: str
    rungs: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


def climb(comparison: Comparison, store: RecordStore) -> list[Ladder]:
    """Every ladder for the comparison's source in its feature space; the other domain that is
    mixed in is its target."""
    space = space_of(comparison, store)
    source = sample(comparison, comparison.source, store)
    target = sample(comparison, comparison.target, store)
    return ladders(space, source, target, SEEDS, IMAGES)


def ladders(
    space: Space, source: Sample, other: Sample, seeds: Sequence[int], images: int
) -> list[Ladder]:
    """Positions on the axis, or for the last ladder accuracies of nearest neighbours."""
    found: dict[tuple[str, tuple[str, ...]], list[tuple[float, ...]]] = {}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(source.images))
        drawn = Sample(source.images[order], source.labels[order])
        n = min(images, len(order) // 3, len(other.images))
        for name, rungs, values in _of_seed(space, drawn, other, n, seed):
            found.setdefault((name, rungs), []).append(tuple(values))
    return [Ladder(name, rungs, tuple(values)) for (name, rungs), values in found.items()]


Rungs = tuple[str, tuple[str, ...], list[float]]


def _of_seed(space: Space, drawn: Sample, other: Sample, n: int, seed: int) -> Iterator[Rungs]:
    images, seen = drawn.images, space(drawn.images[: 2 * n])
    far = space(noise_images(n, images.shape[-1], seed))

    def at(features: np.ndarray) -> float:
        return place(seen[:n], seen[n:], features, far).position.value

    third = images[2 * n : 3 * n]
    changes: tuple[tuple[str, tuple[int, ...], Callable], ...] = (
        ("noise", STRENGTHS, with_noise),
        ("blur", STRENGTHS, blurred),
        ("shuffled blocks", BLOCKS, block_shuffled),
    )
    for name, rungs, change in changes:
        values = [at(space(change(third, rung, seed))) for rung in rungs]
        yield name, tuple(map(str, rungs)), values
    own, foreign = space(third), space(other.images[:n])
    shares = tuple(f"{100 * share:.0f} %" for share in SHARES)
    yield "another domain", shares, [at(mixed(own, foreign, share, seed)) for share in SHARES]
    yield "other classes", shares, _other_classes(space, drawn, far, seed)
    right = [
        float(neighbours_right(seen, mislabelled(drawn.labels[: 2 * n], share, seed)).mean())
        for share in SHARES
    ]
    yield "wrong labels", shares, right


def _other_classes(space: Space, drawn: Sample, far: np.ndarray, seed: int) -> list[float]:
    """From the source's first half of classes to its second half."""
    first = drawn.labels < (drawn.labels.max() + 1) // 2
    n = min(len(far), int(first.sum()) // 3, int((~first).sum()))
    own, foreign = space(drawn.images[first][: 3 * n]), space(drawn.images[~first][:n])
    return [
        place(
            own[:n], own[n : 2 * n], mixed(own[2 * n :], foreign, share, seed), far[:n]
        ).position.value
        for share in SHARES
    ]
