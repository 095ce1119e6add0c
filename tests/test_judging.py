"""Rules judged: against scipy, against brute force, and by simulation where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.evidence.judging import Bounds, holm, judge, p_better, seeds_needed
from transfer_lab.evidence.rules import RULE_AV, RULES

VALUES = st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=8)


def scores(*values: float) -> dict[int, float]:
    return dict(enumerate(values, start=1))


@given(VALUES)
def test_p_is_that_of_the_one_sided_paired_t_test(values):
    if np.std(values) > 1e-9:
        expected = stats.ttest_1samp(values, 0, alternative="greater").pvalue
        assert p_better(values) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "p"), [([], 1.0), ([0.5], 1.0), ([0.1, 0.1], 0.0), ([0.0, 0.0], 1.0)]
)
def test_without_spread_or_a_second_seed_p_is_plain(values, p):
    assert p_better(values) == p


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.5):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] > level / (len(p_values) - rank):
                break
            rejected.add(index)
        near = {i for i, p in enumerate(adjusted) if abs(p - level) < 1e-12}
        assert {i for i, p in enumerate(adjusted) if p <= level} ^ rejected <= near


def test_a_rival_that_is_surely_better_refutes():
    (told,) = judge([(scores(0.50, 0.51, 0.52), {"b": scores(0.60, 0.61, 0.625)})])
    assert (told.verdict, told.rival) == ("refuted", "b")
    assert told.behind.mean == pytest.approx(0.1017, abs=1e-3)


def test_being_within_a_point_of_all_supports():
    prescribed = scores(0.60, 0.61, 0.62)
    near = scores(0.601, 0.612, 0.621)
    (told,) = judge([(prescribed, {"near": near, "far": scores(0.2, 0.3, 0.25)})])
    assert (told.verdict, told.rival) == ("supported", "near")


def test_too_few_seeds_for_the_spread_is_undecided_and_says_how_many_would_do():
    (told,) = judge([(scores(0.5, 0.6, 0.7), {"b": scores(0.62, 0.6, 0.79)})])
    assert told.verdict == "undecided"
    assert told.seeds_needed > 3


def test_one_seed_decides_nothing():
    (told,) = judge([(scores(0.1), {"b": scores(0.9)})])
    assert (told.verdict, told.seeds_needed) == ("undecided", None)


def test_without_a_rival_there_is_no_data():
    assert [j.verdict for j in judge([(scores(0.5), {}), (scores(0.5), {"b": {7: 0.1}})])] == [
        *("no data", "no data")
    ]


def test_comparisons_are_paired_by_seed_and_not_by_place():
    prescribed = {1: 0.1, 2: 0.5, 3: 0.9}
    rival = {3: 0.95, 1: 0.15, 2: 0.551, 4: 0.0}
    assert judge([(prescribed, {"b": rival})])[0].verdict == "refuted"


def test_more_places_make_it_harder_to_refute():
    place = (scores(0.50, 0.52, 0.51), {"b": scores(0.52, 0.56, 0.54)})
    assert judge([place])[0].verdict == "refuted"
    assert judge([place] * 12)[0].verdict == "undecided"


def test_where_all_are_equal_in_truth_a_rule_is_refuted_somewhere_once_in_twenty_times_at_most():
    rng = np.random.default_rng(0)
    runs, wrong = 400, 0
    for _ in range(runs):
        draws = rng.normal(0.5, 0.02, (3, 4, 5))
        places = [
            (scores(*p[0]), {str(n): scores(*rival) for n, rival in enumerate(p[1:])})
            for p in draws
        ]
        wrong += any(told.verdict == "refuted" for told in judge(places))
    assert wrong / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_a_rival_exactly_a_margin_better_lets_a_rule_pass_once_in_twenty_times_at_most():
    rng = np.random.default_rng(1)
    runs, passed = 600, 0
    for _ in range(runs):
        own, rival = rng.normal(0.5, 0.01, 5), rng.normal(0.51, 0.01, 5)
        passed += judge([(scores(*own), {"b": scores(*rival)})])[0].verdict == "supported"
    assert passed / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_the_seeds_that_are_said_to_do_would_do_at_the_same_mean_and_spread():
    differences = [0.0, 0.03, 0.05]
    bounds = Bounds(margin=0.01, level=0.05, comparisons=4)
    n = seeds_needed(differences, bounds)
    mean, spread = np.mean(differences), np.std(differences, ddof=1)

    def tells(count: int) -> bool:
        return mean > stats.t.ppf(1 - 0.05 / 4, count - 1) * spread / count**0.5

    assert tells(n)
    assert not tells(n - 1)


def test_every_rule_prescribes_something_in_every_scenario():
    assert all(set(rule) == set(RULE_AV) for rule in RULES.values())
