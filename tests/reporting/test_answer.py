"""What the first screen says: what to do, what to expect, how sure, and what is never claimed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.reporting.blocks import Board, Card, InShort, Limits
from transfer_lab.reporting.decision import decide, rule_standings
from transfer_lab.reporting.figures.pens import pens
from transfer_lab.reporting.sections.answer import answer, head
from transfer_lab.reporting.sections.order import sections
from transfer_lab.reporting.study import StoredResults, Study

from .invented import CORNERS, Grid, experiment

SMALL = CORNERS[:1]
TWO = {"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp", "options": {"width": 64}}}


def scored(
    scores: dict[str, list[float]], corners: list[tuple[str, str]] = SMALL, **more: object
) -> Grid:
    """A grid in which the regimes score what they are told, seed by seed."""
    seeds = max(len(values) for values in scores.values())
    grid = Grid(experiment(corners=corners, regimes=scores, seeds=seeds, **more))
    for regime, values in scores.items():
        for seed, value in enumerate(values):
            grid.finish(lambda c, at=(regime, seed): (c.regime, c.seed) == at, test_accuracy=value)
    return grid


def study(scores: dict[str, list[float]], **more: object) -> Study:
    return scored(scores, **more).study()


def block(made: Study, kind: type):
    (found,) = (b for b in answer(made).blocks if isinstance(b, kind))
    return found


def boards(made: Study) -> dict[str | None, Board]:
    return {b.network: b for b in answer(made).blocks if isinstance(b, Board)}


def card(made: Study, network: str | None = None, number: int = 0) -> Card:
    return boards(made)[network].cards[number]


def test_a_card_says_what_to_do_in_words_and_by_name():
    one = card(study({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.1, 0.1, 0.1]}))
    assert one.case == "5 images per class, similar source"
    assert (one.words, one.name) == ("new layer only", "linear_probe")
    assert one.as_good == ()
    assert one.time == "2.90 s"


def test_a_card_tells_what_the_decision_tells():
    made = Grid(experiment(backbones=TWO, seeds=4)).finish().study()
    assert list(boards(made)) == [None, "cnn", "mlp"]
    for network, board in boards(made).items():
        for scenario, one in zip(made.scenarios, board.cards, strict=True):
            found = decide(made, scenario, network)
            place = found.leader.place
            told = found.expected or found.leader.accuracy
            assert one.expect.mean == pytest.approx(100 * told.mean)
            assert one.expect.high - one.expect.low == pytest.approx(200 * told.half)
            where = "" if network else f" on {place.backbone}"
            assert one.name == place.regime + where
            assert one.words == made.glosses[place.regime]
            assert one.colour == pens(made)[place.regime].colour
            assert len(one.as_good) == len(found.as_good)
            if found.bound == 0:
                assert one.bound == "the best of all compared"
                continue
            shown = float(re.search(r"at most ([\d.]+) points", one.bound)[1])
            assert 0 <= shown - 100 * found.bound <= 0.1


def test_a_bound_is_never_rounded_down():
    made = study({"linear_probe": [0.30, 0.34, 0.32], "lp_ft": [0.31, 0.33, 0.35]})
    found = decide(made, "small_similar")
    shown = float(re.search(r"at most ([\d.]+) points", card(made).bound)[1])
    assert shown >= 100 * found.bound


def test_one_seed_says_that_it_cannot_say_how_sure_it_is():
    made = study({"linear_probe": [0.3], "lp_ft": [0.6]})
    one = card(made)
    assert one.bound == "how far behind the best cannot be said from so few seeds"
    assert one.expect.low == one.expect.high == pytest.approx(60)
    short = block(made, InShort)
    assert short.dots == 0
    assert "too few seeds" in short.words


def test_controls_are_never_the_choice():
    made = study(
        {"majority": [0.9, 0.9, 0.9], "random_features": [0.8, 0.8, 0.8], "lp_ft": [0.2, 0.3, 0.2]}
    )
    assert card(made).name == "lp_ft"
    assert card(made).bound == "nothing to compare it with"


def test_nothing_measured_is_said():
    made = Grid(experiment(regimes=["majority", "lp_ft"], seeds=2))
    made.finish(lambda cell: cell.regime == "majority")
    assert {one.words for one in boards(made.study())[None].cards} == {"nothing measured yet"}


def test_the_rule_is_told_as_it_stands_over_networks_and_on_one():
    scores = {"linear_probe": [0.30, 0.32, 0.31], "lp_ft": [0.60, 0.63, 0.62]}
    made = study(scores, backbones=TWO)
    told = rule_standings(made)["rule_av", "small_similar"]
    assert told.verdict == "refuted"
    over_all, alone = card(made), card(made, "cnn")
    behind = f"{100 * told.lead.mean:.1f} points behind “new layer, then everything”"
    assert (over_all.rule, over_all.verdict) == (f"rule “new layer only”: {behind}", "refuted")
    assert alone.rule == "rule “new layer only”: 30.7 points behind the choice"


def test_where_the_rule_is_the_choice_its_loss_is_that_of_the_choice():
    made = study({"linear_probe": [0.60, 0.62, 0.61], "lp_ft": [0.40, 0.43, 0.42]}, backbones=TWO)
    assert card(made, "mlp").rule == "rule “new layer only”: is the choice, loses nothing"
    near = study({"linear_probe": [0.60, 0.62, 0.61], "lp_ft": [0.61, 0.59, 0.60]}, backbones=TWO)
    assert card(near, "mlp").rule.startswith("rule “new layer only”: is the choice, loses at most ")


def test_a_regime_that_the_rule_prescribes_may_be_absent():
    made = study({"full_finetune": [0.3, 0.4, 0.3], "lp_ft": [0.2, 0.3, 0.2]})
    assert card(made).rule == ""
    planned = scored({"full_finetune": [0.3, 0.4], "linear_probe": []}).study()
    assert card(planned).rule == "rule “new layer only”: not measured here"


def test_two_sizes_and_two_similarities_lie_two_by_two_and_others_in_a_list():
    square = boards(Grid(experiment(seeds=2)).finish().study())[None]
    assert square.rows == ("5 per class", "200 per class")
    assert square.columns == ("similar source", "dissimilar source")
    assert len(square.cards) == 4
    two = boards(Grid(experiment(corners=CORNERS[::2], seeds=2)).finish().study())[None]
    assert (two.rows, two.columns, len(two.cards)) == ((), (), 2)
    three = boards(Grid(experiment(corners=CORNERS[:3], seeds=2)).finish().study())[None]
    assert [bool(one) for one in three.cards] == [True, True, False, True]


def test_scenarios_that_are_alike_in_size_and_word_are_told_apart_by_name():
    plain = experiment(corners=SMALL, seeds=2)
    places = dict(plain.scenarios)
    places["other"] = places["small_similar"].model_copy(update={"target": "latin"})
    made = Grid(plain.model_copy(update={"scenarios": places})).finish().study()
    assert [one.case for one in boards(made)[None].cards] == [
        "small_similar: 5 images per class, similar source",
        "other: 5 images per class, similar source",
    ]


GOOD, BAD = [0.60, 0.61, 0.62], [0.20, 0.21, 0.22]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            {"from_scratch": BAD, "lp_ft": GOOD, "linear_probe": BAD},
            "Start from a pretrained network: training from zero is behind everywhere. Best: new "
            "layer, then everything.",
        ),
        (
            {"from_scratch": GOOD, "lp_ft": BAD},
            "Train from zero: no pretrained start did better anywhere. Best: from zero.",
        ),
        (
            {"lp_ft": [0.3, 0.7], "full_finetune": [0.6, 0.3]},
            "New layer, then everything leads here, but others may be as good.",
        ),
        (
            {"lp_ft": GOOD, "full_finetune": [0.605, 0.60, 0.615]},
            "New layer, then everything leads here, but others may be as good.",
        ),
    ],
)
def test_in_short_answers_in_plain_words(scores, said):
    assert block(study(scores), InShort).text == said


def test_in_short_names_where_transfer_does_not_pay():
    grid = scored({"from_scratch": BAD, "lp_ft": GOOD}, corners=CORNERS[:2])
    for seed, value in enumerate([0.70, 0.71, 0.72]):
        grid.finish(
            lambda c, n=seed: (c.regime, c.seed) == ("from_scratch", n), test_accuracy=value
        )
        grid.finish(
            lambda c, n=seed: (c.scenario, c.regime, c.seed) == ("small_similar", "lp_ft", n),
            test_accuracy=value + 0.2,
        )
    assert block(grid.study(), InShort).text.startswith(
        "Start from a pretrained network, but not with 5 images per class, dissimilar source: "
        "there training from zero did best."
    )


def test_certainty_is_that_of_the_least_certain_choice():
    made = Grid(experiment(seeds=5)).finish().study()
    worst = max(decide(made, scenario).bound for scenario in made.scenarios)
    short = block(made, InShort)
    assert float(re.search(r"within ([\d.]+) points", short.words)[1]) >= 100 * worst
    assert short.dots == 1 + (worst <= 0.02) + (worst <= 0.05)


def test_the_head_says_what_was_looked_at_and_how_much_is_done():
    made = Grid(experiment(backbones=TWO, seeds=3)).finish(lambda cell: cell.seed < 2).study()
    question, facts = head(made).blocks
    assert question.text == "Which way of reusing a pretrained network?"
    assert facts.text == (
        "4 scenarios · 2 networks · 5 regimes · 2 seeds · 2,220 test images · "
        "112 of 168 cells done (56 missing)"
    )


def test_seeds_that_differ_are_said_from_the_fewest_to_the_most():
    made = Grid(experiment(seeds=5)).finish(lambda c: c.seed < 3 or c.size == "small").study()
    assert " · 3–5 seeds · " in head(made).blocks[1].text


def test_head_bears_the_title_or_else_the_name():
    made = study({"lp_ft": [0.2]})
    assert head(made).title == "Cyrillic letters from two sources"
    untitled = made.experiment.model_copy(update={"title": ""})
    assert head(Study.of(untitled, StoredResults(made.frame))).title == "letters"


def test_nothing_stands_above_the_answer_but_question_and_facts():
    made = Grid(experiment(seeds=2)).finish(test_copies=11, set_aside=5).study()
    first, second, *_ = sections(made)
    assert [type(b).__name__ for b in first.blocks] == ["Paragraph", "Paragraph"]
    assert not any(b.warning for b in first.blocks)
    assert type(second.blocks[0]) is InShort


def test_limits_name_every_flag_that_is_up():
    made = study({"lp_ft": [0.2, 0.21], "linear_probe": [0.2, 0.21]})
    made = replace(made, frame=made.frame.assign(test_copies=11.0, set_aside=1234.0))
    assert block(made, Limits).items == (
        *("copies in the test set", "files that cannot be read", "untuned", "one source run"),
        *("fewer than three seeds (2)", "no predictions by image"),
    )


@pytest.mark.parametrize("kind", REGIMES)
def test_every_regime_says_what_it_does_in_a_few_words(kind):
    gloss = REGIMES[kind].gloss
    assert 8 <= len(gloss) <= 60
    assert gloss[-1] not in ".,;"
    assert kind == "majority" or not gloss.startswith("always")


def test_no_two_regimes_say_the_same():
    assert len({REGIMES[kind].gloss for kind in REGIMES}) == len({*REGIMES})


def test_regimes_of_one_kind_are_told_apart_by_their_options():
    plain = experiment(corners=SMALL, seeds=1)
    regimes = {
        "probe": {"kind": "linear_probe"},
        "early": {"kind": "linear_probe", "options": {"stage": 1}},
        "all": {"kind": "full_finetune", "options": {"lr": 0.1}},
    }
    made = Grid(type(plain)(**plain.model_dump() | {"regimes": regimes})).study()
    assert made.glosses == {
        "probe": "new layer only",
        "early": "new layer only (stage=1)",
        "all": "everything",
    }


@pytest.mark.parametrize(
    ("spread", "said"),
    [
        (0.001, "mostly a tie: those named below are close to the best."),
        (0.2, "not settled: in most cases several may be best."),
    ],
)
def test_a_tie_is_only_called_one_where_bounds_are_small(spread, said):
    grid = Grid(experiment(regimes=["lp_ft", "full_finetune"], seeds=4))
    for cell in grid.cells:
        ahead = (cell.size == "small") == (cell.regime == "lp_ft")
        moved = spread * ((cell.seed + ahead) % 2)
        grid.finish(lambda c, at=cell: c == at, test_accuracy=0.6 + moved + 0.001 * ahead)
    made = replace(grid.study(), frame=grid.study().frame.assign(n_test=100_000.0))
    assert block(made, InShort).text == f"Which way of fine-tuning is {said}"
