"""Verdicts on paired differences: never more sure than the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.stats.intervals import t_interval
from transfer_lab.stats.verdicts import verdict


def told(differences: list[float], relation: str) -> str:
    return verdict(t_interval(differences) if differences else None, relation)


DIFFERENCES = st.lists(st.floats(-1, 1), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("differences", "relation", "expected"),
    [
        ([], "above", "no data"),
        ([0.5], "above", "undecided"),
        ([0.10, 0.11, 0.09], "above", "supported"),
        ([0.10, 0.11, 0.09], "below", "refuted"),
        ([-0.10, -0.11, -0.09], "below", "supported"),
        ([0.5, -0.4, 0.1], "above", "undecided"),
        ([0.1, 0.1, 0.1], "above", "supported"),
        ([0.0, 0.0, 0.0], "above", "undecided"),
        ([0.0, 0.0, 0.0], "below", "undecided"),
    ],
)
def test_the_side_of_zero_decides_if_the_interval_lies_on_it(differences, relation, expected):
    assert told(differences, relation) == expected


@given(DIFFERENCES)
def test_above_and_below_are_mirror_images(differences):
    mirrored = {"supported": "refuted", "refuted": "supported", "undecided": "undecided"}
    assert told(differences, "below") == mirrored[told(differences, "above")]
    assert told([-d for d in differences], "below") == told(differences, "above")


def test_without_a_difference_one_in_twenty_is_decided():
    """Simulated: 4,000 experiments of five seeds; three standard errors around 5 %."""
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    decided = [told(list(row), "above") != "undecided" for row in draws]
    assert abs(np.mean(decided) - 0.05) < 3 * (0.05 * 0.95 / 4000) ** 0.5
