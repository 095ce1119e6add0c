"""What the report says of a search: every number from records.csv and trials.csv."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from scipy import stats

from .invented import CORNERS, Grid, experiment
from .reading import html_tables, markdown_tables

RATES = [{"lr": lr} for lr in (0.001, 0.01, 0.1, 1.0)]
HALVES = [{"k": 1, "lr": 0.01}, {"k": 1, "lr": 0.1}, {"k": 2, "lr": 0.01}, {"k": 2, "lr": 0.1}]
LEARNING = ("from_scratch", "linear_probe", "partial_finetune")


def tuned(**more: object) -> Grid:
    regimes = {name: {"kind": name} for name in (*LEARNING, "majority")}
    regimes["partial_finetune"]["tune"] = HALVES
    made = experiment(corners=CORNERS, seeds=3, tune=RATES, **more)
    content = made.model_dump() | {"regimes": regimes}
    return Grid(type(made).model_validate(content))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    tuned().finish().write(folder)
    return folder


@pytest.fixture(scope="module")
def tables(out):
    return html_tables((out / "index.html").read_text())


@pytest.fixture(scope="module")
def rows(out) -> pd.DataFrame:
    """Every trial of every finished cell."""
    return pd.read_csv(out / "records.csv").merge(
        pd.read_csv(out / "trials.csv"), on="run_id", suffixes=("", "_trial")
    )


def place(rows: pd.DataFrame, regime: str, scenario: str) -> pd.DataFrame:
    return rows[(rows["regime"] == regime) & (rows["scenario"] == scenario)]


def test_best_median_and_worst_can_be_recomputed(tables, rows):
    found = tables["Trials by validation accuracy, cnn"][1:]
    assert {row[0] for row in found} == set(LEARNING)
    assert len(found) == len(LEARNING) * 4
    for regime, scenario, best, middle, worst, diverged, *_ in found:
        here = place(rows, regime, scenario).groupby("seed")["val_accuracy_trial"]
        for shown, exact in ((best, here.max()), (middle, here.median()), (worst, here.min())):
            assert float(shown) == pytest.approx(100 * exact.mean(), abs=0.0501)
        assert diverged == "3 of 12"


def test_optimism_and_seconds_can_be_recomputed(tables, rows):
    for regime, scenario, *_, optimism, search, fit in tables["Trials by validation accuracy, cnn"][
        1:
    ]:
        here = place(rows, regime, scenario)
        once = here.drop_duplicates("seed")
        gap = 100 * (here.groupby("seed")["val_accuracy_trial"].max().to_numpy())
        gap -= 100 * once.sort_values("seed")["test_accuracy"].to_numpy()
        mean, half = map(float, optimism.split(" ± "))
        assert mean == pytest.approx(gap.mean(), abs=0.0501)
        assert half == pytest.approx(stats.sem(gap) * stats.t.ppf(0.975, 2), abs=0.0501)
        each = here["seconds"] + here["feature_seconds_trial"]
        seconds = each.groupby(here["seed"]).sum().mean()
        assert float(search) == pytest.approx(seconds, abs=0.00501)
        assert float(fit) == pytest.approx(once["fit_seconds"].mean(), abs=0.0501)


def test_how_often_each_trial_won_can_be_recomputed_and_adds_up(tables, rows):
    (_, _, *scenarios), *found = tables[
        "How often each trial was chosen, cnn: of the finished seeds"
    ]
    wins = rows[rows["chosen"]].groupby(["regime", "scenario", "options_trial"]).size()
    total = 0
    for regime, options, *entries in found:
        trial = json.dumps({k: json.loads(v) for k, v in re.findall(r"(\w+)=([^,]+)", options)})
        for scenario, entry in zip(scenarios, entries, strict=True):
            count = wins.get((regime, scenario, trial), 0)
            assert entry == f"{count} of 3"
            total += count
    assert total == 3 * len(LEARNING) * 4


def test_the_search_is_in_the_ledger(tables):
    (caption,) = (c for c in tables if c.startswith("Time ledger"))
    head, *found = tables[caption]
    assert "search" in head
    shown = {row[0]: row[head.index("search")] for row in found}
    assert shown["majority (control)"] == "–"
    assert float(shown["from_scratch"]) > 0
    (costs,) = (rows for caption, rows in tables.items() if "pretrained way costs" in caption)
    assert "search" in costs[0]


def test_the_protocol_names_trials_and_rule_of_selection_and_no_flag_is_raised(out, tables):
    text = (out / "report.md").read_text()
    assert "has 4 trials in each place" in text
    assert "best validation accuracy chooses" in text
    assert "ntuned: rates set by hand" not in text
    tried = {row[0]: row[-1] for row in tables["Regimes and their options"]}
    assert any("k=1, lr=0.01; k=1, lr=0.1" in words for words in tried.values())
    assert "recomputed from records.csv and trials.csv" in text


def test_both_formats_print_the_same(out, tables):
    text = markdown_tables((out / "report.md").read_text())
    assert "Regimes and their options" in tables.keys() - text.keys()
    assert tables["Scenarios"] == text["Scenarios"]


def test_an_experiment_without_trials_is_marked_untuned_and_leaves_no_trials(out, tmp_path):
    (tmp_path / "trials.csv").write_text("of another time")
    Grid(experiment(corners=CORNERS[:1], seeds=2)).finish().write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert re.search(r"^Limits: .*untuned", text, re.MULTILINE)
    assert "untuned: rates set by hand" in text.split("### Protocol")[1]
    assert "## Tuning" not in text
    heads = [set(table[0]) for table in markdown_tables(text).values()]
    assert heads and not any("search" in head for head in heads)
    assert not (tmp_path / "trials.csv").exists()


def test_a_value_that_wins_at_the_end_of_its_range_is_named():
    grid = tuned().finish()
    for cell in grid.cells:
        if cell.regime == "linear_probe":
            best = json.dumps({"lr": 0.001})
            known = grid.records[cell.run.id]
            grid.records[cell.run.id] = known.model_copy(update={"chosen_options": best})
    assert "- linear_probe: lr=0.001 in 12 of 12 runs" in grid.markdown()


def test_before_any_search_has_ended_the_report_says_so():
    assert "No search has been finished yet." in tuned().markdown()


def test_searches_of_earlier_versions_are_read_and_said_to_count_the_fits_alone(tmp_path):
    grid = tuned().finish()
    older = list(grid.trials)[:5]
    for run_id in older:
        grid.trials[run_id] = grid.trials[run_id].drop(columns="feature_seconds")
    grid.write(tmp_path)
    told = f"5 of {len(grid.trials)} searches were stored by an earlier version"
    assert told in (tmp_path / "index.html").read_text()
    kept = pd.read_csv(tmp_path / "trials.csv")
    assert set(kept.loc[kept["feature_seconds"].isna(), "run_id"]) == set(older)


def test_where_every_search_counts_its_features_nothing_is_said_of_versions(out):
    assert "earlier version" not in (out / "index.html").read_text()
