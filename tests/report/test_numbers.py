"""Every printed number follows from records.csv, and both formats print the same."""

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from .invented import CORNERS, Grid, experiment
from .reading import html_tables, markdown_tables

BACKBONES = {
    "cnn": {"kind": "cnn"},
    "vgg": {"kind": "vgg16", "options": {"width": 0.125}},
}
NUMBER = re.compile(r"(\d+\.?\d*)(?: ± (\d+\.?\d*))? \((?:n=)?(\d+)(?: of (\d+))?\)")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a grid where one backbone has not finished all of its seeds."""
    folder = tmp_path_factory.mktemp("report")
    grid = Grid(experiment(backbones=BACKBONES))
    grid.finish(lambda cell: cell.backbone == "cnn" or cell.seed < 3 or cell.regime == "lp_ft")
    grid.write(folder)
    return folder


@pytest.fixture(scope="module")
def tables(out: Path) -> dict[str, list[list[str]]]:
    return markdown_tables((out / "report.md").read_text())


@pytest.fixture(scope="module")
def records(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "records.csv")


def agrees(shown: str, exact: float) -> bool:
    """Whether the printed digits are the exact value, rounded."""
    decimals = len(shown.partition(".")[2])
    return abs(float(shown) - exact) <= 0.5 * 10**-decimals + 1e-9


@pytest.mark.parametrize(
    ("title", "column", "scale"),
    [("Test accuracy (%)", "test_accuracy", 100), ("Fit time (s)", "fit_seconds", 1)],
)
def test_every_entry_of_a_matrix_can_be_recomputed(tables, records, title, column, scale):
    checked = 0
    for backbone in ("cnn", "vgg16(width=0.125)"):
        caption = next(name for name in tables if name.startswith(f"{title}, {backbone}"))
        (_, *scenarios), *rows = tables[caption]
        for name, *entries in rows:
            for scenario, entry in zip(scenarios, entries, strict=True):
                here = records.query(
                    "scenario == @scenario and backbone == @backbone and regime == @regime",
                    local_dict={
                        "scenario": scenario,
                        "backbone": backbone,
                        "regime": name.removesuffix(" (control)"),
                    },
                )
                values = scale * here.loc[here["status"] == "done", column]
                mean, half, n, planned = NUMBER.search(entry).groups()
                exact = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
                assert agrees(mean, values.mean()), (caption, name, scenario)
                assert agrees(half, exact), (caption, name, scenario)
                assert int(n) == len(values)
                assert int(planned or n) == len(here)
                checked += 1
    assert checked == 2 * 7 * 4


def test_best_trained_regime_is_bold_and_no_control_ever_is(out, records):
    text = (out / "report.md").read_text().split("## Accuracy")[1].split("## Training time")[0]
    bold = re.findall(r"^\| (\S+)(?: \(control\))? \|.*\*\*(?:† )?([\d.]+) ±", text, re.MULTILINE)
    trained = records[~records["regime_kind"].isin(["majority", "random_features"])]
    means = trained.groupby(["backbone", "scenario", "regime"])["test_accuracy"].mean()
    best = {place[-1] for place in means.groupby(level=[0, 1]).idxmax()}
    assert {regime for regime, _ in bold} == best


@pytest.mark.parametrize("backbone", ["cnn", "vgg16(width=0.125)"])
def test_the_answer_follows_from_the_records(tables, records, backbone):
    done = records[(records["backbone"] == backbone) & (records["status"] == "done")]
    means = done.groupby(["scenario", "regime"])["test_accuracy"].mean()
    rule = {
        "small_similar": "linear_probe",
        "small_dissimilar": "partial_finetune",
        "large_dissimilar": "from_scratch",
        "large_similar": "full_finetune",
    }
    (_, *columns), *rows = tables[f"Best trained regime by scenario, {backbone}"]
    for size, *corners in rows:
        for column, corner in zip(columns, corners, strict=True):
            scenario = f"{size}_{column.removesuffix(' source')}"
            scores = means[scenario].drop(["majority", "random_features"]).sort_values()
            best, second = scores.index[-1], scores.index[-2]
            told = rule[scenario]
            assert corner.startswith(f"{best} {100 * scores.iloc[-1]:.1f} ± ")
            margin = re.search(rf"runner-up {second}, ([\d.]+) points behind", corner)[1]
            assert agrees(margin, 100 * (scores.iloc[-1] - scores.iloc[-2]))
            if told == best:
                assert corner.endswith(f"rule: {told}, the best")
            else:
                behind = re.search(rf"rule: {told}, ([\d.]+) points behind$", corner)[1]
                assert agrees(behind, 100 * (scores.iloc[-1] - scores[told]))


def test_pretraining_is_counted_once_per_source_run_and_shared(tables, records):
    (_, *_), *rows = tables[
        "Pretraining (s) that each target bears, by the number of targets that share it"
    ]
    assert len(rows) == 4
    for backbone, source, one, ten, many in rows:
        here = records[(records["backbone"] == backbone) & (records["source"] == source)]
        cost = here.drop_duplicates("init_id")["pretrain_seconds"].dropna().mean()
        assert agrees(one.split()[0], cost)
        assert agrees(ten, cost / 10)
        assert many == "0"


def test_a_source_run_weighs_the_same_however_many_runs_start_from_it():
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2, pretrain={"per_seed": True}))
    grid.finish(lambda cell: cell.seed == 0, pretrain_seconds=10.0)
    grid.finish(lambda cell: cell.seed == 1 and cell.regime == "lp_ft", pretrain_seconds=20.0)
    (table,) = (t for name, t in markdown_tables(grid.markdown()).items() if "Pretraining" in name)
    assert table[1][2].startswith("15.0 ± ")
    assert table[1][2].endswith("(n=2)")


def test_backbone_table_follows_from_the_records(tables, records):
    (_, *_), *rows = tables["Backbones in large_similar"]
    for backbone, scratch, transfer, pace, parameters, macs, majority in rows:
        here = records[(records["backbone"] == backbone) & (records["scenario"] == "large_similar")]
        means = here.groupby("regime")["test_accuracy"].mean()
        own = here[(here["regime"] == "from_scratch") & (here["status"] == "done")]
        best = means.drop(["from_scratch", "majority", "random_features"])
        assert agrees(scratch.split()[0], 100 * means["from_scratch"])
        assert agrees(transfer.split()[0], 100 * best.max())
        assert transfer.endswith(best.idxmax())
        assert agrees(pace, (own["fit_seconds"] / own["epochs"]).mean())
        assert (parameters, macs) == ("1,234,567", "4,500,000")
        assert agrees(majority, 100 / 37)


def test_ledger_holds_the_means_of_each_part(tables, records):
    (_, *_), *rows = tables["Time ledger (s), cnn: means over the finished seeds"]
    assert len(rows) == 7 * 4
    for name, scenario, *parts in rows:
        regime = name.removesuffix(" (control)")
        here = records[
            (records["backbone"] == "cnn")
            & (records["scenario"] == scenario)
            & (records["regime"] == regime)
        ]
        ledger = ("decode", "feature", "fit", "eval", "pretrain")
        for part, shown in zip(ledger, parts, strict=True):
            exact = here[f"{part}_seconds"].mean()
            assert shown == "–" if pd.isna(exact) else agrees(shown, exact)


def test_markdown_and_html_hold_the_same_tables(out, tables):
    assert html_tables((out / "index.html").read_text()) == tables


def test_records_keep_full_precision_and_whole_counts(out, records):
    grid = Grid(experiment(backbones=BACKBONES)).finish()
    exact = [record.test_accuracy for record in grid.records.values()]
    assert set(records["test_accuracy"].dropna()) <= set(exact)
    text = pd.read_csv(out / "records.csv", dtype=str, keep_default_na=False)
    assert set(text["epochs"]) == {"20", ""}


def test_a_report_is_written_the_same_twice(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], seeds=2)).finish()
    first, second = grid.write(tmp_path / "a"), grid.write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
