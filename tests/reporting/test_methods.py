"""Methods that see more: no rivals of the rules, each beside itself switched off."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest

from transfer_lab.experiment.catalog import Off
from transfer_lab.experiment.choices import Regime
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.blocks import Bullets, Fold
from transfer_lab.reporting.decision import decide, rule_standings
from transfer_lab.reporting.hypotheses import Spot, measured, spots
from transfer_lab.reporting.methods import _apart, gains, twin
from transfer_lab.reporting.methods import methods as by_family
from transfer_lab.reporting.ranking import SILENT, rule_stands
from transfer_lab.reporting.sections.beyond import beyond
from transfer_lab.reporting.sections.methods import TITLE, _found, methods
from transfer_lab.reporting.study import Place, StoredResults, Study
from transfer_lab.reporting.wording import sees
from transfer_lab.stats.hypotheses import holm

from .invented import Grid, experiment
from .many_methods import LABELLED, SCORES, comparable, finished
from .many_methods import methods as grid_of
from .reading import html_tables, markdown_tables

FAMILY = "Methods against themselves switched off: {}"


@pytest.fixture(scope="module")
def grid() -> Grid:
    return finished(grid_of())


@pytest.fixture(scope="module")
def study(grid) -> Study:
    return grid.study()


@pytest.fixture(scope="module")
def markdown(grid) -> str:
    return grid.markdown()


@pytest.fixture(scope="module")
def page(grid, tmp_path_factory) -> str:
    return grid.write(tmp_path_factory.mktemp("report")).read_text()


def lines(study: Study) -> dict[str, str]:
    """What is gained by seeing more, by scenario."""
    (bullets,) = (block for block in beyond(study).blocks if isinstance(block, Bullets))
    return dict(item.split(": ", 1) for item in bullets.items)


# What competes with what.


def test_the_best_of_a_place_and_its_rivals_see_no_more_than_the_rules_do(study):
    """joint_training is far ahead everywhere, and sees source images."""
    for scenario in LABELLED:
        best, second, *_ = decide(study, scenario, "cnn").standings
        assert (best.place.regime, second.place.regime) == ("lp_ft", "l2_sp")
        rivals = {*measured(study, Spot(scenario, "cnn"))}
        assert rivals == {*comparable(study.experiment).regimes} - {"majority"}


def test_verdicts_are_those_of_the_grid_without_the_methods(study):
    alone = comparable(study.experiment)
    frame = study.frame[
        study.frame["regime"].isin([*alone.regimes]) & study.frame["scenario"].isin(LABELLED)
    ]
    same = Study.of(alone, StoredResults(frame))
    told, alike = rule_standings(study), rule_standings(same)
    assert told.keys() == alike.keys()
    assert told
    for asked, one in told.items():
        other = alike[asked]
        assert (one.verdict, one.rival, one.followed) == (
            *(other.verdict, other.rival, other.followed),
        )
        assert one.at_most == pytest.approx(other.at_most)


def test_a_report_of_comparable_regimes_is_silent_about_what_sees_more(grid):
    made = comparable(grid.experiment)
    regimes = {
        n: r for n, r in made.regimes.items() if n not in ("l2_sp", "discriminative_finetune")
    }
    text = finished(made.model_copy(update={"regimes": regimes})).markdown()
    for words in (TITLE, "Beyond the rules", "that see more", "Rivals are the regimes"):
        assert words not in text


def test_no_rule_speaks_where_there_are_no_labels(study, markdown):
    assert "no_labels" not in {spot.scenario for spot in spots(study)}
    assert rule_stands(study, decide(study, "no_labels"), "cnn") == SILENT
    tables = markdown_tables(markdown)
    judged = tables["Rules of thumb, over all backbones"]
    assert {row[1] for row in judged[1:]} == {*LABELLED}
    accuracies = tables["Test accuracy (%)"]
    column = accuracies[0].index("no_labels")
    assert not any("†" in row[column] for row in accuracies)


def test_the_answer_says_of_a_place_that_it_has_no_labels(markdown):
    rows = markdown_tables(markdown)["The answer"]
    case, choice, expected, _, rule = next(row for row in rows if "without labels" in row[0])
    assert case == "20 images per class without labels, similar source"
    assert choice.endswith(" joint_training")
    assert expected.startswith("45.")
    assert rule == "no rule speaks of targets without labels"


def test_the_accuracies_of_all_regimes_are_shown_and_say_what_they_see(markdown):
    table = markdown_tables(markdown)["Test accuracy (%)"]
    named = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert {name.split()[0] for name in named} == {*SCORES}
    (joint,) = (
        row for name, row in named.items() if "(with source images)" in name and "joint" in name
    )
    assert joint["no_labels"].startswith("45.")
    assert joint["small_similar"].startswith("70.")
    (plain,) = (row for name, row in named.items() if "(with the source's head)" in name)
    assert plain["small_similar"] == "– (not planned)"
    assert named["full_finetune everything"]["no_labels"] == "– (not planned)"


def test_what_is_not_planned_is_not_missing(study, markdown):
    assert study.planned("no_labels", "cnn") == ("joint_training", "source_only")
    assert "source_only" not in study.planned("small_similar", "cnn")
    assert not (study.frame["status"] == "missing").any()
    assert "## Failed and missing cells" not in markdown


def test_the_page_and_the_markdown_hold_the_same_tables(page, markdown):
    ours = {n: t for n, t in markdown_tables(markdown).items() if "switched off" in n}
    theirs = {n: t for n, t in html_tables(page).items() if "switched off" in n}
    assert {*ours} == {FAMILY.format(family) for family in ("weights", "instances")}
    spaced = re.compile(r"\s+")
    for name, table in ours.items():
        assert [[spaced.sub(" ", e) for e in row] for row in theirs[name]] == table


# What is gained by seeing more.


def test_a_line_a_scenario_tells_what_source_images_add_to_the_best_without(study):
    told = lines(study)
    assert [*told] == list(study.scenarios)
    for scenario in LABELLED:
        with_images, with_teacher = told[scenario].split("; ")
        assert with_images.startswith("with source images best joint_training, 1")
        assert with_images.endswith("points ahead of lp_ft (separated)")
        assert with_teacher.startswith("with a teacher's answers nothing helps: best distillation")
        assert "points behind lp_ft" in with_teacher


def test_the_lines_stand_in_both_formats(study, markdown, page):
    for scenario, told in lines(study).items():
        assert f"- {scenario}: {told}" in markdown
        assert told.split("; ")[0].split(" ± ")[0].replace("'", "&#39;") in page


def test_validation_and_not_the_test_chooses_what_is_compared():
    """multi_task validates best, and joint_training tests best."""
    grid = finished(grid_of())
    for cell in grid.cells:
        known = grid.records[cell.run.id]
        if cell.regime == "multi_task":
            grid.records[cell.run.id] = known.model_copy(update={"val_accuracy": 0.99})
        elif cell.regime == "full_finetune":
            grid.records[cell.run.id] = known.model_copy(update={"val_accuracy": 0.98})
    assert lines(grid.study())["small_similar"].startswith("with source images best multi_task, ")
    assert "points ahead of full_finetune" in lines(grid.study())["small_similar"]


def test_without_labels_the_best_is_told_beside_the_model_as_it_is(study):
    told = lines(study)["no_labels"]
    assert told.startswith("without labels best joint_training, 45.")
    assert told.endswith("points ahead of source_only.")


def other_joint(**options: float) -> dict[str, Regime]:
    named = {f"joint_{n}": {"weight": w} for n, w in enumerate(options.values())}
    return {name: Regime(kind="joint_training", options=own) for name, own in named.items()}


def test_of_several_without_labels_the_interval_holds_for_all_that_were_looked_at():
    more = other_joint(a=0.1, b=0.2, c=0.3)
    study = finished(grid_of(more), dict.fromkeys(more, 0.4)).study()
    told = lines(study)["no_labels"]
    assert told.endswith(", the best of 4 by test accuracy: optimistic.")
    one, base = (Place("no_labels", "cnn", name) for name in ("joint_training", "source_only"))
    lead = study.measured.lead(one, over=base)
    assert f"{100 * lead.mean:.1f} ± {100 * lead.half(1 - 0.05 / 4):.1f} points" in told
    assert lead.half(1 - 0.05 / 4) > lead.half()


def test_where_nothing_is_ahead_it_says_so():
    study = finished(grid_of(), {"joint_training": 0.2}).study()
    assert lines(study)["no_labels"].startswith("without labels nothing helps: best joint_training")


def test_a_grid_without_the_model_as_it_is_says_what_it_lacks():
    made = grid_of()
    regimes = {name: one for name, one in made.regimes.items() if name != "source_only"}
    told = lines(finished(made.model_copy(update={"regimes": regimes})).study())["no_labels"]
    assert told.endswith("(source_only is not in this grid).")


def test_what_a_regime_sees_is_told_in_words(study):
    told = {regime: sees(study, regime) for regime in ("multi_task", "distillation", "source_only")}
    assert told == {
        "multi_task": "source images",
        "distillation": "a teacher's answers",
        "source_only": "the source's head",
    }


# Each against itself switched off.


def rows(markdown: str, family: str) -> dict[tuple[str, str], dict[str, str]]:
    head, *found = markdown_tables(markdown)[FAMILY.format(family)]
    named = (dict(zip(head, row, strict=True)) for row in found)
    return {(row["regime"], row["scenario"]): row for row in named}


def test_every_method_has_a_row_a_place_with_its_twin_and_its_costs(markdown):
    weights, instances = (rows(markdown, family) for family in ("weights", "instances"))
    assert {method for method, _ in weights} == {"l2_sp", "discriminative_finetune", "distillation"}
    assert {method for method, _ in instances} == {"multi_task", "joint_training"}
    row = instances["multi_task", "large_similar"]
    assert (row["switched off"], row["found"], row["images (times)"]) == (
        *("full_finetune", "ahead", "2.00"),
    )
    assert re.fullmatch(r"\+6\.\d ± \d\.\d", row["ahead (points)"])
    assert float(row["seconds (times)"]) > 0


def test_what_harms_is_said_and_is_negative_transfer_where_the_source_did_it(study, markdown):
    row = rows(markdown, "weights")["discriminative_finetune", "small_similar"]
    assert row["found"] == "behind"
    assert row["ahead (points)"].startswith("−6.")
    harmed = [item for item in bullets(study) if ": behind, −" in item]
    assert len(harmed) == len(LABELLED)
    assert harmed[0].startswith("discriminative_finetune in small_similar on cnn: ")
    (gain, *_) = (g for g in gains(study, ("discriminative_finetune",)) if g.side < 0)
    assert _found(gain) == "behind" and not gain.of_source
    assert _found(replace(gain, of_source=True)) == "negative transfer"
    known = (g for g in gains(study, ("multi_task", "joint_training")) if g.lead)
    assert all(g.of_source for g in known)


def bullets(study: Study) -> list[str]:
    blocks = methods(study).blocks
    return [item for block in blocks if isinstance(block, Bullets) for item in block.items]


def test_a_family_is_corrected_by_itself(study):
    families = by_family(study)
    assert families == {
        "weights": ("l2_sp", "discriminative_finetune", "distillation"),
        "instances": ("multi_task", "joint_training"),
    }
    for among in families.values():
        known = [gain for gain in gains(study, among) if gain.lead]
        plain = [2 * min(g.lead.p_above(), g.lead.negative.p_above()) for g in known]
        assert [gain.p for gain in known] == holm([min(1.0, p) for p in plain])
        assert len(known) == len(among) * len(LABELLED)


def test_the_families_are_folded_and_summed_up_above(study):
    section = methods(study)
    folds = [block for block in section.blocks if isinstance(block, Fold)]
    assert [fold.title.split(":")[0] for fold in folds] == ["weights", "instances"]
    assert (
        "instances (examples of the source): multi_task, joint_training; in 8 places: 8 ahead; "
        in ("\n".join(bullets(study)))
    )


def test_where_the_twin_is_not_planned_the_row_says_so(markdown):
    row = rows(markdown, "instances")["joint_training", "no_labels"]
    assert row["found"] == "– (full_finetune is not planned here)"
    assert row["ahead (points)"] == "–"


def of_regimes(**regimes: dict) -> Experiment:
    made = experiment(regimes=["lp_ft"])
    return made.model_copy(update={"regimes": {n: Regime(**r) for n, r in regimes.items()}})


def the_twin(**regimes: dict) -> tuple[str | None, str]:
    return tuple(twin(Grid(of_regimes(**regimes)).study(), "method"))


def test_the_same_regime_without_the_method_is_the_twin():
    own = {"kind": "l2_sp", "options": {"alpha": 0.1, "p": 1.0, "lr": 0.01}}
    other = {"kind": "full_finetune", "options": {"lr": 0.01}}
    assert the_twin(method=own, plain=other) == ("plain", "")


def test_the_method_switched_off_by_its_options_is_the_twin_too():
    own = {"kind": "multi_task", "options": {"weight": 0.3, "k": 1}}
    off = {"kind": "multi_task", "options": {"weight": 0.0, "k": 1}}
    assert the_twin(method=own, plain={"kind": "full_finetune"}, off=off) == ("off", "")
    study = Grid(of_regimes(method=own, off=off)).study()
    assert by_family(study) == {"instances": ("method",)}


@pytest.mark.parametrize(
    ("options", "other", "differing"),
    [
        ({"lr": 0.01}, {}, "lr"),
        ({}, {"lr": 0.01}, "lr"),
        ({"lr": 0.01, "k": 2}, {"lr": 0.02}, "k, lr"),
    ],
)
def test_another_learning_rate_makes_no_twin(options, other, differing):
    own = {"kind": "multi_task", "options": options}
    found = the_twin(method=own, plain={"kind": "full_finetune", "options": other})
    why = f"its twin plain is in this grid with other options ({differing})"
    assert found == (None, why)


def test_what_starts_at_random_has_no_twin_that_starts_from_the_source():
    own = {"kind": "detection", "options": {"start": "random"}}
    plain, off = {"kind": "full_finetune"}, {"kind": "detection"}
    why = "its twin plain is in this grid with other options (start)"
    assert the_twin(method=own, plain=plain) == (None, why)
    off["options"] = {"start": "random", "weight": 0.0}
    assert the_twin(method=own, plain=plain, off=off) == ("off", "")


def test_rates_that_are_tuned_count_as_the_same():
    trials = [{"lr": 0.01}, {"lr": 0.1}]
    own = {"kind": "l2_sp", "options": {"lr": 0.3, "alpha": 0.1}, "tune": trials}
    other = {"kind": "full_finetune", "options": {"lr": 0.5}, "tune": trials}
    assert the_twin(method=own, plain=other) == ("plain", "")


def test_a_method_without_its_twin_says_which_it_lacks():
    study = Grid(of_regimes(method={"kind": "l2_sp"}, lp_ft={"kind": "lp_ft"})).finish().study()
    (fold,) = (block for block in methods(study).blocks if isinstance(block, Fold))
    (said,) = fold.blocks
    assert said.items == ("method: its twin full_finetune is not in this grid",)


def test_a_grid_that_is_half_done_has_dashes():
    grid = Grid(grid_of())
    grid.finish(lambda cell: cell.regime == "l2_sp")
    row = rows(grid.markdown(), "weights")["l2_sp", "small_similar"]
    assert row["found"] == "– (not measured)"


def test_one_seed_gives_no_interval_and_no_verdict():
    made = grid_of().model_copy(update={"seeds": (0,)})
    row = rows(finished(made).markdown(), "weights")["discriminative_finetune", "small_similar"]
    assert (row["found"], row["p"]) == ("interval unknown", "–")


# What the scenarios are called.


def test_scenarios_are_named_once_both_lists_of_classes_are_stored(tmp_path):
    grid = finished(grid_of()).predict(tmp_path / "runs")
    assert "What the scenarios are called" not in grid.markdown()
    for cell in grid.cells:
        if cell.run.parent and cell.source == "latin":  # whose classes are the target's here
            place = grid.locate(cell.run.parent.id)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(grid.locate(cell.run.id).read_bytes())
    out = tmp_path / "report"
    grid.write(out)
    with (out / "taxonomy.csv").open() as handle:
        stored = {row["scenario"]: row for row in csv.DictReader(handle)}
    shown = html_tables((out / "index.html").read_text())["What the scenarios are called"]
    assert {row[0]: row[1:] for row in shown[1:]} == {
        "small_similar": ["inductive", "transductive", "homogeneous"],
        "large_similar": ["inductive", "transductive", "homogeneous"],
        "no_labels": ["transductive", "transductive", "homogeneous"],
    }
    assert {n: row["by_labels"] for n, row in stored.items()} == {r[0]: r[1] for r in shown[1:]}
    assert stored["no_labels"]["labels"] == "source"


def test_a_weight_of_zero_is_another_than_the_default():
    off = Off("pooled_head", (("align", "none"),), alike=("l2", "weight"))
    assert _apart({}, {"weight": 0.0}, off) == {"weight"}
    assert _apart({"weight": 0.5}, {"weight": 0.5}, off) == frozenset()
    assert _apart({"k": 0}, {}, Off("full_finetune")) == frozenset()
    assert _apart({"k": "all"}, {}, Off("full_finetune")) == {"k"}
