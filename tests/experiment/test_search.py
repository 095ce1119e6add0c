"""Trials that are tried once for the whole grid: what is planned, and what is refused."""

import pytest

from tests.builders import TINY_YAML, choice, experiment
from tests.experiment.test_loading import at, loaded, problems, tiny
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.plan import plan, runs_of, searched_in, searches_of
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.preflight import preflight

TRIED = [{"lr": 0.001}, {"lr": 0.01}]
TUNE = "tune: {lr: [0.001, 0.01]}\n"


def asked(**changes):
    return experiment(**{"tune": TRIED, "search": {"seed": 7}} | changes)


def searches(made) -> list[Run]:
    return [run for run in runs_of(plan(made)).values() if run.purpose == "search"]


def test_each_regime_and_backbone_has_one_search_for_all_scenarios_sizes_and_seeds():
    made = asked()
    for cell in plan(made):
        assert cell.run.tune is None
        arms = {(r.regime.kind, r.backbone.label) for r in cell.run.searches}
        learns = cell.regime != "majority"
        assert arms == ({(cell.regime, cell.backbone)} if learns else set())
    by_arm: dict[tuple, set] = {}
    for cell in plan(made):
        named = tuple(search.id for search in cell.run.searches)
        by_arm.setdefault((cell.backbone, cell.regime), set()).add(named)
    assert all(len(found) == 1 for found in by_arm.values())


def test_a_search_is_the_run_of_its_place_and_seed_but_for_its_trials():
    made = asked(pretrain={"per_seed": True})
    there = asked(pretrain={"per_seed": True}, seeds=[7], search=None)
    by_place = {(c.scenario, c.backbone, c.regime): c.run for c in plan(there)}
    seen = 0
    for (backbone, regime, _), found in searches_of(made).items():
        assert set(found) == {"small_similar", "small_dissimilar"}
        for scenario, run in found.items():
            like = by_place[scenario, made.backbones[backbone].label, regime]
            assert run.canonical_but("purpose") == like.canonical_but("purpose")
            assert run.id != like.id
            assert run.seed == 7
            assert run.init is None or run.init.seed == 7
            seen += 1
    assert seen == 2 * 2 * 6


def test_what_sees_no_source_is_searched_once():
    found = searches_of(asked())
    for (_, regime, _), runs in found.items():
        distinct = {run.id for run in runs.values()}
        assert len(distinct) == (1 if regime in ("from_scratch", "random_features") else 2)
    assert len(searches(asked())) == 2 * (4 * 2 + 2)


def test_the_order_in_which_scenarios_are_named_does_not_matter():
    names = ["large_similar", "small_dissimilar"]
    first, second = (
        asked(search={"seed": 7, "scenarios": order}) for order in (names, names[::-1])
    )
    assert set(runs_of(plan(first))) == set(runs_of(plan(second)))
    assert searched_in(first, "lp_ft") == ("small_dissimilar", "large_similar")
    assert set(runs_of(plan(first))) != set(runs_of(plan(asked())))


def test_a_regime_that_is_not_in_the_small_ones_is_searched_where_it_has_the_fewest_images():
    regimes = {"lp_ft": {**choice("lp_ft"), "scenarios": ["large_similar", "large_dissimilar"]}}
    assert searched_in(asked(regimes=regimes), "lp_ft") == ("large_dissimilar", "large_similar")


def test_each_budget_has_its_own_searches():
    made = asked(budgets={"longer": {"epochs": 20}})
    arms = {(backbone, regime) for backbone, regime, _ in searches_of(made)}
    assert dict.fromkeys(arms, 2) == {
        arm: len({budget for *one, budget in searches_of(made) if tuple(one) == arm})
        for arm in arms
    }
    for cell in plan(made):
        assert {search.fit for search in cell.run.searches} <= {cell.run.fit}


@pytest.mark.parametrize("changes", [{}, {"tune": TRIED}], ids=["untuned", "tuned in each place"])
def test_without_the_key_nothing_is_searched_apart(changes):
    made = experiment(**changes)
    assert searches(made) == [] and searches_of(made) == {}
    assert all(not c.run.searches for c in plan(made))
    assert "purpose" not in plan(made)[0].run.canonical


def test_no_run_of_the_grid_and_no_search_have_a_seed_in_common():
    made = asked(pretrain={"per_seed": True})
    seeds = {run.seed for run in runs_of(plan(made)).values() if run.purpose == "result"}
    assert {run.seed for run in searches(made)} == {7}
    assert {cell.seed for cell in plan(made)} == {0, 1} == seeds - {7}


def test_a_run_without_searches_and_one_with_other_searches_are_three():
    run = next(c.run for c in plan(asked()) if c.regime == "lp_ft")
    other = next(c.run for c in plan(asked(search={"seed": 8})) if c.regime == "lp_ft")
    assert len({run.id, other.id, run.trial({}).id}) == 3
    assert Run.model_validate_json(run.model_dump_json()).id == run.id


def test_names_tell_searches_and_what_only_they_need():
    teaching = {"lp_ft": choice("lp_ft"), "distilled": choice("distillation")}
    teaching["distilled"]["teacher"] = {"backbone": "cnn", "regime": "lp_ft"}
    made = asked(regimes=teaching, pretrain={"per_seed": True})
    names = run_names(made, plan(made))
    assert set(names) == set(runs_of(plan(made)))
    told = [str(name) for name in names.values()]
    assert len(set(told)) == len(told)
    assert "search for mlp lp_ft, small_similar, seed 7" in told
    assert "source run on latin: cnn seed 7" in told
    assert "cnn lp_ft, small_similar, seed 7" in told  # the teacher of that seed


def test_trials_may_be_shorter_than_what_goes_by_them_and_are_never_longer():
    budgets = {"fit": {"epochs": 6}, "budgets": {"short": {"epochs": 2, "batch_size": 8}}}
    made = asked(search={"seed": 7, "epochs": 3}, **budgets)
    assert {run.fit.epochs for run in searches(made)} == {3, 2}
    results = {cell.run.fit.epochs for cell in plan(made)}
    assert results == {6, 2}
    usual = {run.id for run in searches(asked(search={"seed": 7}, **budgets))}
    assert not usual >= {run.id for run in searches(made)}
    as_long = asked(search={"seed": 7, "epochs": 6}, **budgets)
    assert {run.id for run in searches(as_long)} == usual


SEARCH = "search: {seed: 1}\n"


@pytest.mark.parametrize(
    ("text", "needle", "field", "message"),
    [
        (
            TINY_YAML + TUNE + "search: {}\n",
            "{}\n",
            "search.seed",
            "0 is a seed of the grid (0, 1)",
        ),
        (TINY_YAML + TUNE + SEARCH, "1}\n", "search.seed", "1 is a seed of the grid (0, 1)"),
        (TINY_YAML + "search: {seed: 5}\n", "search", "search", "there are no trials"),
        (
            TINY_YAML + TUNE + "search: {seed: 5, scenarios: [small_simlar]}\n",
            "small_simlar",
            "search.scenarios.0",
            "no scenario 'small_simlar' here; did you mean 'small_similar'",
        ),
        (
            tiny("linear_probe: {}", "linear_probe: {scenarios: [small_similar]}")
            + TUNE
            + "search: {seed: 5, scenarios: [small_dissimilar]}\n",
            "[small_dissimilar]",
            "search.scenarios",
            "linear_probe has trials and is planned in none of these",
        ),
        (TINY_YAML + TUNE + "search: {seed: 5, epochs: 0}\n", "0}\n", "search.epochs", "1"),
        (TINY_YAML + TUNE + "search: {sed: 5}\n", "sed", "search.sed", "unknown key"),
        (TINY_YAML + TUNE + "search: 5\n", "search", "search", "5"),
        (TINY_YAML + TUNE + "search: {seed: 5, scenarios: []}\n", "[]", "search.scenarios", "1"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_cannot_be_meant_is_refused_at_its_line(text, needle, field, message):
    told = [line for line in problems(text) if f": {field}: " in line]
    assert len(told) == 1
    assert message in told[0]


def test_patience_may_watch_the_images_that_validate_since_no_run_learns_from_them():
    text = TINY_YAML.replace("batch_size: 8}\npretrain", "batch_size: 8, patience: 2}\npretrain")
    assert "`search`" in problems(text + TUNE)[0]
    assert loaded(text + TUNE + "search: {seed: 5}\n").search.seed == 5


def test_one_image_per_class_is_enough_where_nothing_is_searched():
    text = TINY_YAML.replace(
        "greek, target: cyrillic, per_class: 4", "greek, target: cyrillic, per_class: 1"
    )
    only = "search: {seed: 5, scenarios: [small_similar]}\n"
    assert loaded(text + TUNE + only)
    assert any("per_class" in line for line in problems(text + TUNE))
    assert any("per_class" in line for line in problems(text + TUNE + "search: {seed: 5}\n"))


def test_every_trial_is_looked_at_before_training():
    regimes = {"partial_finetune": {**choice("partial_finetune"), "tune": [{"k": 0}, {"k": 99}]}}
    (first, *_) = preflight(asked(regimes=regimes, tune=None))
    assert first[0][:3] == ("regimes", "partial_finetune", "tune")
    assert preflight(asked()) == []


def test_place_of_a_problem_is_that_of_the_key():
    text = TINY_YAML + TUNE + SEARCH
    (told,) = problems(text)
    assert told.startswith(at(text, "seed: 1}"))
