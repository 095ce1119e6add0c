"""Who wins, in which words, and what is never claimed."""

import pytest

from transfer_lab.report.answer import answer, head
from transfer_lab.report.blocks import Bullets
from transfer_lab.report.standing import standing
from transfer_lab.report.study import Study
from transfer_lab.report.tuning import UNTUNED

from .invented import CORNERS, Grid, experiment

SMALL = CORNERS[:1]


def study(scores: dict[str, list[float]], **more: object) -> Study:
    """One scenario and backbone in which the regimes score what they are told, seed by seed."""
    seeds = max(len(values) for values in scores.values())
    grid = Grid(experiment(corners=SMALL, regimes=scores, seeds=seeds, **more))
    for cell in grid.cells:
        if cell.seed < len(scores[cell.regime]):
            value = scores[cell.regime][cell.seed]
            grid.finish(lambda other, own=cell: other == own, test_accuracy=value)
    return Study.of(grid.experiment, grid.frame, grid.curves, "report")


def found(scores: dict[str, list[float]]):
    return standing(study(scores), "small_similar", "cnn")


def test_overlapping_intervals_are_not_separated():
    order = found({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.31, 0.33, 0.35]})
    assert (order.best, order.runner_up, order.separated) == ("lp_ft", "linear_probe", False)
    assert order.contest == "runner-up linear_probe, 1.0 points behind (not separated)"


def test_intervals_overlap_even_where_neither_holds_the_other_mean():
    order = found({"linear_probe": [0.30, 0.31, 0.32], "lp_ft": [0.33, 0.34, 0.35]})
    assert order.separated is False


def test_intervals_apart_are_said_to_be_apart_and_no_more():
    order = found({"linear_probe": [0.30, 0.31, 0.32], "lp_ft": [0.60, 0.61, 0.62]})
    assert order.contest == "runner-up linear_probe, 30.0 points behind (intervals apart)"


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.52]])
def test_one_seed_of_either_leaves_the_separation_unknown(scores):
    assert found({"linear_probe": scores, "lp_ft": [0.9]}).separated is None


def test_controls_never_win_nor_come_second():
    order = found({"majority": [0.9, 0.9], "random_features": [0.8, 0.8], "lp_ft": [0.2, 0.3]})
    assert (order.best, order.runner_up) == ("lp_ft", None)


def test_the_rule_is_measured_against_the_best():
    order = found({"linear_probe": [0.30, 0.32], "lp_ft": [0.40, 0.42]})
    assert order.rule == "linear_probe, 10.0 points behind"


def test_the_rule_finds_its_kind_under_another_name():
    grid = Grid(experiment(corners=SMALL, regimes=["lp_ft"], seeds=2))
    regimes = {
        "probe_slow": {"kind": "linear_probe", "options": {"lr": 0.1}},
        "probe_fast": {"kind": "linear_probe", "options": {"lr": 1.0}},
        "lp_ft": {"kind": "lp_ft"},
    }
    grid = Grid(type(grid.experiment)(**grid.experiment.model_dump() | {"regimes": regimes}))
    grid.finish(lambda cell: cell.regime == "probe_slow", test_accuracy=0.3)
    grid.finish(lambda cell: cell.regime == "probe_fast", test_accuracy=0.4)
    grid.finish(lambda cell: cell.regime == "lp_ft", test_accuracy=0.5)
    order = standing(Study.of(grid.experiment, grid.frame, {}, "report"), "small_similar", "cnn")
    assert order.rule == "linear_probe (probe_fast), 10.0 points behind"


def test_equal_means_go_to_the_first_regime_of_the_experiment():
    assert found({"lp_ft": [0.4, 0.5], "linear_probe": [0.4, 0.5]}).best == "lp_ft"


def test_an_unfinished_rival_makes_the_answer_provisional():
    assert found({"linear_probe": [0.3, 0.4], "lp_ft": [0.2]}).provisional
    assert not found({"linear_probe": [0.3, 0.4], "lp_ft": [0.2, 0.2]}).provisional


def test_every_scenario_gets_one_plain_sentence():
    section = answer(study({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.1, 0.1, 0.1]}))
    (bullets,) = (block for block in section.blocks if isinstance(block, Bullets))
    assert bullets.items == (
        "With 5 images per class (185 in all) of a similar domain (latin → cyrillic): "
        "linear_probe on cnn, 32.0 ± 5.0 %. The rule: linear_probe, the best.",
    )


def test_the_sentence_names_the_best_backbone_and_where_the_rule_stands_on_it():
    backbones = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}
    grid = Grid(experiment(corners=SMALL, backbones=backbones, seeds=2))
    for backbone, regime, value in (
        ("cnn", "linear_probe", 0.3),
        ("cnn", "lp_ft", 0.2),
        ("mlp(width=64)", "linear_probe", 0.4),
        ("mlp(width=64)", "lp_ft", 0.45),
    ):
        grid.finish(
            lambda c, b=backbone, r=regime: (c.backbone, c.regime) == (b, r), test_accuracy=value
        )
    section = answer(Study.of(grid.experiment, grid.frame, {}, "report"))
    (sentence,) = section.blocks[0].items
    assert sentence.endswith(
        "lp_ft on mlp(width=64), 45.0 ± 0.0 %. The rule: linear_probe, 5.0 points behind."
    )


def test_several_backbones_are_answered_separately():
    backbones = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}
    grid = Grid(experiment(backbones=backbones, seeds=2)).finish()
    section = answer(Study.of(grid.experiment, grid.frame, {}, "report"))
    captions = [block.caption for block in section.blocks if hasattr(block, "head")]
    assert captions == [
        "Best trained regime by scenario, cnn",
        "Best trained regime by scenario, mlp(width=64)",
    ]


def test_without_two_sizes_and_two_similarities_backbones_are_rows_and_scenarios_columns():
    backbones = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp"}}
    grid = Grid(experiment(corners=SMALL, backbones=backbones, seeds=2)).finish()
    section = answer(Study.of(grid.experiment, grid.frame, {}, "report"))
    (table,) = (block for block in section.blocks if hasattr(block, "head"))
    assert table.head == ("backbone", "small_similar")
    assert [row[0][0].text for row in table.rows] == ["cnn", "mlp"]


def test_a_test_set_that_repeats_training_images_is_a_warning_on_top():
    grid = Grid(experiment(corners=SMALL, seeds=2)).finish(test_copies=11, n_test=2985)
    warned = [
        b for b in head(Study.of(grid.experiment, grid.frame, {}, "report")).blocks if b.warning
    ]
    assert [block.text for block in warned] == [
        "11 of the 2,985 test images of cyrillic are copies of images in its training pool: "
        "accuracies on it are too high to that extent.",
        UNTUNED,
    ]


def test_files_that_were_left_out_are_a_warning_on_top():
    grid = Grid(experiment(corners=SMALL, seeds=2)).finish(set_aside=1234, test_copies=None)
    warned = [
        b for b in head(Study.of(grid.experiment, grid.frame, {}, "report")).blocks if b.warning
    ]
    assert [block.text for block in warned] == [
        "Files of cyrillic that cannot be read, left out of its training pool and test set: 1,234.",
        UNTUNED,
    ]


def test_head_bears_the_title_or_else_the_name():
    made = study({"lp_ft": [0.2]})
    assert head(made).title == "Cyrillic letters from two sources"
    untitled = made.experiment.model_copy(update={"title": ""})
    assert head(Study.of(untitled, made.frame, {}, "report")).title == "letters"
