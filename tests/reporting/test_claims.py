"""Claims, degenerate networks and what pretraining costs, on records with known answers."""

from __future__ import annotations

import re

import pytest
from scipy.stats import binom

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.settings import Claim
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.sections.claims import claims, counted
from transfer_lab.reporting.sections.majority import majority, not_above
from transfer_lab.reporting.sections.transfer_cost import tasks_until, transfer_cost
from transfer_lab.reporting.study import StoredResults, Study

from .invented import CORNERS, Grid, experiment
from .reading import markdown_tables

CLAIM = {"text": "The probe is better", "arm": "cnn/linear_probe", "relation": "above"}


def study(grid: Grid) -> Study:
    return Study.of(grid.experiment, StoredResults(grid.frame, grid.curves))


def grid(**claim: object) -> Grid:
    """Probe 30 to 32 %, from scratch 20 to 22 %, two seconds an epoch against one."""
    asked = experiment(
        corners=CORNERS[:1],
        regimes=["linear_probe", "from_scratch", "majority"],
        seeds=3,
        claims={"one": CLAIM | claim} if claim else {},
    )
    made = Grid(asked)
    for seed in range(3):
        for regime, accuracy, fit in (("linear_probe", 0.30, 40.0), ("from_scratch", 0.2, 20.0)):
            made.finish(
                lambda c, s=seed, r=regime: (c.seed, c.regime) == (s, r),
                test_accuracy=accuracy + 0.01 * seed,
                majority_accuracy=0.25,
                fit_seconds=fit + seed,
                epochs=20,
                decode_seconds=1.0,
                feature_seconds=2.0,
                eval_seconds=3.0,
            )
    return made


def row(**claim: object) -> list[str]:
    section = claims(study(grid(**claim)))
    (table,) = (block for block in section.blocks if hasattr(block, "rows"))
    (cells,) = table.rows
    return [" ".join(f"{line.text} {line.note}".strip() for line in c).strip() for c in cells]


@pytest.mark.parametrize(
    ("claim", "here", "other", "told"),
    [
        ({"than": "cnn/from_scratch"}, "31.0 ± 3.1 %", "21.0 ± 3.0 %", "holds"),
        ({"than": "majority"}, "31.0 ± 3.1 %", "25.0 %", "holds"),
        ({"than": "majority", "relation": "below"}, "31.0", "25.0 %", "does not hold"),
        ({"than": 0.31}, "31.0 ± 3.1 %", "31.0 %", "undecided"),
        ({"than": 0.7}, "31.0 ± 3.1 %", "70.0 %", "does not hold"),
        (
            {"than": "cnn/from_scratch", "measure": "seconds_per_epoch"},
            *("2.05 ± 0.12 s", "1.05 ± 0.12 s", "holds"),
        ),
        (
            {"than": "cnn/from_scratch", "measure": "total_seconds", "relation": "below"},
            *("47.0 ± 2.5 s", "27.0 ± 2.5 s", "does not hold"),
        ),
    ],
)
def test_a_claim_is_answered_with_both_numbers_and_a_verdict(claim, here, other, told):
    text, answer, published, mine, theirs = row(**claim, published=0.0685)
    assert (text, published) == (
        "The probe is better",
        "0.0685 s" if "measure" in claim else "6.85 %",
    )
    assert mine.startswith(here)
    assert mine.endswith("cnn/linear_probe")
    assert theirs.startswith(other)
    assert answer == f"{told} (n=3)"


def test_what_is_equal_in_every_seed_is_not_undecided():
    made = grid(than="majority", relation="below")
    made.finish(test_accuracy=0.25, majority_accuracy=0.25, predicted_classes=1)
    (row,) = claims(study(made)).blocks[0].rows
    assert row[1][0].text == "does not hold: equal"
    _, *rows = markdown_tables(made.markdown())["Arms not above the majority class"]
    assert {line[5] for line in rows} == {"3 of 3 networks"}


@pytest.mark.parametrize("measure", ["seconds_per_epoch", "total_seconds"])
def test_one_pass_over_several_seeds_decides_nothing_about_time(measure):
    made = grid(than="cnn/from_scratch", measure=measure)
    (before,) = claims(study(made)).blocks[0].rows
    assert (before[1][0].text, before[1][0].note) == ("holds", "(n=3)")
    for run_id, record in made.records.items():
        if record.fit_seconds >= 40:
            changes = {"together": 3, "fit_seconds": 40.0}
            made.records[run_id] = record.model_copy(update=changes)
    (row,) = claims(study(made)).blocks[0].rows
    assert (row[1][0].text, row[1][0].note) == ("undecided", "(n=1)")
    assert "±" not in row[3][0].text


def test_without_claims_there_is_no_section():
    assert claims(study(grid())) is None


def test_an_arm_that_was_not_measured_is_no_verdict():
    made = grid(than="cnn/from_scratch")
    made.records.clear()
    section = claims(study(made))
    assert "not measured" in section.blocks[0].rows[0][1][0].text


def test_of_several_arms_validation_chooses():
    made = grid(than=0.1, arm=["cnn/linear_probe", "cnn/from_scratch"])
    for regime, score in (("linear_probe", 0.4), ("from_scratch", 0.6)):
        made.finish(lambda c, r=regime: c.regime == r, val_accuracy=score, test_accuracy=1 - score)
    (row,) = claims(study(made)).blocks[0].rows
    assert row[3][0].text.startswith("40.0")
    assert row[3][0].note == "cnn/from_scratch"


def several(tmp_path, claim: str) -> str:
    path = tmp_path / "claims.yaml"
    path.write_text(
        "name: claims\nscenarios:\n"
        "  small_similar: {source: latin, target: digits, per_class: 4}\n"
        "  large_similar: {source: latin, target: digits, per_class: 40}\n"
        "backbones: [cnn]\nregimes: [linear_probe, majority]\nseeds: [1]\nclaims:\n"
        f"  one: {{text: x, arm: cnn/linear_probe, relation: above, {claim}}}\n"
    )
    with pytest.raises(ConfigError) as told:
        load_experiment(path)
    return str(told.value)


def test_among_several_scenarios_a_claim_must_name_one(tmp_path):
    assert "claims.one: 'scenario' is missing" in several(tmp_path, "than: majority")


def test_a_time_is_not_compared_with_the_majority_class(tmp_path):
    claim = "than: majority, measure: total_seconds, scenario: small_similar"
    assert "claims.one.than: the majority class takes no time" in several(tmp_path, claim)


@pytest.mark.parametrize("number", [".nan", ".inf"])
def test_a_claim_compares_with_a_finite_number(tmp_path, number):
    assert "finite number" in several(tmp_path, f"than: {number}, scenario: small_similar")


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("arm", "cnn/linear_prob", "did you mean 'cnn/linear_probe'"),
        ("than", "majorty", "did you mean 'majority'"),
        ("scenario", "small", "choose from small_similar"),
    ],
)
def test_a_claim_about_what_is_not_planned_is_refused_at_its_place(tmp_path, key, value, hint):
    claim = {"text": "x", "arm": "cnn/linear_probe", "relation": "above", "than": "majority"}
    lines = [f"    {k}: {v}" for k, v in (claim | {key: value}).items()]
    path = tmp_path / "claims.yaml"
    path.write_text(
        "name: claims\nscenarios:\n"
        "  small_similar: {source: latin, target: digits, per_class: 4}\n"
        "backbones: [cnn]\nregimes: [linear_probe, majority]\nseeds: [1]\nclaims:\n  one:\n"
        + "\n".join(lines)
    )
    with pytest.raises(ConfigError, match=rf"claims\.one\.{key}: no '{value}' here; {hint}"):
        load_experiment(path)


def weak(**signs: object) -> list[list[str]]:
    made = grid()
    changes = {"test_accuracy": 0.2, "majority_accuracy": 0.25, "num_classes": 16} | signs
    made.finish(lambda c: c.regime == "linear_probe", **changes)
    text = made.markdown()
    return markdown_tables(text)["Arms not above the majority class"]


def test_an_arm_below_the_majority_class_is_named_with_its_numbers():
    head, *rows = weak(predicted_classes=1, commonest_prediction=1.0, dead_units=0.975)
    assert [line[:2] for line in rows] == [["cnn", "linear_probe"], ["cnn", "from_scratch"]]
    found = dict(zip(head, rows[0], strict=True))
    assert found["not shown to be better"] == "3 of 3 networks"
    assert found["classes answered"] == "1.0 of 16"
    assert found["dead units (%)"] == "97.5"
    assert found["why"] == "constant answer in 3 of 3 seeds; most units dead in 3 of 3 seeds"


def test_a_weak_arm_without_a_plain_sign_is_not_explained_away():
    _, first, _ = weak(commonest_prediction=0.3, dead_units=0.1, train_accuracy=0.9)
    assert first[-1] == "learns its training images, but not what they have in common"


def test_training_that_does_not_learn_its_own_images_is_said():
    _, first, _ = weak(commonest_prediction=0.3, dead_units=0.1, train_accuracy=0.2)
    assert first[-1] == "training accuracy not above majority in 3 of 3 seeds"


def test_where_all_are_above_there_is_no_section():
    assert majority(study(grid().finish(test_accuracy=0.6, majority_accuracy=0.25))) is None


def test_networks_that_scatter_are_each_tested_by_themselves():
    """61, 29 and 48 % against 6 %: their mean's interval holds the bar, and each is far above."""
    made = grid().finish(test_accuracy=0.6, majority_accuracy=0.06)
    for seed, accuracy in enumerate((0.61, 0.29, 0.48)):
        made.finish(
            lambda c, s=seed: (c.seed, c.regime) == (s, "linear_probe"),
            test_accuracy=accuracy,
            majority_accuracy=0.06,
        )
    assert not list(not_above(study(made)))


@pytest.mark.parametrize(("right", "shown"), [(81, False), (82, True)])
def test_the_bar_is_passed_by_the_exact_binomial_corrected_over_networks(right, shown):
    """One network at the bar's edge among three: the family has six, so the p is six-fold."""
    n, bar = 1000, 0.0625
    family = [binom.sf(k - 1, n, bar) for k in (81, 82)]
    assert 6 * family[1] <= 0.05 < 6 * family[0]
    made = grid().finish(test_accuracy=0.0, majority_accuracy=bar, n_test=n, num_classes=16)
    made.finish(
        lambda c: (c.seed, c.regime) == (1, "linear_probe"),
        test_accuracy=right / n,
        majority_accuracy=bar,
        n_test=n,
        num_classes=16,
    )
    found = {place.regime: len(rows) for place, rows in not_above(study(made))}
    assert found == {"linear_probe": 3 - shown, "from_scratch": 3}


@pytest.mark.parametrize(
    ("pretraining", "plain", "transfer", "told"),
    [
        (100.0, 20.0, 10.0, "11 tasks"),
        (0.0, 20.0, 10.0, "1 task"),
        (95.0, 20.0, 10.0, "10 tasks"),
        (5.0, 10.0, 20.0, "never: no faster"),
        (float("nan"), 20.0, 10.0, "the first"),
    ],
)
def test_pretraining_pays_from_the_first_task_that_makes_it_the_shorter_way(
    pretraining, plain, transfer, told
):
    assert tasks_until(pretraining, plain, transfer) == told
    if tasks := re.match(r"\d+", told):
        n = int(tasks[0])
        assert pretraining + n * transfer < n * plain
        assert n == 1 or pretraining + (n - 1) * transfer >= (n - 1) * plain


def test_the_costs_are_those_of_the_records():
    table = markdown_tables(grid().markdown())["What the pretrained way costs (s)"]
    found = dict(zip(*table, strict=True))
    assert (found["backbone"], found["regime"]) == ("cnn", "linear_probe")
    assert (found["cold"], found["cached"], found["extraction"]) == ("47.0", "44.0", "2.00")
    assert found["pays after"] == "never: no faster"


def test_without_anything_transferred_there_is_nothing_to_pay_off():
    made = Grid(experiment(corners=CORNERS[:1], regimes=["from_scratch"], seeds=2)).finish()
    assert transfer_cost(study(made)) is None


def test_the_first_screen_says_how_many_claims_hold():
    above = CLAIM | {"than": "cnn/from_scratch"}
    stated = {
        "right": above,
        "wrong": above | {"relation": "below"},
        "wrong_too": CLAIM | {"than": 0.9},
        "equal": CLAIM | {"than": "cnn/linear_probe"},
    }
    made = grid(**above)
    claimed = {name: Claim.model_validate(one) for name, one in stated.items()}
    asked = made.experiment.model_copy(update={"claims": claimed})
    told = counted(Study.of(asked, StoredResults(made.frame, made.curves)))
    assert told == "Of 4 claims 1 hold and 3 do not."
    assert counted(study(grid(**above))) == "The one claim holds."
    assert counted(study(grid())) == ""
