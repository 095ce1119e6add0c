"""What the report says of further budgets: recomputed from records.csv, and apart from the rest."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from transfer_lab.reporting.sections.order import sections
from transfer_lab.reporting.study import StoredResults, Study

from .invented import CORNERS, Grid, experiment
from .reading import html_tables, markdown_tables

BUDGETS = {"longer": {"epochs": 40}, "converged": {"epochs": 90, "patience": 4}}
LEARNING = ("from_scratch", "linear_probe", "partial_finetune", "full_finetune", "lp_ft")
NAMES = ("fit", "longer", "converged")


def grid(seeds: int = 3, **more: object) -> Grid:
    return Grid(experiment(seeds=seeds, budgets=BUDGETS, **more))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("budgets")
    made = grid()
    made.finish(lambda cell: cell.budget is None)
    made.finish(lambda cell: cell.budget == "longer", epochs=40)
    made.finish(lambda cell: cell.budget == "converged", stopped="converged", epochs=60)
    made.finish(
        lambda cell: cell.budget == "converged" and cell.regime == "lp_ft" and cell.seed == 1,
        stopped="cap",
        epochs=90,
    )
    made.predict(folder / "runs").write(folder)
    return folder


@pytest.fixture(scope="module")
def tables(out):
    return html_tables((out / "index.html").read_text())


@pytest.fixture(scope="module")
def rows(out) -> pd.DataFrame:
    table = pd.read_csv(out / "records.csv")
    return table.assign(budget=table["budget"].fillna("fit"))


def means(rows: pd.DataFrame, scenario: str, budget: str, column: str) -> pd.Series:
    here = rows[(rows["scenario"] == scenario) & (rows["budget"] == budget)]
    return here[here["regime"].isin(LEARNING)].groupby("regime")[column].mean()


def test_records_name_the_budget_of_every_cell_and_nothing_for_the_main_one(out, rows):
    assert pd.read_csv(out / "records.csv")["budget"].isna().sum() == 4 * 7 * 3
    assert rows["budget"].value_counts().to_dict() == {
        "fit": 4 * 7 * 3,
        "longer": 4 * 6 * 3,
        "converged": 4 * 6 * 3,
    }


def test_winners_can_be_recomputed(tables, rows):
    head, *found = tables["Best trained regime by budget, cnn"]
    assert [row[:2] for row in found] == [
        [f"{size}_{similarity}", name]
        for size in ("small", "large")
        for similarity in ("similar", "dissimilar")
        for name in NAMES
    ]
    for row in found:
        scenario, budget, best, bound, as_good, preferred, _, accuracy, seconds = row
        tested = means(rows, scenario, budget, "test_accuracy").sort_values(ascending=False)
        assert best == tested.index[0]
        assert float(accuracy.split(" ±")[0]) == pytest.approx(100 * tested.iloc[0], abs=0.0501)
        assert accuracy.endswith("(n=3)")
        fit = means(rows, scenario, budget, "fit_seconds")[best]
        assert float(seconds.split(" ±")[0]) == pytest.approx(fit, abs=0.0501)
        left = [] if as_good == "none" else as_good.split(", ")
        assert left == list(tested.index[1 : 1 + len(left)])
        assert (float(bound) == 0) == (not left)
        assert preferred == means(rows, scenario, budget, "val_accuracy").idxmax()
    assert len(head) == 9


def test_accuracies_of_all_regimes_can_be_recomputed(tables, rows):
    caption = "Test accuracy (%) by budget, cnn: mean ± 95 % interval, and in points how far "
    head, *found = tables[f"{caption}above fit, paired by seed and test image"]
    assert head == ["regime", "scenario", *NAMES]
    assert len(found) == 6 * 4
    for regime, scenario, *scores in found:
        for budget, score in zip(NAMES, scores, strict=True):
            here = rows[(rows["scenario"] == scenario) & (rows["budget"] == budget)]
            exact = here.loc[here["regime"] == regime.split()[0], "test_accuracy"].mean()
            assert float(score.split(" ±")[0]) == pytest.approx(100 * exact, abs=0.0501)
            if budget == "fit":
                usual = exact
                assert score.endswith("(n=3)")
                continue
            above = re.search(r"\(n=3\) ([+-][\d.]+) ±", score)[1]
            assert float(above) == pytest.approx(100 * (exact - usual), abs=0.0501)


def test_what_was_spent_can_be_recomputed(tables, rows):
    _, *found = tables["What a run may spend, and did"]
    runs = rows[rows["regime_kind"] != "majority"].drop_duplicates("run_id").groupby("budget")
    spent = {row[0]: row[1:] for row in found}
    assert list(spent) == list(NAMES)
    for name, rest in spent.items():
        here = runs.get_group(name)
        low, high = here["epochs"].min(), here["epochs"].max()
        assert rest[2] == (f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}")
        assert float(rest[3]) == pytest.approx(here["fit_seconds"].sum(), abs=0.51)
    assert spent["fit"][0] == "10 epochs"
    assert "better for 4 times in a row, at most 90 epochs" in spent["converged"][0]
    capped = runs.get_group("converged")["stopped"].eq("cap").sum()
    assert spent["converged"][-1] == f"{capped} of {len(runs.get_group('converged'))}"
    assert spent["fit"][-1] == spent["longer"][-1] == "–"


def test_regimes_whose_runs_hit_the_cap_are_named(out):
    text = (out / "report.md").read_text().replace("\\", "")
    assert (
        "its share of the cap of converged before it had converged: lp_ft (4 of 12 runs)." in text
    )
    assert "the model of the first validation" not in text


def test_runs_that_kept_what_they_began_with_are_named():
    """Where validation images are few, it may get no better from the start."""
    made = grid(seeds=2, corners=CORNERS[:1])
    made.finish(lambda cell: cell.budget != "converged")
    made.finish(lambda cell: cell.budget == "converged", stopped="converged")
    (cell,) = (
        c for c in made.cells if (c.budget, c.regime, c.seed) == ("converged", "from_scratch", 1)
    )
    made.curves[cell.run.id]["val_loss"] = [3.0 + 0.1 * n for n in range(20)]
    made.curves[cell.run.id]["val_accuracy"] = [0.5] * 20
    text = made.markdown().replace("\\", "")
    assert "Kept under converged the model of the first validation" in text
    assert "none was better: from_scratch (1 of 2 runs)." in text


def test_what_rules_cost_under_each_budget_can_be_recomputed(tables, rows):
    _, *found = tables["Following each rule under every budget"]
    regrets = {(row[0], row[1]): (row[3].split()[0], row[4]) for row in found}
    scenarios = [f"{size}_{similarity}" for size, similarity in CORNERS]
    for name in NAMES:
        tested = [means(rows, scenario, name, "test_accuracy") for scenario in scenarios]
        lost = [100 * (one.max() - one["full_finetune"]) for one in tested]
        mean, worst = map(float, regrets["always_full_finetune", name])
        assert mean == pytest.approx(sum(lost) / 4, abs=0.0501)
        assert worst == pytest.approx(max(lost), abs=0.0501)


def test_verdicts_add_up_and_those_that_differ_are_told(out, tables):
    _, *found = tables["Verdict on each rule under every budget"]
    counted = {(row[0], row[1]): row[2] for row in tables["Following each rule under every budget"]}
    for rule in ("rule_av", "rule_cs231n"):
        for position, name in enumerate(NAMES):
            verdicts = [row[2 + position] for row in found if row[0] == rule]
            for verdict in set(verdicts):
                assert f"{verdicts.count(verdict)} {verdict}" in counted[rule, name]
    text = (out / "report.md").read_text().replace("\\", "")
    told = re.findall(r"- (rule_\w+) in (\w+): (.*) under fit, ", text)
    differing = [(row[0], row[1]) for row in found if len(set(row[2:])) > 1]
    assert [(rule, scenario) for rule, scenario, _ in told] == differing
    assert differing or "No verdict on a rule differs" in text


def test_everything_else_is_about_the_main_budget(tables):
    alone = Grid(experiment(seeds=3)).finish()
    among = grid().finish()
    plain, more = (markdown_tables(one.markdown()) for one in (alone, among))
    assert set(plain) < set(more)
    differing = {caption for caption in plain if plain[caption] != more[caption]}
    assert differing == {"Versions, machines and dates"}


def test_both_formats_print_the_same(out, tables):
    text = markdown_tables((out / "report.md").read_text())
    captions = [caption for caption in text if "budget" in caption or "may spend" in caption]
    assert len(captions) == 5
    for caption in captions:
        assert tables[caption] == text[caption]


def scored(made: Grid, scores: dict[str, tuple[float, float]]) -> str:
    """The report where each regime has one accuracy under the main budget and one under longer."""
    for regime, (main, longer) in scores.items():
        for budget, accuracy in ((None, main), ("longer", longer)):
            made.finish(
                lambda cell, of=(budget, regime): (cell.budget, cell.regime) == of,
                test_accuracy=accuracy,
            )
    for cell in made.cells:  # seeds that agree to the last digit would have no error
        known = made.records.get(cell.run.id)
        if known:
            moved = known.test_accuracy + 0.002 * cell.seed
            made.records[cell.run.id] = known.model_copy(update={"test_accuracy": moved})
    return made.markdown().replace("\\", "")


def one_place(**more: object) -> Grid:
    regimes = ("linear_probe", "full_finetune")
    return grid(corners=CORNERS[:1], regimes=regimes, **more)


def test_a_change_of_order_is_said_where_both_budgets_tell_the_two_apart():
    text = scored(one_place(), {"linear_probe": (0.8, 0.5), "full_finetune": (0.6, 0.75)})
    assert (
        "small_similar, cnn: linear_probe has the highest mean under fit; under longer "
        "full_finetune has, 25.0" in text
    )
    assert "points ahead of linear_probe (ruled out), which under fit is 20.0" in text
    assert "ahead of it (ruled out): the order changes, and between" in text
    # 0.25 ahead under one and 0.20 behind under the other
    assert re.search(r"difference moves by 45\.0 ± [\d.]+ points \(separated\)\.", text)


@pytest.mark.parametrize("under_longer", [(0.501, 0.5015), (0.501, 0.6)])
def test_a_change_within_the_intervals_is_not_shown(under_longer):
    """Also where only one of the budgets tells them apart."""
    probe, full = under_longer
    text = scored(one_place(), {"linear_probe": (0.602, probe), "full_finetune": (0.601, full)})
    assert "under longer full_finetune has, " in text
    assert "a change of order is not shown, and between" in text
    assert "the order changes" not in text
    moved = 100 * ((full - probe) - (0.601 - 0.602))
    said = re.search(r"difference moves by ([\d.]+) ± ([\d.]+) points \((.+?)\)", text)
    assert float(said[1]) == pytest.approx(moved, abs=0.051)
    assert (said[3] == "separated") == (float(said[1]) > float(said[2]))


def test_the_same_winner_everywhere_is_said_and_what_is_missing_too():
    scores = {"linear_probe": (0.8, 0.8), "full_finetune": (0.6, 0.6)}
    text = scored(one_place(), scores)
    told = "small_similar, cnn: linear_probe has the highest mean under fit and longer (so far)"
    assert told not in text  # converged has no cell that is done, and so no say
    assert "linear_probe has the highest mean under fit and longer." in text
    assert "converged | – (no trained regime measured)" in text


def test_before_a_second_budget_has_run_there_is_nothing_to_compare():
    made = grid()
    made.finish(lambda cell: cell.budget is None)
    text = made.markdown()
    assert "fewer than two budgets have finished runs" in text
    assert "84 of 228 cells done (144 missing)" in text


def test_nothing_at_all_makes_a_report_too():
    assert "fewer than two budgets have finished runs" in grid().markdown()


def test_failed_and_missing_cells_name_their_budget():
    made = grid(seeds=1, corners=CORNERS[:1]).finish(lambda cell: cell.budget != "converged")
    (broken,) = (c for c in made.cells if (c.budget, c.regime) == ("longer", "lp_ft"))
    made.fail(broken.run, "it went wrong")
    text = made.markdown().replace("\\", "")
    assert "small_similar / cnn / lp_ft, budget longer, seed 0" in text
    assert "small_similar / cnn / lp_ft, budget converged, seed 0" in text
    assert "small_similar / cnn / lp_ft, seed 0" not in text


def test_without_further_budgets_nothing_is_said_of_them(tmp_path):
    Grid(experiment(seeds=2)).finish().write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "## Budgets" not in text
    assert "Further budget" not in text
    assert pd.read_csv(tmp_path / "records.csv")["budget"].isna().all()


def test_records_of_a_time_before_budgets_are_under_the_main_one():
    made = Grid(experiment(seeds=2)).finish()
    old = made.frame.drop(columns=["budget", "stopped"])
    study = Study.of(made.experiment, StoredResults(old, made.curves))
    assert len(study.frame) == len(old)
    assert study.further == {}
    more = grid(seeds=2)
    table = Study.of(more.experiment, StoredResults(old, made.curves))
    assert "Budgets" in [section.title for section in sections(table)]


def test_the_protocol_says_how_each_budget_ends():
    text = grid().finish().markdown()
    assert "The last epoch is the result; there is no early stopping." in text
    assert "Further budget longer: 40 epochs, batches of 64" in text
    patient = "Further budget converged: until validation has not been better for 4 times"
    assert patient in text
    assert "stays at its peak rate" in text
    waiting = Grid(experiment(seeds=2, fit={"patience": 3})).finish().markdown()
    assert "there is no early stopping" not in waiting
    assert "has not been better for 3 times in a row, at most 10 epochs" in waiting


def test_mixed_conditions_are_warned_of():
    made = grid()
    made.finish(lambda cell: cell.budget is None)
    made.finish(lambda cell: cell.budget is not None, host="another")
    assert "Seconds are not comparable: the records differ in host." in made.markdown()


def test_predictions_that_are_missing_under_further_budgets_are_told(tmp_path):
    made = grid(seeds=2)
    made.finish(lambda cell: cell.budget is None).predict(tmp_path)
    made.finish(lambda cell: cell.budget == "longer")
    assert re.search(r"under further budgets \d+ have no predictions", made.markdown())
