"""Rules judged: against brute force, and by simulation where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import holm, judge
from transfer_lab.stats.power import detectable, images_suffice, seeds_needed
from transfer_lab.stats.rules_of_thumb import RULE_AV, RULES
from transfer_lab.stats.two_way import Crossed

EXACT = 10**9
"""So many test images that their error is nothing."""


def lead(*differences: float, images: float = 0.0) -> Estimate:
    """A rival's lead from its differences by seed; `images`: the test set's squared error."""
    n = len(differences)
    seeds = np.var(differences, ddof=1) / n if n > 1 else None
    return Estimate(float(np.mean(differences)), seeds, images, n, EXACT)


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
    (told,) = judge([{"b": lead(0.10, 0.10, 0.105)}])
    assert (told.verdict, told.rival) == ("refuted", "b")
    assert told.lead.mean == pytest.approx(0.1017, abs=1e-3)


def test_being_within_a_point_of_all_supports():
    (told,) = judge([{"near": lead(0.001, 0.002, 0.001), "far": lead(-0.4, -0.3, -0.37)}])
    assert (told.verdict, told.rival) == ("supported", "near")


def test_a_test_set_that_is_too_small_is_said_to_be_and_no_seeds_are_promised():
    (told,) = judge([{"b": lead(0.001, 0.002, 0.001, images=0.02**2)}])
    assert (told.verdict, told.lacking, told.seeds_needed) == ("undecided", "images", None)


def test_what_the_seeds_show_is_not_shown_if_the_test_set_is_small():
    (told,) = judge([{"b": lead(0.10, 0.10, 0.105, images=0.08**2)}])
    assert told.verdict == "undecided"


def test_too_few_seeds_for_the_spread_is_undecided_and_says_how_many_would_do():
    (told,) = judge([{"b": lead(0.12, 0.0, 0.09)}])
    assert told.verdict == "undecided"
    assert told.lacking == "seeds"
    assert told.seeds_needed > 3


def test_one_seed_decides_nothing():
    (told,) = judge([{"b": lead(0.8)}])
    assert (told.verdict, told.lacking, told.seeds_needed) == ("undecided", "a second seed", None)


def test_without_a_rival_there_is_no_data_and_the_family_is_no_larger():
    place = {"b": lead(0.03, 0.04, 0.036)}
    alone, among = judge([place]), judge([{}, place, {}])
    assert [told.verdict for told in among] == ["no data", "refuted", "no data"]
    assert among[1] == alone[0]


def test_more_hypotheses_and_more_rivals_make_it_harder_to_refute():
    place = {"b": lead(0.02, 0.04, 0.03)}
    assert judge([place])[0].verdict == "refuted"
    assert judge([place] * 12)[0].verdict == "undecided"
    assert judge([place | {str(n): lead(-0.1, -0.2, -0.1) for n in range(9)}])[0].verdict == (
        "undecided"
    )


def test_more_hypotheses_make_it_harder_to_support_too():
    place = {"b": lead(0.001, 0.004, 0.002)}
    assert judge([place])[0].verdict == "supported"
    assert judge([place] * 12)[0].verdict == "undecided"


def drawn(chance: np.random.Generator, gain: float, places: int) -> list[dict[str, Estimate]]:
    """Places with three rivals; the first is truly `gain` better, the others equal or worse."""
    made = []
    for _ in range(places):
        scores = chance.normal(0.5, 0.01, (4, 5)) + np.array([[0], [gain], [0], [-0.02]])
        common = chance.normal(0, 0.003, (4, 1))
        found = Crossed.of_scores(scores + common, EXACT)
        rivals = {}
        for n in (1, 2, 3):
            weights = np.eye(4)[n] - np.eye(4)[0]
            told = found.contrast(weights)
            rivals[str(n)] = Estimate(told.mean, told.over_seeds, 2 * 0.003**2, 5, EXACT)
        made.append(rivals)
    return made


def share(wanted: str, gain: float, runs: int) -> float:
    chance = np.random.default_rng(0)
    hits = 0
    for _ in range(runs):
        hits += any(told.verdict == wanted for told in judge(drawn(chance, gain, places=3)))
    return hits / runs


def test_where_all_are_equal_in_truth_a_rule_is_refuted_somewhere_once_in_twenty_times_at_most():
    assert share("refuted", 0.0, 300) < 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_where_a_rival_is_a_margin_better_a_rule_passes_anywhere_once_in_twenty_times_at_most():
    assert share("supported", 0.01, 300) < 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_where_a_rival_is_much_better_the_rule_is_mostly_refuted():
    assert share("refuted", 0.1, 100) > 0.9


def test_the_seeds_that_are_said_to_do_would_do_at_the_same_mean_and_spread():
    found, tail = lead(0.0, 0.03, 0.05, images=0.002**2), 0.05 / 4
    n = seeds_needed(found, 0.0, tail)

    def tells(count: int) -> bool:
        seeds = (stats.t.ppf(1 - tail, count - 1) ** 2) * found.over_seeds * 3 / count
        return found.mean**2 > seeds + (stats.norm.ppf(1 - tail) * 0.002) ** 2

    assert tells(n)
    assert not tells(n - 1)


def test_no_number_of_seeds_removes_the_error_of_the_test_set():
    found = lead(0.0, 0.03, 0.05, images=0.02**2)
    assert seeds_needed(found, 0.0, 0.01) is None
    assert not images_suffice(found, 0.0, 0.01)


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_detectable_difference_of_seeds_alone_is_that_of_the_noncentral_t(n):
    found = Estimate(0.0, 0.01**2, 0.0, n, EXACT)
    power = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, detectable(found, 0.025) / 0.01)
    assert power == pytest.approx(0.8, abs=0.005)


def test_a_difference_that_is_called_detectable_is_found_four_times_in_five():
    """Simulated, with an error of the test set as large as that of the seeds."""
    chance, runs, hits = np.random.default_rng(4), 1500, 0
    true = detectable(Estimate(0.0, 0.01**2, 0.01**2, 4, EXACT), 0.025)
    for _ in range(runs):
        scores = true + chance.normal(0, 0.01 * math.sqrt(4), 4) + chance.normal(0, 0.01)
        hits += lead(*scores, images=0.01**2).p_above() <= 0.025
    assert abs(hits / runs - 0.8) < 3.5 * (0.8 * 0.2 / runs) ** 0.5


def test_every_rule_prescribes_something_in_every_scenario():
    assert all(set(rule) == set(RULE_AV) for rule in RULES.values())
