"""Seeds that are written as looks: the schedule, what is refused, and that no id changes."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from tests.builders import TINY_YAML, experiment, write_tiny
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.looks import Looks
from transfer_lab.experiment.plan import plan, plan_one_seed, runs_of
from transfer_lab.experiment.yaml_source import ConfigError

LOOKS = "seeds: {start: 3, at_most: 8, until: 2}"
FIXED = "seeds: [0, 1]"


def loaded(folder, seeds, overrides=()):
    return load_experiment(write_tiny(folder, TINY_YAML.replace(FIXED, seeds)), overrides)


def refused(folder, seeds, overrides=()):
    with pytest.raises(ConfigError) as error:
        loaded(folder, seeds, overrides)
    return error.value.problems


@pytest.mark.parametrize(
    ("start", "at_most", "counts"),
    [
        (3, 8, (3, 5, 8)),
        (3, 5, (3, 5)),
        (2, 8, (2, 3, 5, 8)),
        (3, 12, (3, 5, 8, 12)),
        (3, 20, (3, 5, 8, 12, 20)),
        (3, 4, (3, 4)),
        (4, 4, (4,)),
        (2, 3, (2, 3)),
    ],
)
def test_each_look_has_about_1_6_times_the_seeds_of_the_last(start, at_most, counts):
    assert Looks(start=start, at_most=at_most, until=2).counts == counts


def test_every_schedule_grows_from_start_to_at_most():
    for start in range(2, 12):
        for at_most in range(start, 80):
            counts = Looks(start=start, at_most=at_most, until=1).counts
            assert (counts[0], counts[-1]) == (start, at_most)
            assert all(one < other for one, other in pairwise(counts))
            assert all(other <= 2 * one for one, other in pairwise(counts))


def test_the_error_is_shared_by_the_looks():
    assert Looks(start=3, at_most=8, until=2).share(0.05) == pytest.approx(0.05 / 3)
    assert Looks(start=3, at_most=3, until=2).share(0.05) == 0.05


def test_looks_stand_for_all_seeds_that_an_arm_may_come_to(tmp_path):
    found = loaded(tmp_path, LOOKS).experiment
    assert found.seeds == (1, 2, 3, 4, 5, 6, 7, 8), "0 is left for searches"
    assert found.looks == Looks(start=3, at_most=8, until=2.0)
    later = loaded(tmp_path, "seeds: {start: 2, at_most: 3, until: 0.5, first: 7}").experiment
    assert later.seeds == (7, 8, 9)
    assert experiment(seeds={"start": 2, "at_most": 3, "until": 1}).seeds == (1, 2, 3)


def test_a_run_of_a_seed_is_the_same_however_the_seed_is_written(tmp_path):
    by_looks = plan(loaded(tmp_path, LOOKS).experiment)
    fixed = plan(loaded(tmp_path, "seeds: [1, 2, 3, 4, 5, 6, 7, 8]").experiment)
    assert by_looks == fixed
    assert [*runs_of(by_looks)] == [*runs_of(fixed)]
    assert {cell.seed for cell in plan_one_seed(loaded(tmp_path, LOOKS).experiment)} == {1}


def test_fixed_seeds_have_no_looks(tmp_path):
    assert loaded(tmp_path, FIXED).experiment.looks is None
    assert loaded(tmp_path, LOOKS, ["seeds=[4, 2]"]).experiment.seeds == (4, 2)
    assert loaded(tmp_path, LOOKS, ["seeds.at_most=5"]).experiment.looks.counts == (3, 5)


@pytest.mark.parametrize(
    ("seeds", "column", "told"),
    [
        (
            "seeds: {start: 3, at_most: 2, until: 2}",
            19,
            "seeds.at_most: is less than start, which is 3 (it is 2)",
        ),
        (
            "seeds: {start: 1, at_most: 2, until: 2}",
            9,
            "seeds.start: Input should be greater than or equal to 2 (it is 1)",
        ),
        (
            "seeds: {start: 3, at_most: 8, until: 0}",
            31,
            "seeds.until: Input should be greater than 0 (it is 0)",
        ),
        (
            "seeds: {start: 3, at_most: 8, until: 2, frist: 1}",
            41,
            "seeds.frist: unknown key; did you mean 'first'?",
        ),
        (
            "seeds: {start: 3, at_most: 8, until: 2, settle: arms}",
            41,
            "seeds.settle: Input should be 'backbones' or 'scenarios' (it is 'arms')",
        ),
        (
            "seeds: {start: 3, at_most: 8}",
            1,
            "seeds.until: is missing: write seeds: {start: 3, at_most: 8, until: 2}, or a list of "
            "seeds",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path, seeds, column, told):
    (problem,) = refused(tmp_path, seeds)
    line = TINY_YAML.splitlines().index(FIXED) + 1
    assert problem == f"{tmp_path / 'tiny.yaml'}:{line}:{column}: {told}"


def test_an_override_is_named_where_it_is_to_blame(tmp_path):
    (problem,) = refused(tmp_path, LOOKS, ["seeds.at_most=2"])
    assert problem.startswith("--set seeds.at_most=2: seeds.at_most: is less than start")


def test_looks_are_written_under_seeds_alone(tmp_path):
    (problem,) = refused(tmp_path, f"{FIXED}\nlooks: {{start: 3, at_most: 5, until: 2}}")
    assert "looks: is no key of its own; write seeds: {start: 3, " in problem
    (problem,) = refused(tmp_path, f"{FIXED}\nlook: 3")
    assert "did you mean" not in problem


def test_looks_are_checked_in_python_too():
    with pytest.raises(ValidationError, match="at_most"):
        experiment(seeds={"start": 3, "at_most": 2, "until": 2})
