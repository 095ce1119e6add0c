"""Time left: remaining work by expected cost, at the rates that were measured."""

import pytest

from tests.builders import tiny_run
from transfer_lab.grid.time_left import TimeLeft, clock, spoken

SHORT = {run.id: run for run in (tiny_run(seed=seed) for seed in range(4))}
LONG = {run.id: run for run in (tiny_run("full_finetune", seed=seed) for seed in range(4))}
RUNS = SHORT | LONG
COSTS = dict.fromkeys(SHORT, 10.0) | dict.fromkeys(LONG, 100.0)


def left(slots=1, costs=COSTS):
    return TimeLeft(RUNS, costs, slots)


def end(time_left, run_id, seconds):
    time_left.learnt((run_id,), seconds)
    time_left.gone(run_id)


def test_nothing_is_said_before_anything_is_known():
    assert left().seconds({}) is None


def test_what_is_left_is_weighed_by_cost_and_not_by_count():
    time_left = left()
    for run_id in list(LONG)[:2]:
        end(time_left, run_id, 100)
    assert time_left.seconds({}) == pytest.approx(2 * 100 + 4 * 10)
    for run_id in SHORT:
        end(time_left, run_id, 10)
    assert time_left.seconds({}) == pytest.approx(200)


def test_a_machine_that_is_slower_than_expected_is_believed():
    time_left = left()
    for run_id in list(LONG)[:2]:
        end(time_left, run_id, 300)
    assert time_left.seconds({}) == pytest.approx(3 * 240)


def test_each_kind_of_runs_gets_a_rate_of_its_own():
    time_left = left()
    for run_id in list(LONG)[:3]:
        end(time_left, run_id, 100)
    for run_id in list(SHORT)[:3]:
        end(time_left, run_id, 50)
    kinds_apart = 100 + 50
    assert 110 < time_left.seconds({}) < kinds_apart * 1.05


def test_runs_in_work_count_with_the_share_that_is_left():
    first, second, *_ = LONG
    time_left = left(slots=2)
    working = {(first,): (50.0, 0.5), (second,): (25.0, 0.25)}
    rest = 50 + 75 + 2 * 100 + 4 * 10
    assert time_left.seconds(working) == pytest.approx(rest / 2)


def test_the_end_is_never_before_the_longest_run_in_work():
    time_left = left(slots=8)
    first, *others = LONG
    for run_id in [*SHORT, *others]:
        end(time_left, run_id, COSTS[run_id])
    assert time_left.seconds({(first,): (20.0, 0.2)}) == pytest.approx(80)


def test_without_costs_runs_count_alike():
    time_left = left(costs={})
    for run_id in list(LONG)[:4]:
        end(time_left, run_id, 20)
    assert time_left.seconds({}) == pytest.approx(80)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3, "5 s"), (62, "60 s"), (125, "2 min"), (5400, "1.5 h"), (200_000, "2.3 days")],
)
def test_durations_are_said_coarsely(seconds, text):
    assert spoken(seconds) == text


def test_the_clock_counts_hours():
    assert clock(72) == "0:01:12"
    assert clock(36_061) == "10:01:01"
