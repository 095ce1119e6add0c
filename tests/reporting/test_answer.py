"""Who wins, in which words, and what is never claimed."""

from dataclasses import replace

import pytest

from transfer_lab.reporting.blocks import Answers
from transfer_lab.reporting.ranking import ranking
from transfer_lab.reporting.sections.answer import answer, head
from transfer_lab.reporting.sections.tuning import UNTUNED
from transfer_lab.reporting.study import StoredResults, Study

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
    return Study.of(grid.experiment, StoredResults(grid.frame, grid.curves))


def found(scores: dict[str, list[float]]):
    return ranking(study(scores), "small_similar", "cnn")


def test_a_difference_smaller_than_its_interval_is_not_separated():
    order = found({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.31, 0.33, 0.35]})
    assert (order.best, order.runner_up, order.doubt) == ("lp_ft", "linear_probe", "not separated")
    assert order.contest == "runner-up linear_probe, 1.0 ± 5.7 points behind (not separated)"


def test_regimes_are_compared_seed_by_seed():
    """Apart in every seed alike, though the intervals of the two means overlap."""
    order = found({"linear_probe": [0.30, 0.40, 0.50], "lp_ft": [0.35, 0.45, 0.55]})
    assert order.doubt == "separated"


def test_without_predictions_the_error_of_the_test_set_counts_as_if_nothing_were_shared():
    order = found({"linear_probe": [0.30, 0.31, 0.32], "lp_ft": [0.31, 0.32, 0.33]})
    half = 1.961 * ((0.31 * 0.69 + 0.32 * 0.68) / 2220) ** 0.5
    assert order.contest == (
        f"runner-up linear_probe, 1.0 ± {100 * half:.1f} points behind (not separated)"
    )


def test_a_margin_larger_than_its_interval_is_separated():
    order = found({"linear_probe": [0.30, 0.31, 0.32], "lp_ft": [0.60, 0.61, 0.62]})
    assert order.contest == "runner-up linear_probe, 30.0 ± 2.8 points behind (separated)"


def test_what_is_shown_to_differ_by_less_than_a_point_is_equal():
    made = study({"linear_probe": [0.30, 0.31, 0.32], "lp_ft": [0.301, 0.311, 0.322]})
    made = replace(made, frame=made.frame.assign(n_test=1_000_000.0))
    order = ranking(made, "small_similar", "cnn")
    assert order.doubt == "equal within 1 point"


@pytest.mark.parametrize(
    ("scores", "doubt"), [([0.5], "interval unknown"), ([0.5, 0.52], "interval unknown")]
)
def test_one_common_seed_leaves_the_separation_unknown(scores, doubt):
    order = found({"linear_probe": scores, "lp_ft": [0.9]})
    assert order.doubt == doubt
    assert "±" not in order.contest


def test_controls_never_win_nor_come_second():
    order = found({"majority": [0.9, 0.9], "random_features": [0.8, 0.8], "lp_ft": [0.2, 0.3]})
    assert (order.best, order.runner_up) == ("lp_ft", None)


def test_the_rule_is_measured_against_the_best():
    order = found({"linear_probe": [0.30, 0.32], "lp_ft": [0.40, 0.42]})
    assert order.rule == "linear_probe, 10.0 ± 2.8 points behind"


def test_the_rule_finds_its_kind_under_another_name_and_validation_chooses():
    grid = Grid(experiment(corners=SMALL, regimes=["lp_ft"], seeds=2))
    regimes = {
        "probe_slow": {"kind": "linear_probe", "options": {"lr": 0.1}},
        "probe_fast": {"kind": "linear_probe", "options": {"lr": 1.0}},
        "lp_ft": {"kind": "lp_ft"},
    }
    grid = Grid(type(grid.experiment)(**grid.experiment.model_dump() | {"regimes": regimes}))
    grid.finish(lambda c: c.regime == "probe_slow", test_accuracy=0.45, val_accuracy=0.3)
    grid.finish(lambda c: c.regime == "probe_fast", test_accuracy=0.40, val_accuracy=0.4)
    grid.finish(lambda cell: cell.regime == "lp_ft", test_accuracy=0.5)
    order = ranking(Study.of(grid.experiment, StoredResults(grid.frame)), "small_similar", "cnn")
    assert order.rule == "linear_probe (probe_fast), 10.0 ± 2.9 points behind"


def test_equal_means_go_to_the_first_regime_of_the_experiment():
    assert found({"lp_ft": [0.4, 0.5], "linear_probe": [0.4, 0.5]}).best == "lp_ft"


def test_an_unfinished_rival_makes_the_answer_provisional():
    assert found({"linear_probe": [0.3, 0.4], "lp_ft": [0.2]}).provisional
    assert not found({"linear_probe": [0.3, 0.4], "lp_ft": [0.2, 0.2]}).provisional


def test_every_scenario_gets_one_plain_sentence():
    section = answer(study({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.1, 0.1, 0.1]}))
    (answers,) = (block for block in section.blocks if isinstance(block, Answers))
    assert [item.text for item in answers.items] == [
        "With 5 images per class (185 in all) of a similar domain (latin → cyrillic): "
        "linear_probe on cnn; "
        "expect 26.7 to 37.3 % on average (single trainings gave 30.0 to 34.0); "
        "2.90 s here after 45.0 s of pretraining, once; "
        "runner-up lp_ft on cnn, 22.0 ± 5.5 points behind (separated); "
        "nothing within 1 point of it is cheaper. The rule: linear_probe, the best."
    ]


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
    section = answer(Study.of(grid.experiment, StoredResults(grid.frame)))
    (sentence,) = (item.text for item in section.blocks[0].items)
    assert ": lp_ft on mlp; expect 42.9 to 47.1 % " in sentence
    assert "; runner-up linear_probe on mlp, 5.0 ± 2.9 points behind " in sentence
    assert sentence.endswith(" The rule: linear_probe, 5.0 ± 2.9 points behind.")


def test_several_backbones_are_answered_separately():
    backbones = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}
    grid = Grid(experiment(backbones=backbones, seeds=2)).finish()
    section = answer(Study.of(grid.experiment, StoredResults(grid.frame)))
    captions = [block.caption for block in section.blocks if hasattr(block, "head")]
    assert captions == [
        "Best trained regime by scenario, cnn",
        "Best trained regime by scenario, mlp",
    ]


def test_without_two_sizes_and_two_similarities_backbones_are_rows_and_scenarios_columns():
    backbones = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp"}}
    grid = Grid(experiment(corners=SMALL, backbones=backbones, seeds=2)).finish()
    section = answer(Study.of(grid.experiment, StoredResults(grid.frame)))
    (table,) = (block for block in section.blocks if hasattr(block, "head"))
    assert table.head == ("backbone", "small_similar")
    assert [row[0][0].text for row in table.rows] == ["cnn", "mlp"]


def test_a_test_set_that_repeats_training_images_is_a_warning_on_top():
    grid = Grid(experiment(corners=SMALL, seeds=2)).finish(test_copies=11, n_test=2985)
    warned = [
        b for b in head(Study.of(grid.experiment, StoredResults(grid.frame))).blocks if b.warning
    ]
    assert [block.text for block in warned] == [
        "11 of the 2,985 test images of cyrillic are copies of images in its training pool: "
        "accuracies on it may be too high, by that share at most.",
        UNTUNED,
    ]


def test_files_that_were_left_out_are_a_warning_on_top():
    grid = Grid(experiment(corners=SMALL, seeds=2)).finish(set_aside=1234, test_copies=None)
    warned = [
        b for b in head(Study.of(grid.experiment, StoredResults(grid.frame))).blocks if b.warning
    ]
    assert [block.text for block in warned] == [
        "Files of cyrillic that cannot be read, left out of its training pool and test set: 1,234.",
        UNTUNED,
    ]


def test_head_bears_the_title_or_else_the_name():
    made = study({"lp_ft": [0.2]})
    assert head(made).title == "Cyrillic letters from two sources"
    untitled = made.experiment.model_copy(update={"title": ""})
    assert head(Study.of(untitled, StoredResults(made.frame))).title == "letters"
