"""Accuracy against time, decisions and flags, on records with known answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_lab.reporting.accuracies import Place
from transfer_lab.reporting.blocks import Board, Card, Table
from transfer_lab.reporting.costs import Arm, Cost, arms
from transfer_lab.reporting.sections.answer import answer
from transfer_lab.reporting.sections.flags import FLAGS, flags
from transfer_lab.reporting.sections.time_accuracy import frontier, time_accuracy
from transfer_lab.similarity.overlap import Counted, pairs

from .invented import CORNERS, Grid, curve, experiment

NUMBERS = st.tuples(
    st.integers(0, 5).map(lambda n: n / 5),
    st.integers(0, 5).map(float),
    st.sampled_from([0.0, 10.0, math.nan]),
)


def arm(name: str, accuracy: float, cold: float, pretraining: float) -> Arm:
    return Arm(Place("here", "cnn", name), accuracy, Cost(cold, pretraining))


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.sampled_from([1, 10, math.inf]))
def test_the_frontier_is_not_dominated_and_dominates_the_rest(numbers, targets):
    found = [arm(str(n), *one) for n, one in enumerate(numbers)]
    front = frontier(found, targets)
    assert front

    def beats(one: Arm, other: Arm) -> bool:
        time, accuracy = one.cost.shared_by(targets), one.accuracy
        least, best = other.cost.shared_by(targets), other.accuracy
        return time <= least and accuracy >= best and (time, accuracy) != (least, best)

    for one in found:
        assert any(beats(other, one) for other in found) == (one not in front)
    times = [one.cost.shared_by(targets) for one in front]
    assert times == sorted(times)


def test_ready_made_weights_cost_nothing_and_source_runs_are_shared():
    assert Cost(2.0, math.nan).shared_by(1) == 2.0
    assert [Cost(2.0, 10.0).shared_by(n) for n in (1, 10, math.inf)] == [12.0, 3.0, 2.0]


def test_an_arm_whose_time_was_not_measured_is_on_no_frontier():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish()
    grid.finish(lambda cell: cell.regime == "lp_ft", fit_seconds=None)
    assert math.isnan(
        next(a for a in arms(grid.study(), "small_similar") if a.place.regime == "lp_ft").cost.cold
    )
    blocks = time_accuracy(grid.study()).blocks
    (table,) = (block for block in blocks if isinstance(block, Table))
    shown = [row[2][0].text for row in table.rows]
    assert "lp_ft" not in shown


def test_without_times_there_is_no_frontier():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish(fit_seconds=None)
    assert time_accuracy(grid.study()) is None


def decisions(small: dict[str, float], large: dict[str, float], **more: object) -> tuple[str, ...]:
    """What is said of 5 and of 200 images per class where regimes score so in every seed."""
    grid = Grid(experiment(corners=[CORNERS[0], CORNERS[3]], regimes=small, seeds=3))
    for name, scores in (("small_similar", small), ("large_similar", large)):
        for regime, score in scores.items():
            grid.finish(
                lambda c, n=name, r=regime: (c.scenario, c.regime) == (n, r),
                test_accuracy=score,
                **more,
            )
    return tuple("; ".join(card.more) for card in cards(grid))


def cards(grid: Grid) -> list[Card]:
    """What the answer says of every scenario."""
    found = answer(grid.study()).blocks
    (board,) = (block for block in found if isinstance(block, Board) and block.network is None)
    return [card for card in board.cards if card]


def test_a_leader_that_changes_with_more_images_is_announced():
    small, large = decisions(
        {"linear_probe": 0.5, "lp_ft": 0.3}, {"linear_probe": 0.6, "lp_ft": 0.9}
    )
    assert (
        "would change with more than 5 per class: at 200 lp_ft on cnn leads it by 30.0 ± "
    ) in small
    assert "change" not in large


def test_a_change_that_is_not_shown_is_only_possible():
    small, _ = decisions({"linear_probe": 0.5, "lp_ft": 0.3}, {"linear_probe": 0.60, "lp_ft": 0.61})
    assert "might change with more than 5 per class: at 200 lp_ft on cnn leads it by " in small


@pytest.mark.parametrize("larger", [0.7, 0.601])
def test_the_same_leader_or_one_shown_to_be_equal_is_no_change(larger):
    small, _ = decisions(
        {"linear_probe": 0.5, "lp_ft": 0.3},
        {"linear_probe": 0.6 if larger == 0.601 else 0.9, "lp_ft": larger},
        n_test=10_000_000,
    )
    assert "up to 200 images per class nothing is seen to lead it by more than 1 point" in small


def test_times_of_several_machines_are_not_told():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish()
    grid.finish(lambda cell: cell.seed == 1, host="another")
    (card,) = cards(grid)
    assert card.time == ""
    assert not any("cheapest" in line for line in card.more)


def raised(grid: Grid, **known: object) -> dict[str, str]:
    """Flag -> where it is up."""
    found = flags(replace(grid.study(), **known)).blocks
    tables = [block for block in found if hasattr(block, "rows")]
    return {
        row[0][0].text: "; ".join(f"{line.text}{line.note}" for line in row[1])
        for table in tables
        for row in table.rows
    }


def grid() -> Grid:
    regimes = ["linear_probe", "lp_ft", "majority"]
    return Grid(experiment(corners=CORNERS[:1], regimes=regimes, seeds=3)).finish()


def said(made: Grid, **known: object) -> list[str]:
    found = flags(replace(made.study(), **known)).blocks
    return [block.text for block in found if hasattr(block, "text")]


def overlaps(made: Grid, **counts: int) -> dict[str, Counted]:
    """So many shared images, none unless said, between every source and its target."""
    none = {"test": 0, "test_learnt": 0, "test_images": 2220, "train": 0, "train_images": 7400}
    ids = [pair.overlap.id for pair in pairs(made.experiment)]
    return {key: Counted(of=key, seconds=1, **(none | counts)) for key in ids}


def with_sources(made: Grid, folder: Path, names: list[str]) -> Grid:
    """Predictions of all runs, and source runs whose classes have these names."""
    made.predict(folder)
    for cell in made.cells:
        if cell.run.init:
            made.locate(cell.run.init.id).parent.mkdir(exist_ok=True)
            np.savez(
                made.locate(cell.run.init.id),
                label=np.zeros(2, np.uint16),
                predicted=np.zeros(2, np.uint16),
                classes=np.array(names),
            )
    return made


def test_what_is_not_found_is_named_as_looked_for(tmp_path):
    made = with_sources(grid(), tmp_path, ["A", "B"])
    known = {"overlaps": overlaps(made)}
    up, (looked,) = raised(made, **known), said(made, **known)
    assert set(up) == {"untuned", "one source run"}
    assert looked.startswith("Looked for and not found: ")
    assert all(flag.name in looked for flag in FLAGS if flag.name not in up)


def test_what_the_records_do_not_tell_is_not_said_to_be_absent(tmp_path):
    (looked, untold) = said(grid().predict(tmp_path))
    assert untold == (
        "Not told by these records: source and target share images, "
        "source and target share class names."
    )
    assert "class names" not in looked and "share images" not in looked


@pytest.mark.parametrize(
    ("changes", "flag", "where"),
    [
        ({"test_accuracy": 0.03}, "not above the majority class", "lp_ft (3 of 3 networks)"),
        ({"commonest_prediction": 0.995}, "constant answer", "lp_ft (1 of 3 seeds)"),
        ({"host": "another"}, "mixed conditions", "host: another, laptop"),
        ({"precision": "bf16"}, "mixed conditions", "precision: bf16, fp32"),
        ({"commit": "feed"}, "mixed conditions", "commit: 0123abc, feed"),
        ({"threads": 2}, "mixed conditions", "threads: 1, 2"),
        ({"test_copies": 11}, "copies in the test set", "cyrillic: 11 test images"),
    ],
)
def test_a_flag_is_up_where_its_sign_is(tmp_path, changes, flag, where):
    made = grid()
    wanted = "test_accuracy" in changes
    made.finish(lambda c: c.regime == "lp_ft" and (wanted or c.seed == 1), **changes)
    assert where in raised(made.predict(tmp_path))[flag]


def test_a_control_that_is_constant_is_no_flag(tmp_path):
    made = grid().finish(lambda c: c.regime == "majority", commonest_prediction=1.0)
    assert "constant answer" not in raised(made.predict(tmp_path))


def test_a_validation_loss_that_still_falls_in_most_seeds_was_stopped_by_the_budget(tmp_path):
    made = grid().predict(tmp_path)
    slow = [cell for cell in made.cells if cell.regime == "lp_ft"]
    made.curves[slow[0].run.id] = curve(slow[0], rate=0.01)
    assert "stopped by the budget" not in raised(made)
    made.curves[slow[1].run.id] = curve(slow[1], rate=0.01)
    assert raised(made)["stopped by the budget"].endswith("lp_ft (2 of 3 seeds)")


def test_a_validation_loss_that_rises_again_was_not(tmp_path):
    made = grid().predict(tmp_path)
    for cell in made.cells:
        if cell.regime == "lp_ft":
            table = curve(cell, rate=0.01)
            table["val_loss"] = pd.Series(range(len(table))) * 1.0
            made.curves[cell.run.id] = table
    assert "stopped by the budget" not in raised(made)


def test_class_names_that_source_and_target_share_are_flagged(tmp_path):
    made = with_sources(grid(), tmp_path, ["x", "letter C", "letter A", "letter B", "letter D"])
    assert raised(made)["source and target share class names"] == (
        "small_similar: 4 of 37 (letter A, letter B, letter C, ...)"
    )


def test_images_that_source_and_target_share_are_flagged_wherever_they_lie(tmp_path):
    made, flag = grid().predict(tmp_path), "source and target share images"
    up = raised(made, overlaps=overlaps(made, test=12, test_learnt=9, train=1030))
    assert up[flag] == (
        "latin → cyrillic: 12 of 2,220 test images (9 in the source's training pool, of which "
        "source runs learn all or a part), "
        "1,030 of 7,400 in the training pool"
    )
    assert "latin → cyrillic: 0 of 2,220" in raised(made, overlaps=overlaps(made, train=1))[flag]
    assert flag not in raised(made, overlaps=overlaps(made))


def test_a_pair_that_was_not_counted_is_not_said_to_share_nothing(tmp_path):
    made = Grid(experiment(seeds=2)).finish().predict(tmp_path)
    (known, _), shared = overlaps(made).items(), overlaps(made, test=3)
    looked, untold = said(made, overlaps=dict([known]))
    assert "share images" in untold and "share images" not in looked
    some = dict(list(shared.items())[:1])
    assert "latin → cyrillic: 3" in raised(made, overlaps=some)["source and target share images"]


def test_what_ready_made_weights_have_seen_is_said_to_be_unknown():
    ready = {"vgg16": {"kind": "vgg16", "pretrained": {"origin": "imagenet"}}}
    made = Grid(experiment(corners=CORNERS[:1], backbones=ready, seeds=2)).finish()
    *_, untold, seen = said(made)
    assert "source and target share images" in untold
    assert seen.startswith("The images that ready-made weights were trained on are not here")


def test_source_runs_of_their_own_are_no_flag(tmp_path):
    asked = experiment(corners=CORNERS[:1], seeds=2, pretrain={"per_seed": True})
    up = raised(Grid(asked).finish().predict(tmp_path))
    assert "one source run" not in up
    assert "lp_ft (2)" in up["fewer than three seeds"]


def test_long_lists_are_cut_and_counted(tmp_path):
    made = Grid(experiment(seeds=1)).finish().predict(tmp_path)
    assert raised(made)["fewer than three seeds"].endswith("and 12 more")


def test_nothing_measured_is_said():
    assert flags(Grid(experiment()).study()) is None
    (said,) = answer(Grid(experiment()).study()).blocks
    assert said.text == "Nothing has been measured yet."


def test_a_seed_far_below_the_others_is_a_failed_training_and_counted_beside_the_mean(tmp_path):
    made = grid()
    made.finish(lambda c: c.regime == "lp_ft" and c.seed == 1, test_accuracy=0.12)
    made.predict(tmp_path)
    shown = raised(made)["failed trainings"]
    assert "cnn / lp_ft (1 of 3 seeds: 11.9 against " in shown
    assert shown.endswith("; 1 of all 6 trainings")
    assert "(n=3, 1 far below)" in made.markdown()


def test_seeds_that_merely_scatter_have_not_failed(tmp_path):
    made = grid()
    for seed, accuracy in enumerate((0.25, 0.33, 0.41)):
        made.finish(lambda c, s=seed: c.regime == "lp_ft" and c.seed == s, test_accuracy=accuracy)
    assert "failed trainings" not in raised(made.predict(tmp_path))
    assert "far below)" not in made.markdown()
