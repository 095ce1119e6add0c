"""What identifies a run, and which runs an experiment needs."""

import hashlib
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.builders import ENVIRONMENT, choice, experiment, tiny_run
from transfer_lab.experiment import spec
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Choice, Weights
from transfer_lab.experiment.plan import parents_of, plan, runs_of
from transfer_lab.experiment.spec import PROTOCOL, Fit, Run


def changed_by(run: Run, **fields) -> dict:
    return run.model_dump() | fields


RUN_CHANGES = {
    "domain": [choice("latin"), choice("greek", letters="ABCD")],
    "image_size": [13],
    "per_class": [7, "all"],
    "backbone": [choice("cnn"), choice("mlp", width=9, depth=2), choice("mlp", width=8)],
    "regime": [choice("majority"), choice("from_scratch", lr=0.1)],
    "fit": [{"epochs": 3, "batch_size": 8}],
    "seed": [1],
    "init": [tiny_run().model_dump()],
    "tune": [[{"lr": 0.1}, {"lr": 0.2}], [{"lr": 0.2}, {"lr": 0.1}], [{"lr": 0.1}, {"lr": 0.3}]],
    "streams": [
        {role: {"domain": choice("latin"), "per_class": n, "val_fraction": 0.1, "seed": 0} | more}
        for role, n, more in (
            ("source", 5, {}),
            ("source_2", 5, {}),
            ("source", 6, {}),
            ("source", 5, {"seed": 1}),
            ("source", 5, {"labelled": False}),
        )
    ],
    "purpose": ["search"],
    "searches": [
        [changed_by(tiny_run(seed=seed), purpose="search", tune=[{"lr": 0.1}, {"lr": rate}])]
        for seed, rate in ((0, 0.2), (1, 0.2), (0, 0.3))
    ],
    "starts": [{"teacher": tiny_run(seed=seed).model_dump()} for seed in (0, 1)],
    "labels": ["none"],
    "subset_seed": [5],
    "fold": [(3, 0), (3, 1), (4, 0)],
}
FIT_CHANGES = {
    "epochs": 11,
    "min_steps": 1,
    "batch_size": 65,
    "val_fraction": 0.25,
    "augment": {"flip": True},
    "patience": 4,
}


def changed(run: Run, **fields) -> Run:
    return Run.model_validate(changed_by(run, **fields))


def test_the_id_is_the_same_in_another_process():
    run = tiny_run("linear_probe", init=tiny_run(seed=3), lr=0.1, weight_decay=1e-5)
    code = (
        "from transfer_lab.experiment.spec import Run; print(Run.model_validate_json(input()).id)"
    )
    for hash_seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            input=run.model_dump_json(),
            capture_output=True,
            text=True,
            check=True,
            env={**ENVIRONMENT, "PYTHONHASHSEED": hash_seed},
        )
        assert told.stdout.strip() == run.id


@given(st.permutations(["letters", "train_per_class", "test_per_class", "render_seed"]))
def test_the_id_does_not_depend_on_the_order_of_options(order):
    values = {"letters": "AB", "train_per_class": 3, "test_per_class": 4, "render_seed": 5}
    shuffled = choice("latin", **{key: values[key] for key in order})
    assert (
        changed(tiny_run(), domain=shuffled).id
        == changed(tiny_run(), domain=choice("latin", **values)).id
    )


@pytest.mark.parametrize("field", sorted(RUN_CHANGES))
def test_the_id_changes_with(field):
    run = tiny_run()
    ids = {changed(run, **{field: value}).id for value in RUN_CHANGES[field]} | {run.id}
    assert len(ids) == len(RUN_CHANGES[field]) + 1


@pytest.mark.parametrize("field", sorted(FIT_CHANGES))
def test_the_id_changes_with_the_budgets(field):
    base = changed(tiny_run(), fit={})
    assert changed(base, fit={field: FIT_CHANGES[field]}).id != base.id


def test_the_changes_above_cover_every_field():
    assert set(RUN_CHANGES) == set(Run.model_fields)
    assert set(FIT_CHANGES) == set(Fit.model_fields)


@pytest.mark.parametrize("field", sorted(set(RUN_CHANGES) - {"init"}))
def test_the_id_of_a_child_changes_with_its_parents(field):
    parent = tiny_run()
    child = tiny_run("linear_probe", init=parent)
    other = changed(child, init=changed(parent, **{field: RUN_CHANGES[field][0]}).model_dump())
    assert other.id != child.id


def test_the_id_changes_with_the_protocol_number(monkeypatch):
    before = tiny_run().id
    monkeypatch.setattr(spec, "PROTOCOL", spec.PROTOCOL + 1)
    assert tiny_run().id != before


def test_a_budget_written_out_and_left_at_its_default_is_one_run():
    written = {"epochs": 10, "min_steps": 0, "batch_size": 64, "val_fraction": 0.2}
    assert changed(tiny_run(), fit=written).id == changed(tiny_run(), fit={}).id


@given(
    st.dictionaries(
        st.text("abcdefgh_", min_size=1), st.integers() | st.booleans() | st.text("xyz")
    )
)
def test_a_label_shows_the_kind_and_every_option(options):
    label = Choice(kind="vgg16", options=options).label
    assert label.startswith("vgg16")
    for key, value in options.items():
        shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
        assert f"{key}={shown}" in label
    assert options or label == "vgg16"


def test_a_plan_has_one_cell_a_place_in_the_order_of_the_file():
    asked = experiment()
    places = [
        (scenario, asked.backbones[backbone].label, regime, seed)
        for scenario in asked.scenarios
        for backbone in asked.backbones
        for regime in asked.regimes
        for seed in asked.seeds
    ]
    assert [(c.scenario, c.backbone, c.regime, c.seed) for c in plan(asked)] == places
    assert len(set(places)) == 4 * 2 * 7 * 2


def test_planning_twice_gives_the_same_cells():
    assert plan(experiment()) == plan(experiment())


def test_names_and_trackers_do_not_change_what_is_trained():
    plain = experiment()
    renamed = experiment(
        name="other",
        title="Another title",
        wandb={"mode": "offline"},
        scenarios={f"x{name}": place for name, place in plain.scenarios.items()},
    )
    assert [c.run.id for c in plan(renamed)] == [c.run.id for c in plan(plain)]


def test_a_cell_repeats_what_its_scenario_says():
    asked = experiment()
    for cell in plan(asked):
        place = asked.scenarios[cell.scenario]
        assert (cell.source, cell.target) == (place.source, place.target)
        assert (cell.size, cell.similarity) == (place.size, place.similarity)
        assert cell.experiment == asked.name
        assert cell.run.per_class == place.per_class
        assert cell.run.domain == asked.domains[place.target]
        regime = asked.regimes[cell.regime]
        assert (cell.run.regime.kind, cell.run.regime.options) == (regime.kind, regime.options)
        assert cell.run.fit == asked.fit
        assert cell.run.seed == cell.seed
        assert cell.run.image_size == asked.image_size


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("regime", ["from_scratch", "majority", "random_features"])
def test_what_starts_from_no_source_is_trained_once_for_both_sources(regime, size):
    runs = {}
    for cell in plan(experiment()):
        if (cell.regime, cell.size) == (regime, size):
            runs.setdefault(cell.similarity, []).append(cell.run.id)
    assert runs["similar"] == runs["dissimilar"]
    assert len(set(runs["similar"])) == 2 * 2


def test_what_starts_from_a_source_is_trained_for_each_source():
    cells = [c for c in plan(experiment()) if c.regime == "linear_probe"]
    assert len({c.run.id for c in cells}) == len(cells) == 4 * 2 * 2


def test_from_source_regimes_start_from_a_from_scratch_run_on_the_scenarios_source():
    pretrain = {"epochs": 3, "batch_size": 9, "per_class": 5, "seed": 4, "options": {"lr": 0.5}}
    asked = experiment(pretrain=pretrain)
    seen = set()
    for cell in plan(asked):
        init = cell.run.init
        assert (init is not None) == REGIMES[cell.run.regime.kind].from_source
        if init:
            seen.add(cell.run.regime.kind)
            assert init.regime == Choice(kind="from_scratch", options={"lr": 0.5})
            assert init.domain == asked.domains[cell.source]
            assert init.backbone == cell.run.backbone
            assert init.image_size == cell.run.image_size
            assert (init.per_class, init.seed, init.init) == (5, 4, None)
            assert init.fit == Fit(epochs=3, batch_size=9)
    assert seen == {"linear_probe", "partial_finetune", "full_finetune", "lp_ft"}


def source_runs(asked) -> list[Run]:
    runs = runs_of(plan(asked))
    return [runs[run_id] for run_id in parents_of(runs.values())]


def test_there_is_one_source_run_for_each_source_and_backbone():
    found = {(run.domain.kind, run.backbone.kind) for run in source_runs(experiment())}
    assert len(source_runs(experiment())) == len(found) == 2 * 2
    assert {run.seed for run in source_runs(experiment())} == {0}


def test_there_is_one_source_run_a_seed_where_pretrain_says_per_seed():
    asked = experiment(pretrain={"per_seed": True}, seeds=[0, 1, 5])
    found = {(run.domain.kind, run.backbone.kind, run.seed) for run in source_runs(asked)}
    assert len(source_runs(asked)) == len(found) == 2 * 2 * 3
    assert all(c.run.init.seed == c.seed for c in plan(asked) if c.run.init)


def test_runs_are_distinct_and_every_parent_stands_before_its_children():
    cells = plan(experiment())
    runs = runs_of(cells)
    order = list(runs)
    assert {c.run.id for c in cells} < set(runs)
    assert all(run_id == run.id for run_id, run in runs.items())
    for run in runs.values():
        if run.init:
            assert order.index(run.init.id) < order.index(run.id)


def test_the_same_backbone_under_two_names_is_refused():
    """It would count one result as two, as the same seed twice would."""
    with pytest.raises(ValidationError, match="the same backbone with the same options"):
        experiment(backbones={"a": choice("mlp"), "b": choice("mlp")})
    assert plan(experiment(backbones={"a": choice("mlp"), "b": choice("mlp", width=9)}))


def test_weights_of_one_name_are_told_apart_and_those_of_one_content_are_not():
    def start(path: str, digit: str) -> dict:
        weights = {"origin": "file", "sha256": digit * 64, "path": path}
        return choice("mlp") | {"pretrained": weights}

    found = experiment(backbones={"a": start("x/w.pth", "1"), "b": start("y/w.pth", "2")})
    assert [c.label for c in found.backbones.values()] == [
        "mlp(pretrained=w) [a]",
        "mlp(pretrained=w) [b]",
    ]
    scratch = {c.run.id for c in plan(found) if c.regime == "from_scratch"}
    assert len(scratch) == 2 * 2  # sizes and seeds: it is the same network without its weights
    with pytest.raises(ValidationError, match="the same backbone with the same options"):
        experiment(backbones={"a": start("x/w.pth", "1"), "b": start("y/v.pth", "1")})


def plainly(run):
    """The id by its definition: everything written out, in one piece."""
    content = json.dumps([PROTOCOL, run.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


TRIED = [{"lr": 0.1}, {"lr": 0.2}]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fit": {"augment": {"flip": True}}},
        {"fit": {"patience": 3}},
        {"budgets": {"longer": {"epochs": 20}}},
        {"tune": TRIED},
        {"tune": TRIED, "search": {"seed": 7}},
    ],
)
def test_the_id_is_the_hash_of_the_whole_content(changes):
    """Whatever parts of it are written only once for many runs."""
    runs = runs_of(plan(experiment(**changes)))
    assert any(run.parent for run in runs.values())
    assert {run_id: plainly(run) for run_id, run in runs.items()} == {i: i for i in runs}
    for run in filter(lambda run: run.tune, runs.values()):
        for made in (run.refit(run.tune[0]), run.trial(run.tune[1])):
            assert made.id == plainly(made)


def test_the_id_of_a_run_on_ready_made_weights_is_that_hash():
    weights = Weights(origin="file", sha256="0" * 64, path="/somewhere/w.pth")
    start = tiny_run("linear_probe", init=weights, lr=0.1, recipe="ключ \u2028 \"'")
    assert start.id == plainly(start)


def test_a_changed_copy_has_an_id_of_its_own():
    run = tiny_run()
    known = run.id, run.fit.canonical
    fit = run.fit.model_copy(update={"epochs": 7})
    changed = run.model_copy(update={"fit": fit})
    assert changed.id == plainly(changed) != run.id
    assert (run.id, run.fit.canonical) == known
    assert run.model_copy() == run
