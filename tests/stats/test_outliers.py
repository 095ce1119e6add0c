"""Which trainings count as failed."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_lab.stats.outliers import far_below, usual_spread


@pytest.mark.parametrize(
    ("scores", "spread", "failed"),
    [
        ([0.62, 0.31, 0.63, 0.64, 0.61], 0.01, 1),
        ([0.62, 0.31, 0.05], 0.01, 2),
        ([0.62, 0.10, 0.12], 0.01, 2),
        ([0.62, 0.53, 0.44], 0.01, 0),
        ([0.62, 0.31, 0.63], 0.07, 0),
        ([0.62, 0.31], 0.01, 0),
        ([0.5], 0.01, 0),
    ],
)
def test_what_lies_below_a_gap_wider_than_ten_points_and_five_spreads_failed(
    scores, spread, failed
):
    assert far_below(scores, spread) == failed


def test_the_usual_spread_is_not_moved_by_an_arm_that_fails():
    arms = [[0.5, 0.51, 0.52], [0.6, 0.62, 0.64], [0.1, 0.6, 0.61], [0.2, 0.3]]
    assert usual_spread(arms) == pytest.approx(0.02)
    assert usual_spread([[0.5, 0.6]]) == 0


def test_normal_seeds_are_hardly_ever_called_failed_and_collapsed_ones_nearly_always():
    chance, spread = np.random.default_rng(0), 0.03
    seeds = 0.6 + chance.normal(0, spread, (4000, 5))
    assert np.mean([far_below(arm, spread) > 0 for arm in seeds.tolist()]) < 0.002
    seeds[:, 2] -= 0.3
    assert np.mean([far_below(arm, spread) == 1 for arm in seeds.tolist()]) > 0.97
