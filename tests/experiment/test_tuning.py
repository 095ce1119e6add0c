"""Trials in an experiment file: the same number for every regime, or refused at their line."""

import pytest

from tests.builders import TINY_YAML, choice, experiment, write_tiny
from tests.experiment.test_loading import at, loaded, problems, tiny
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import trials_of
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight

TUNE = "tune: {lr: [0.001, 0.01], weight_decay: [0.0, 0.1]}\n"
OWN = "  linear_probe: {lr: 0.5, tune: [{lr: 0.1}, {lr: 0.2}, {lr: 0.3}, {weight_decay: 0.1}]}\n"


def test_named_values_are_tried_in_all_combinations():
    trials = loaded(TINY_YAML + TUNE).tune
    assert trials == (
        {"lr": 0.001, "weight_decay": 0.0},
        {"lr": 0.001, "weight_decay": 0.1},
        {"lr": 0.01, "weight_decay": 0.0},
        {"lr": 0.01, "weight_decay": 0.1},
    )


def test_a_regime_may_have_trials_of_its_own_as_many():
    made = loaded(tiny("  linear_probe: {}\n", OWN) + TUNE)
    assert trials_of(made, "linear_probe")[3] == {"weight_decay": 0.1}
    assert trials_of(made, "from_scratch") == made.tune
    assert trials_of(made, "majority") is None


def test_an_option_that_some_trial_leaves_alone_keeps_its_value():
    from transfer_lab.experiment.plan import plan

    made = loaded(tiny("  linear_probe: {}\n", OWN) + TUNE)
    (options,) = {str(c.run.regime.options) for c in plan(made) if c.regime == "linear_probe"}
    assert options == "{'lr': 0.5}"


def test_both_ways_of_writing_the_same_trials_are_the_same_runs():
    from transfer_lab.experiment.plan import plan, runs_of

    one = loaded(TINY_YAML + "tune: {lr: [0.1, 0.2]}\n")
    other = loaded(TINY_YAML + "tune: [{lr: 0.1}, {lr: 0.2}]\n")
    assert set(runs_of(plan(one))) == set(runs_of(plan(other)))
    assert set(runs_of(plan(one))) != set(runs_of(plan(loaded())))


@pytest.mark.parametrize(
    ("text", "needle", "field", "message"),
    [
        (
            tiny("  linear_probe: {}\n", OWN) + "tune: {lr: [0.1, 0.2]}\n",
            "tune: [{lr",
            "regimes.linear_probe.tune",
            "4 trials, but from_scratch has 2",
        ),
        (
            tiny("  linear_probe: {}\n", OWN),
            "from_scratch:",
            "regimes.from_scratch",
            "1 trial, but linear_probe has 4",
        ),
        (
            tiny("majority: {}", "majority: {tune: {lr: [0.1, 0.2]}}"),
            "tune: {lr",
            "regimes.majority.tune",
            "learns nothing",
        ),
        (
            tiny("batch_size: 8}\npretrain", "batch_size: 8, val_fraction: 0}\npretrain") + TUNE,
            "val_fraction: 0",
            "fit.val_fraction",
            "chosen by validation",
        ),
        (
            tiny(
                "target: cyrillic, per_class: 4}\n  small_d",
                "target: cyrillic, per_class: 1}\n  small_d",
            )
            + TUNE,
            "per_class: 1",
            "scenarios.small_similar.per_class",
            "leaves none for validation",
        ),
        (TINY_YAML + "tune: {lr: 0.1}\n", "lr: 0.1", "tune.lr", "as a list"),
        (TINY_YAML + "tune: {lr: []}\n", "lr: []", "tune.lr", "as a list"),
        (TINY_YAML + "tune: {lr: [0.1]}\n", "tune:", "tune", "at least 2"),
        (TINY_YAML + "tune: {lr: [0.1, 0.1]}\n", "tune:", "tune", "the same trial twice"),
        (TINY_YAML + "tune: often\n", "tune:", "tune", "often"),
        (TINY_YAML + "tune: [{}, {lr: 1.0}]\n", "{}, {lr", "tune.0", "at least 1"),
        (
            TINY_YAML + f"tune: {{lr: {list(range(1, 40))}, weight_decay: {list(range(1, 40))}}}\n",
            "tune:",
            "tune",
            "1,521 trials",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_would_be_unfair_or_impossible_is_refused_at_its_line(text, needle, field, message):
    (told,) = problems(text)
    assert told.startswith(f"{at(text, needle)}: {field}: ")
    assert message in told


def refusals(text: str, folder) -> list[str]:
    file = load_experiment(write_tiny(folder, text))
    with pytest.raises(ConfigError) as refused:
        file.refuse(preflight(file.experiment))
    return [line.partition(".yaml:")[2] for line in refused.value.problems]


def test_an_option_that_a_regime_does_not_have_is_refused_at_its_line(tmp_path):
    text = TINY_YAML + "tune: {backbone_lr: [0.1, 0.2]}\n"
    place = at(text, "backbone_lr:")
    told = refusals(text, tmp_path)
    assert [line.partition(": unknown")[0] for line in told] == [
        f"{place}: tune.backbone_lr: from_scratch",
        f"{place}: tune.backbone_lr: linear_probe",
    ]


def test_a_value_that_a_regime_refuses_is_named_in_its_own_trials(tmp_path):
    text = tiny("  linear_probe: {}\n", OWN.replace("{lr: 0.3}", "{lr: -0.3}")) + TUNE
    (told,) = refusals(text, tmp_path)
    assert told.startswith(
        f"{at(text, 'tune: [')}: regimes.linear_probe.tune: linear_probe: lr must"
    )


def test_a_mistake_in_the_fixed_options_stands_at_its_own_place(tmp_path):
    text = tiny("linear_probe: {}", "linear_probe: {wieght_decay: 1}") + "tune: {lr: [0.1, 0.2]}\n"
    (told,) = refusals(text, tmp_path)
    assert told.startswith(f"{at(text, 'wieght_decay')}: regimes.linear_probe.wieght_decay: ")


def test_a_required_option_may_be_what_is_tuned():
    regimes = {"partial_finetune": {**choice("partial_finetune"), "tune": [{"k": 0}, {"k": 1}]}}
    made = experiment(regimes=regimes)
    assert preflight(made) == []
    from transfer_lab.cli.freeze_table import frozen_maps

    assert all("partial_finetune" in table for table in frozen_maps(made))
