"""The factor by which overlapping subsets understate a variance, against simulated subsets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from transfer_lab.stats.overlap import understated


def test_subsets_that_share_nothing_understate_nothing():
    assert understated(0, 5) == 1


def test_with_all_images_in_every_subset_the_spread_says_nothing():
    assert math.isinf(understated(1, 3))


def test_no_share_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        understated(1.5, 3)


@pytest.mark.parametrize(("n", "seeds"), [(80, 3), (80, 8), (20, 3)])
def test_the_factor_is_that_of_subsets_drawn_from_one_pool(n, seeds):
    """An effect of its own for each image of a new pool of 200; a subset's is the mean of its n."""
    chance, runs = np.random.default_rng(n + seeds), 4000
    pools = chance.normal(size=(runs, 200))
    effects = np.stack(
        [np.take_along_axis(pools, _drawn(chance, runs, n), 1).mean(1) for _ in range(seeds)], 1
    )
    truth, told = effects.mean(1).var(), (effects.var(1, ddof=1) / seeds).mean()
    assert truth / told == pytest.approx(understated(n / 200, seeds), rel=0.1)


def _drawn(chance: np.random.Generator, runs: int, n: int) -> np.ndarray:
    return chance.random((runs, 200)).argsort(axis=1)[:, :n]
