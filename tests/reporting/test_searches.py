"""What the report says of searches for the whole grid: every number from trials.csv."""

from __future__ import annotations

import json
import random

import pandas as pd
import pytest

from tests.builders import done
from transfer_lab.experiment.budget import under
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.reporting.collect import searches as stored_searches
from transfer_lab.store.records import RecordStore
from transfer_lab.store.trials import Trial

from .invented import CORNERS, Grid, experiment
from .reading import html_tables, markdown_tables

RATES = [{"lr": lr} for lr in (0.001, 0.01, 0.1)]
PAIRS = [{"lr": 0.001, "k": 1}, {"lr": 0.01, "k": 1}, {"lr": 0.1, "k": 2}]
LEARNING = ("from_scratch", "linear_probe", "partial_finetune")
SHOWN = "Options that validation chose, and their mean validation accuracy"
ALL = "Validation accuracy of every trial"


def searching(**more: object) -> Grid:
    regimes = {name: {"kind": name} for name in (*LEARNING, "majority")}
    regimes["partial_finetune"]["tune"] = PAIRS
    nets = {name: {"kind": name} for name in ("cnn", "mlp")}
    tuned = {"tune": RATES, "search": {"seed": 9}} | more
    made = experiment(corners=CORNERS, seeds=3, backbones=nets, **tuned)
    return Grid(type(made).model_validate(made.model_dump() | {"regimes": regimes}))


def tried(grid: Grid) -> dict[str, tuple[Trial, ...]]:
    """Trials of every search, of which each probe's first has the best accuracy."""
    found = {}
    for run in runs_of(plan(grid.experiment)).values():
        if run.purpose == "search":
            chance = random.Random(run.id)
            scores = [chance.uniform(0.2, 0.6) for _ in run.tune]
            if run.regime.kind == "linear_probe":
                scores = [0.7, 0.6, 0.5]
            found[run.id] = tuple(
                Trial(options, score, 2 - score, 20, 600, 1.5, feature_seconds=0.25)
                for options, score in zip(run.tune, scores, strict=True)
            )
    return found


def finished(**more: object) -> Grid:
    grid = searching(**more).finish(trials=3)
    grid.searches |= tried(grid)
    return grid


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    finished().write(folder)
    return folder


@pytest.fixture(scope="module")
def text():
    return finished().markdown()


@pytest.fixture(scope="module")
def brief(out):
    return (out / "report.md").read_text()


@pytest.fixture(scope="module")
def tables(out):
    return html_tables((out / "index.html").read_text())


@pytest.fixture(scope="module")
def rows(out) -> pd.DataFrame:
    return pd.read_csv(out / "trials.csv")


def words(options: str) -> str:
    """'lr=0.1, k=2' in any order."""
    return ", ".join(sorted(f"{k}={json.dumps(v)}" for k, v in json.loads(options).items()))


def test_the_chosen_options_and_their_accuracy_can_be_recomputed(tables, rows):
    (_, *backbones), *found = tables[SHOWN]
    assert backbones == ["cnn", "mlp"]
    assert [row[0] for row in found] == list(LEARNING)
    for regime, *entries in found:
        for backbone, entry in zip(backbones, entries, strict=True):
            here = rows[(rows["backbone"] == backbone) & (rows["regime"] == regime)]
            means = here.groupby("options")["val_accuracy"].mean()
            shown, _, accuracy = entry.partition(" (")
            assert ", ".join(sorted(shown.split(", "))) == words(means.idxmax())
            assert float(accuracy.rstrip(" %)")) == pytest.approx(100 * means.max(), abs=0.0501)
            assert set(here.loc[here["chosen"], "options"]) == {means.idxmax()}


def test_it_is_told_on_how_many_images_a_choice_rests(text):
    """From scratch both scenarios are one search, so that there is one set of images."""
    assert "Each choice rests on 37 to 74 validation images: ± 16 points at 50 %, at most." in text


def test_everything_that_was_tried_stands_there(tables, rows):
    head, *found = tables[ALL]
    assert head[3:] == ["mean (%)", "small_similar (%)", "small_dissimilar (%)"]
    assert len(found) == 2 * len(LEARNING) * 3
    for backbone, regime, options, mean, *each in found:
        shown = ", ".join(sorted(options.removesuffix(" (chosen)").split(", ")))
        here = rows[(rows["backbone"] == backbone) & (rows["regime"] == regime)]
        here = here[here["options"].map(words) == shown]
        assert options.endswith("(chosen)") == bool(here["chosen"].all())
        assert float(mean) == pytest.approx(100 * here["val_accuracy"].mean(), abs=0.0501)
        for name, score in zip(("small_similar", "small_dissimilar"), each, strict=True):
            (exact,) = here.loc[here["scenario"] == name, "val_accuracy"]
            assert float(score) == pytest.approx(100 * exact, abs=0.0501)


def test_seconds_are_told_once_and_are_in_no_other_table(text, rows, tables):
    once = rows.drop_duplicates(["run_id", "trial"])
    seconds = (once["seconds"] + once["feature_seconds"]).sum()
    assert f"{once['run_id'].nunique()} searches took {seconds:.1f} s" in text
    heads = [set(table[0]) for table in tables.values()]
    assert heads and not any("search" in head for head in heads)


def test_a_rate_at_the_edge_is_warned_of_and_one_in_the_middle_is_not(text):
    listed = text.split("Chosen at the edge")[1].split("\n\n")[1].splitlines()
    assert {"- cnn / linear_probe: lr=0.001", "- mlp / linear_probe: lr=0.001"} <= {*listed}
    assert not any("lr=0.01" in line.split() for line in listed)
    middle = finished()
    for run_id, trials in middle.searches.items():
        best = (trials[0], trials[1]._replace(val_accuracy=0.9), trials[2])
        middle.searches[run_id] = best
    assert "Chosen at the edge" not in middle.markdown()


def test_the_protocol_says_how_rates_were_found_and_nothing_is_untuned(text):
    told = text.split("## Protocol")[1]
    assert "3 trials on each backbone, tried once, at seed 9, which no run of the grid has" in told
    assert "small_similar and small_dissimilar" in told
    assert "No search reads a test image." in told
    assert "ntuned: rates set by hand" not in text
    assert "chosen trial minus test accuracy" not in text  # that is of searches in each place


def test_that_trials_are_shorter_is_said(text):
    assert "no more than" not in text.split("tried once")[1].split(": from")[0]
    for epochs, told in ((1, "1 epoch"), (3, "3 epochs")):
        shorter = finished(search={"seed": 9, "epochs": epochs}).markdown()
        assert f"small_dissimilar, for no more than {told}: from the same initial" in shorter


def test_what_was_tried_and_chosen_is_on_the_page_and_how_in_the_short_report(brief, tables):
    assert {SHOWN, ALL} <= tables.keys() and not {SHOWN, ALL} & markdown_tables(brief).keys()
    assert "3 trials on each backbone, tried once, at seed 9" in brief


def test_before_a_search_has_ended_the_report_says_so():
    assert "No search has been finished yet." in searching().markdown()
    some = finished()
    gone = next(
        run_id
        for cell in some.cells
        if (cell.regime, cell.backbone) == ("linear_probe", "cnn")
        for run_id in [cell.run.searches[0].id]
    )
    del some.searches[gone]
    assert "| linear_probe | – (no search yet) | lr=0.001 (70.0 %) |" in some.markdown()


def test_a_trial_that_diverged_in_one_scenario_is_named_and_not_chosen():
    grid = finished()
    for cell in grid.cells:
        if (cell.regime, cell.backbone) == ("linear_probe", "mlp"):
            first = cell.run.searches[0].id
            lost = grid.searches[first][0]._replace(
                val_accuracy=None, val_loss=None, status="diverged"
            )
            grid.searches[first] = (lost, *grid.searches[first][1:])
    text = grid.markdown()
    assert "| linear_probe | lr=0.001 (70.0 %) | lr=0.01 (60.0 %) |" in text
    assert "| mlp | linear_probe | lr=0.001 | diverged |" in text


def test_each_budget_is_searched_and_shown_by_itself():
    text = finished(budgets={"longer": {"epochs": 30}}).markdown()
    _, *found = markdown_tables(text)[SHOWN]
    names = [f"{name}{budget}" for budget in ("", under("longer")) for name in LEARNING]
    assert [row[0] for row in found] == names


def test_a_damaged_search_is_named_and_the_report_goes_without_it(tmp_path):
    told: list[str] = []
    grid = finished()
    store = RecordStore(tmp_path, told.append)
    run = next(cell.run.searches[0] for cell in grid.cells if cell.run.searches)
    store.put(done(run, trials_sha256="0" * 64))
    assert stored_searches(grid.experiment, store) == {}
    assert len(told) == 1 and run.id in told[0] and "goes without it" in told[0]
