"""What a run would refuse is refused before any run, at its place in the file."""

import numpy as np
import pytest

from tests.builders import TINY_YAML, choice, experiment, write_tiny
from transfer_lab.data.splits import nested_subset
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import _least_epochs, preflight
from transfer_lab.regimes.optim import RECIPES
from transfer_lab.training.fit import epochs_for

MLP, CNN = choice("mlp"), choice("cnn")
FIVE_STAGES = choice("vgg16", width=0.05, top="pooled")


def found(**changes) -> dict[str, str]:
    """Field -> message, for problems in fields that differ."""
    problems = preflight(experiment(**changes))
    fields = {".".join(path): message for path, message in problems}
    assert len(fields) == len(problems)
    return fields


LOCATING = {"detection": choice("detection"), "encoder_decoder": choice("encoder_decoder")}


def test_a_target_without_the_annotations_that_are_learnt_is_refused_with_the_way_out():
    place = {"size": "small", "per_class": 2, "similarity": "similar"}
    scenarios = {
        "letters": {"source": "latin", "target": "cyrillic", **place},
        "patterns": {"source": "latin", "target": "textures", **place},
    }
    regimes = {"full_finetune": choice("full_finetune")}
    assert found(scenarios=scenarios, regimes=regimes) == {}
    for name, kind in (("detection", "boxes"), ("encoder_decoder", "masks")):
        told = found(scenarios=scenarios, regimes=regimes | {name: LOCATING[name]})
        assert told == {
            "scenarios.patterns.target": f"textures knows no {kind} of its images, which {name} "
            f"learns; leave {name} out, or take a target that does, as the letters latin, greek "
            "and cyrillic"
        }


def test_annotations_are_not_learnt_from_augmented_images():
    regimes, augmented = {"full_finetune": choice("full_finetune")}, Fit(augment={"flip": True})
    assert found(fit=augmented, regimes=regimes) == {}
    told = found(fit=augmented, regimes=regimes | LOCATING)
    assert told["fit.augment"] == (
        "boxes, which detection learns, would not move with the images; leave augment out, or "
        "detection, encoder_decoder"
    )


def test_the_built_experiment_has_no_problems():
    assert found() == {}


@pytest.mark.parametrize(
    ("group", "kind", "wrong", "right"),
    [
        ("regimes", "linear_probe", "wieght_decay", "weight_decay"),
        ("regimes", "lp_ft", "probe_rate", "probe_lr"),
        ("backbones", "vgg16", "batchnorm", "batch_norm"),
        ("backbones", "mlp", "widht", "width"),
        ("domains", "latin", "leters", "letters"),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest(group, kind, wrong, right):
    entries = {"x": choice(kind, **{wrong: 1})}
    if group == "domains":
        entries = {"textures": choice("textures"), "cyrillic": choice("cyrillic")} | entries
    told = found(**{group: entries})
    assert list(told) == [f"{group}.x.{wrong}"]
    assert told[f"{group}.x.{wrong}"].startswith("unknown option; did you mean ")
    assert f"'{right}'" in told[f"{group}.x.{wrong}"]


@pytest.mark.parametrize(
    ("regime", "option", "value"),
    [
        ("linear_probe", "lr", "fast"),
        ("linear_probe", "lr", "0.1"),
        ("linear_probe", "lr", True),
        ("linear_probe", "lr", None),
        ("linear_probe", "lr", [0.1]),
        ("partial_finetune", "k", 1.5),
        ("partial_finetune", "reinit", "yes"),
    ],
)
def test_an_option_of_the_wrong_type_is_named_with_its_value(regime, option, value):
    options = {"k": 1} if regime == "partial_finetune" else {}
    told = found(regimes={"x": choice(regime, **(options | {option: value}))})
    assert list(told) == [f"regimes.x.{option}"]
    assert repr(value) in told[f"regimes.x.{option}"]


def test_a_whole_number_is_a_learning_rate_too():
    assert found(regimes={"x": choice("linear_probe", lr=1)}) == {}


def test_a_missing_option_is_named():
    assert found(regimes={"x": choice("partial_finetune")}) == {
        "regimes.x": "option 'k' is missing"
    }


@pytest.mark.parametrize("k", [4, 5])
def test_k_is_compared_with_the_stages_of_each_backbone(k):
    regimes = {"x": choice("partial_finetune", k=k)}
    told = preflight(
        experiment(regimes=regimes, backbones={"mlp": MLP, "deep": FIVE_STAGES, "cnn": CNN})
    )
    assert [path for path, _ in told] == [("regimes", "x")] * 2
    assert "backbone mlp has 3 stages" in told[0][1]
    assert "backbone cnn has 3 stages" in told[1][1]


@pytest.mark.parametrize("k", [0, 3])
def test_k_may_be_zero_or_every_stage(k):
    assert found(regimes={"x": choice("partial_finetune", k=k)}) == {}


@pytest.mark.parametrize(
    ("regime", "option", "value"),
    [
        ("linear_probe", "lr", -0.1),
        ("linear_probe", "lr", 0),
        ("from_scratch", "lr", float("nan")),
        ("full_finetune", "backbone_lr", float("inf")),
        ("lp_ft", "probe_lr", -1),
        ("lp_ft", "probe_share", 0),
        ("lp_ft", "probe_share", 1.0),
        ("lp_ft", "probe_share", 1.5),
        ("linear_probe", "weight_decay", -1e-4),
        ("linear_probe", "weight_decay", float("nan")),
        ("linear_probe", "weight_decay", float("inf")),
    ],
)
def test_a_rate_or_share_out_of_range_is_named(regime, option, value):
    told = found(regimes={"x": choice(regime, **{option: value})})
    assert list(told) == ["regimes.x"]
    assert option in told["regimes.x"]


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.startswith("keras")])
@pytest.mark.parametrize("kind", ["from_scratch", "linear_probe", "lp_ft", "full_finetune"])
def test_a_weight_decay_that_the_recipe_would_ignore_is_refused(kind, recipe):
    told = found(regimes={"x": choice(kind, recipe=recipe, weight_decay=0.01)})
    assert list(told) == ["regimes.x"]
    assert f"recipe {recipe} has no weight decay" in told["regimes.x"]
    assert found(regimes={"x": choice(kind, recipe=recipe)}) == {}
    assert found(regimes={"x": choice(kind, weight_decay=0.01)}) == {}


def test_a_negative_k_is_refused():
    told = found(regimes={"x": choice("partial_finetune", k=-1)}, backbones={"mlp": MLP})
    assert list(told) == ["regimes.x"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mlp", {"width": 0}),
        ("mlp", {"depth": -1}),
        ("mlp", {"width": 10**13}),
        ("cnn", {"filters": 0}),
        ("vgg16", {"width": 0.0}),
        ("vgg16", {"width": 4.5}),
        ("vgg16", {"width": float("nan")}),
    ],
)
def test_a_backbone_that_cannot_be_built_is_named(kind, options):
    assert list(found(backbones={"x": choice(kind, **options)})) == ["backbones.x"]


@pytest.mark.parametrize(
    "options",
    [
        {"letters": ""},
        {"letters": "A"},
        {"letters": "ABA"},
        {"letters": "A\u6c49"},
        {"train_per_class": 0},
        {"test_per_class": -1},
        {"train_per_class": 10**13},
    ],
)
def test_a_domain_that_cannot_be_built_is_named(options):
    domains = {kind: choice(kind) for kind in ("latin", "textures", "cyrillic")}
    told = found(domains=domains | {"cyrillic": choice("cyrillic", **options)})
    assert list(told) == ["domains.cyrillic"]


def test_a_scenario_that_asks_for_more_images_than_there_are_is_named():
    domains = {kind: choice(kind) for kind in ("latin", "textures")}
    told = found(domains={**domains, "cyrillic": choice("cyrillic", train_per_class=3)})
    assert set(told) == {
        "scenarios.large_similar.per_class",
        "scenarios.large_dissimilar.per_class",
    }
    for message in told.values():
        assert "4 images per class" in message
        assert "the smallest class has 3" in message


def test_pretraining_that_asks_for_more_images_than_there_are_names_the_source():
    domains = {
        "latin": choice("latin", train_per_class=5),
        "textures": choice("textures", train_per_class=6),
        "cyrillic": choice("cyrillic"),
    }
    told = preflight(experiment(domains=domains, pretrain={"per_class": 6}))
    assert told == [
        (
            ("pretrain", "per_class"),
            "latin: 6 images per class asked for, but the smallest class has 5",
        )
    ]


def test_options_of_pretraining_are_those_of_from_scratch():
    assert found(pretrain={"options": {"lr": 0.1}}) == {}
    assert list(found(pretrain={"options": {"k": 1}})) == ["pretrain.options.k"]
    assert list(found(pretrain={"options": {"lr": -1}})) == ["pretrain.options"]


def test_all_problems_come_at_once():
    told = found(
        domains={
            "latin": choice("latin", letters="A"),
            "textures": choice("textures", size=3),
            "cyrillic": choice("cyrillic", train_per_class=3),
        },
        backbones={"mlp": choice("mlp", width=0), "cnn": CNN},
        regimes={
            "a": choice("linear_probe", lr=-1),
            "b": choice("lp_ft", share=1, probe="x"),
        },
        pretrain={"options": {"k": 1}},
    )
    assert set(told) == {
        "domains.latin",
        "domains.textures.size",
        "scenarios.large_similar.per_class",
        "scenarios.large_dissimilar.per_class",
        "backbones.mlp",
        "regimes.a",
        "regimes.b.share",
        "regimes.b.probe",
        "pretrain.options.k",
    }


def test_problems_are_shown_at_the_line_and_column_of_the_option(tmp_path):
    text = TINY_YAML.replace("linear_probe: {}", "linear_probe: {weight_decay: 0.1, lrr: 1}")
    file = load_experiment(write_tiny(tmp_path, text))
    with pytest.raises(ConfigError) as caught:
        file.refuse(preflight(file.experiment))
    (told,) = caught.value.problems
    line = next(n for n, written in enumerate(text.splitlines(), 1) if "lrr" in written)
    column = text.splitlines()[line - 1].index("lrr") + 1
    assert told.startswith(f"{file.source.path}:{line}:{column}: regimes.linear_probe.lrr: ")


def test_a_regime_that_leaves_stages_out_leaves_them_to_the_next():
    regimes = {
        "early": choice("linear_probe", stage=1),
        "last": choice("partial_finetune", k=5),
    }
    assert found(backbones={"vgg16": FIVE_STAGES}, regimes=regimes) == {}
    assert list(
        found(backbones={"cnn": CNN}, regimes={"early": choice("linear_probe", stage=4)})
    ) == ["regimes.early"]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"epochs": 1}, "lp_ft has 2 phases"),
        ({"epochs": 1, "min_steps": 2, "batch_size": 64}, "a budget of 1"),
        ({"epochs": 1, "min_steps": 3, "batch_size": 64}, None),
        ({"epochs": 1, "min_steps": 3, "batch_size": 64, "val_fraction": 0}, "a budget of 1"),
        ({"epochs": 1, "min_steps": 4, "batch_size": 64, "val_fraction": 0}, None),
        ({"epochs": 2}, None),
    ],
    ids=[
        *("one epoch", "as many steps as the largest scenario has", "one step more"),
        *("the same where nothing validates", "and one step more", "two epochs"),
    ],
)
def test_more_phases_than_epochs_are_refused_where_a_scenario_has_no_more(budget, message):
    """Up to 33 classes x 4 images, of which 1 validates: 2 steps of 64, and 3 of all of them."""
    told = found(fit=Fit(**budget))
    assert list(told) == ([] if message is None else ["fit.epochs"])
    for text in told.values():
        assert message in text
        assert "set epochs to 2 or more, or leave lp_ft out" in text


def test_one_epoch_is_enough_for_regimes_of_one_phase():
    regimes = {"from_scratch": choice("from_scratch"), "majority": choice("majority")}
    assert found(fit=Fit(epochs=1), regimes=regimes) == {}


def test_phases_are_counted_for_every_trial():
    regimes = {"lp_ft": choice("lp_ft")}
    told = found(fit=Fit(epochs=1), regimes=regimes, tune=[{"lr": 0.1}, {"lr": 0.01}])
    assert list(told) == ["fit.epochs"]


@pytest.mark.parametrize(("min_steps", "enough"), [(3, False), (4, True)])
def test_a_tuned_regime_learns_from_validation_images_too_and_has_fewer_epochs(min_steps, enough):
    regimes = {"lp_ft": choice("lp_ft")}
    fit, tune = Fit(epochs=1, min_steps=min_steps), [{"lr": 0.1}, {"lr": 0.01}]
    assert (found(fit=fit, regimes=regimes, tune=tune) == {}) == enough
    assert found(fit=fit, regimes=regimes) == {}


def test_an_epoch_is_as_many_steps_as_what_is_left_for_training_takes():
    """Of all images of classes of different sizes, too, and as a run counts them."""
    counts = np.array([9, 1, 14, 2])
    labels = np.repeat(np.arange(4), counts)
    left = len(nested_subset(labels, "all", 0.25, 0).train)
    steps = {"fit": Fit(epochs=1, min_steps=left, batch_size=2, val_fraction=0.25)}
    scenario = {"source": "latin", "target": "cyrillic", "similarity": "similar", "size": "small"}
    made = experiment(scenarios={"one": scenario | {"per_class": "all"}}, **steps)
    for tuned, images in ((False, left), (True, 26)):
        expected = {("fit",): epochs_for(made.fit, images)}
        assert _least_epochs(made, {"cyrillic": counts}, tuned=tuned) == expected
    assert left == 26 - 6 and _least_epochs(made, {"latin": counts}, tuned=False) == {}


SINGLE = choice("cyrillic", train_per_class=1)
PATIENT = Fit(patience=3)


def test_patience_is_refused_where_no_class_has_two_images():
    domains = {"latin": choice("latin"), "textures": choice("textures"), "cyrillic": SINGLE}
    scenario = {"source": "latin", "target": "cyrillic", "size": "small", "per_class": "all"}
    scenarios = {"one": scenario | {"similarity": "similar"}}
    made = {"domains": domains, "scenarios": scenarios}
    assert found(**made) == {}
    for budgets in ({"fit": PATIENT}, {"budgets": {"long": PATIENT}}):
        told = found(**made, **budgets)
        assert list(told) == ["scenarios.one.per_class"]
        assert "cyrillic: no class has two images" in told["scenarios.one.per_class"]
    assert found(**made, pretrain={"patience": 3}) == {}
    made["domains"] = domains | {"cyrillic": choice("cyrillic", train_per_class=2)}
    assert found(**made, fit=PATIENT) == {}


def test_patience_of_pretraining_is_refused_where_no_class_of_a_source_has_two_images():
    domains = {"textures": choice("textures"), "cyrillic": choice("cyrillic")}
    domains["latin"] = choice("latin", train_per_class=1)
    assert found(domains=domains, fit=PATIENT) == {}
    told = found(domains=domains, pretrain={"patience": 3})
    assert list(told) == ["pretrain.per_class"]
    assert "latin: no class has two images" in told["pretrain.per_class"]


def test_further_budgets_are_held_against_the_phases_too():
    budgets = {"short": Fit(epochs=1), "equal_steps": Fit(epochs=1, min_steps=400)}
    told = found(fit=Fit(epochs=2), budgets=budgets)
    assert list(told) == ["budgets.short.epochs"]


LETTERS = {"letters": "ABCD", "train_per_class": 20}


def seeing(**changes) -> dict[str, str]:
    """What is found of regimes that see the source, where the target is Latin, too."""
    content = {
        "domains": {
            "clean": choice("latin", **LETTERS),
            "same": choice("latin", **LETTERS | {"train_per_class": 21}),
            "others": choice("latin", **LETTERS | {"letters": "ABCE"}),
            "fewer": choice("latin", **LETTERS | {"letters": "ABC"}),
        },
        "scenarios": {"s": scenario()},
        "regimes": {"joint": choice("joint_training")},
        "pretrain": {"per_class": 10},
    }
    return found(**content | changes)


def scenario(**changes) -> dict:
    known = {"source": "clean", "target": "same", "per_class": 4}
    return known | {"size": "small", "similarity": "similar"} | changes


def test_a_regime_that_goes_by_the_sources_classes_needs_them_in_the_target():
    assert seeing() == {}
    (told,) = seeing(scenarios={"s": scenario(source="others")}).values()
    assert told == (
        "joint needs the same classes in source and target, but others has 'E' as its class number "
        "4 and same has 'D'; leave joint out, or give both the same classes"
    )
    assert (
        "fewer has 3 classes and same has 4"
        in seeing(scenarios={"s": scenario(source="fewer")})["scenarios.s"]
    )
    multi = {"multi": choice("multi_task")}
    assert seeing(scenarios={"s": scenario(source="fewer")}, regimes=multi) == {}


def test_a_scenario_whose_network_comes_by_another_domain_must_end_at_the_targets_classes():
    regimes = {"only": choice("source_only")}
    place = scenario(source="others", labels="none")
    assert "scenarios.s" in seeing(scenarios={"s": place}, regimes=regimes)
    by_others = scenario(via=["others"], labels="none")
    assert "others has 'E'" in seeing(scenarios={"s": by_others}, regimes=regimes)["scenarios.s"]


@pytest.mark.parametrize("role", ["sources", "via"])
def test_all_that_a_network_learns_on_the_way_must_hold_as_many_images(role):
    place, regimes = scenario(**{role: ["few"]}), {"probe": choice("linear_probe")}
    few = {"few": choice("latin", **LETTERS | {"train_per_class": 15})}
    domains = {name: choice("latin", **LETTERS | {"train_per_class": n}) for name, n in
               {"clean": 20, "same": 21}.items()}  # fmt: skip
    told = seeing(
        domains=domains | few,
        scenarios={"s": place},
        regimes=regimes,
        pretrain={"per_class": 18},
    )
    assert told["pretrain.per_class"].startswith("few: 18 images")
