"""Rules judged: against brute force, and by simulation where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import at_most, holm, judge
from transfer_lab.stats.moderation import Prior
from transfer_lab.stats.power import images_suffice, seeds_needed
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


def test_a_rival_that_is_better_by_less_than_the_margin_does_not_refute():
    near = {"b": lead(0.004, 0.005, 0.0045)}
    assert judge([near])[0].verdict == "behind"
    assert judge([near], margin=0.001)[0].verdict == "refuted"


def test_a_lead_around_the_margin_is_undecided_however_sure_it_is_that_there_is_one():
    (told,) = judge([{"b": lead(0.009, 0.010, 0.0115)}])
    assert told.verdict == "undecided"
    assert told.lead.p_above() < 0.01


def test_what_is_lost_at_most_is_the_largest_end_of_one_sided_intervals():
    rivals = {
        "b": lead(0.03, 0.02, 0.05),
        "c": lead(-0.04, 0.01, 0.08),
        "d": lead(-0.2, -0.3, -0.2),
    }
    (told,) = judge([rivals])
    ends = [one.mean + stats.t.isf(0.05, 2) * one.over_seeds**0.5 for one in rivals.values()]
    assert told.at_most == pytest.approx(max(ends))
    assert at_most([rivals["d"]]) == 0.0
    assert at_most([*rivals.values(), lead(0.8)]) is None


def test_degrees_of_freedom_that_are_borrowed_make_a_verdict_easier():
    place = {"b": lead(0.06, 0.02, 0.09)}
    assert judge([place])[0].verdict == "undecided"
    moderated = {"b": place["b"].moderated(Prior(20, 0.0005))}
    assert judge([moderated])[0].verdict == "refuted"


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


def share(wanted: set[str], gain: float, runs: int) -> float:
    chance = np.random.default_rng(0)
    hits = 0
    for _ in range(runs):
        hits += any(told.verdict in wanted for told in judge(drawn(chance, gain, places=3)))
    return hits / runs


ROOM = 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


@pytest.mark.parametrize("gain", [0.0, 0.01])
def test_up_to_a_margin_behind_a_rule_is_refuted_anywhere_once_in_twenty_times_at_most(gain):
    assert share({"refuted"}, gain, 300) < ROOM


def test_where_a_rival_is_a_margin_better_a_rule_passes_anywhere_once_in_twenty_times_at_most():
    assert share({"supported", "behind"}, 0.01, 300) < ROOM


def test_where_all_are_equal_a_rule_is_said_to_be_behind_once_in_twenty_times_at_most():
    assert share({"behind"}, 0.0, 300) < ROOM


@pytest.mark.parametrize("gain", [0.0, 0.01, 0.05])
def test_a_rule_loses_more_than_is_said_once_in_twenty_times_at_most(gain):
    """Whichever rival is the best, and nothing is corrected for their number."""
    chance, wrong, runs = np.random.default_rng(6), 0, 300
    for _ in range(runs):
        wrong += sum(one.at_most < gain for one in judge(drawn(chance, gain, places=3)))
    assert wrong / (3 * runs) < 0.05 + 3 * (0.05 * 0.95 / (3 * runs)) ** 0.5


def test_where_a_rival_is_much_better_the_rule_is_mostly_refuted():
    assert share({"refuted"}, 0.1, 100) > 0.9


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


def test_every_rule_prescribes_something_in_every_scenario():
    assert all(set(rule) == set(RULE_AV) for rule in RULES.values())
