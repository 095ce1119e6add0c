"""The size from which one regime is better: known on curves whose crossover is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.stats.crossover import crossover, takes_over

SIZES = (5, 10, 20, 40, 80)


def lines(at: float, *, seeds: int, noise: float, slope: float = 0.1, chance=None):
    """Two curves that cross at `at`: the later one gains `slope` with every doubling of n."""
    chance = chance or random.Random(0)
    earlier, later = {}, {}
    for n in SIZES:
        earlier[n] = {s: 0.5 + chance.gauss(0, noise) for s in range(seeds)}
        later[n] = {
            s: 0.5 + slope * math.log2(n / at) + chance.gauss(0, noise) for s in range(seeds)
        }
    return earlier, later


@pytest.mark.parametrize("at", [6, 10, 17.5, 31, 79])
def test_the_crossover_of_exact_curves_is_found(at):
    found = crossover(*lines(at, seeds=3, noise=0))
    assert found.size == pytest.approx(at, rel=1e-9)
    assert found.low <= found.size <= found.high
    assert found.high / found.low < 1.05
    assert found.within


def test_no_crossover_within_the_measured_range_is_an_answer():
    early, late = lines(2, seeds=3, noise=0), lines(200, seeds=3, noise=0)
    assert crossover(*early)[:3] == (0.0, 0.0, 5)
    assert crossover(*late)[:3] == (math.inf, 80, math.inf)
    assert not crossover(*late).within


def test_bounds_are_open_where_the_data_do_not_close_them():
    chance = random.Random(3)
    found = crossover(*lines(70, seeds=3, noise=0.05, chance=chance))
    assert found.high == math.inf
    assert 5 < found.low < 80


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("at", [8, 30])
def test_the_confidence_set_covers_the_true_crossover(seeds, at):
    chance, hits, rounds = random.Random(seeds), 0, 300
    for _ in range(rounds):
        found = crossover(*lines(at, seeds=seeds, noise=0.04, chance=chance))
        hits += found.low <= at <= found.high
    assert hits / rounds >= 0.93


def test_the_set_is_no_wider_than_it_must_be():
    """At a wrong place beyond the noise it seldom holds: it is not the whole range."""
    chance, held = random.Random(1), 0
    for _ in range(100):
        found = crossover(*lines(20, seeds=5, noise=0.02, chance=chance))
        held += found.low <= 10 or found.high >= 40
    assert held < 20


def test_more_seeds_narrow_the_set():
    widths = []
    for seeds in (3, 12):
        chance, total = random.Random(5), 0.0
        for _ in range(50):
            found = crossover(*lines(20, seeds=seeds, noise=0.03, chance=chance))
            total += math.log(min(found.high, 80) / max(found.low, 5))
        widths.append(total)
    assert widths[1] < widths[0] / 2


def test_one_seed_gives_a_place_and_no_interval():
    found = crossover(*lines(20, seeds=1, noise=0))
    assert found.size == pytest.approx(20)
    assert (found.low, found.high, found.seeds) == (None, None, 1)


def test_the_last_of_several_crossings_counts():
    assert takes_over([5, 10, 20, 40], [-1, 1, -1, 1]) == pytest.approx(20 * 2**0.5)
    assert takes_over([5, 10, 20], [1, 1, 1]) == 0
    assert takes_over([5, 10, 20], [1, 1, -1]) == math.inf
    assert takes_over([5, 10], [0, 1]) == 5
    assert takes_over([5, 10], [0, 0]) == math.inf


@given(st.lists(st.integers(-8, 8), min_size=2, max_size=6))
def test_from_the_crossover_on_the_gap_is_above_zero(gaps):
    sizes = [5 * 2**k for k in range(len(gaps))]
    found = takes_over(sizes, gaps)
    beyond = [gap for n, gap in zip(sizes, gaps, strict=True) if n > found]
    assert all(gap > 0 for gap in beyond)
    assert bool(beyond) == (gaps[-1] > 0)


def test_seeds_are_paired_and_those_that_one_place_lacks_are_left_out():
    earlier, later = lines(20, seeds=4, noise=0)
    del later[40][3]
    later[5][3] = 0.9
    found = crossover(earlier, later)
    assert found.seeds == 3
    assert found.size == pytest.approx(20)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [({5: {1: 0.5}}, {5: {1: 0.6}}), ({5: {1: 0.5}, 9: {1: 0.5}}, {5: {2: 0.6}, 9: {2: 0.6}})],
    ids=["one size", "no common seed"],
)
def test_what_cannot_be_compared_is_refused(earlier, later):
    with pytest.raises(ValueError):
        crossover(earlier, later)
