"""Ratios, targets, and how the table shows them."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from benchmarks.figures import Detail, Figure, Result, Timing, at_least, at_most, ratio
from benchmarks.setting import interleaved
from benchmarks.table import Bench, show, store, to_csv, to_markdown

PROBE = Figure(
    cell="linear_probe | 20 epochs",
    value=160.0,
    baseline_name="plain Lightning",
    baseline=Timing((6400.0,), projected="5 training and 3 test batches"),
    ours=Timing((39.0, 40.0, 47.0)),
    accuracy_baseline=0.5,
    accuracy_ours=0.4875,
    target=at_least(150),
)
LOOP = Figure(cell="loop", value=1.2, target=at_most(1.05))
DETAIL = Detail("The floor", ("layer", "ms"), (("conv 3-64", "1.5"),))
BENCH = Bench(
    {"vgg": Result((PROBE,), (DETAIL,)), "loop": Result((LOOP,)), "grid": "OSError: no [disk]"},
    {"command": "python -m benchmarks", "processor": "a processor"},
)


def test_the_ratio_of_repeats_that_pair_is_the_median_of_their_ratios():
    assert ratio(Timing((10.0, 30.0, 8.0)), Timing((1.0, 2.0, 4.0))) == 10.0


def test_the_ratio_of_others_is_that_of_the_medians():
    assert ratio(Timing((100.0,)), Timing((1.0, 2.0, 50.0))) == 50.0


def test_calls_take_turns_and_turn_about():
    order = []
    calls = {n: lambda n=n: order.append(n) or float(len(order)) for n in ("plain", "ours")}
    found = interleaved(calls, 2)
    assert order == ["plain", "ours", "ours", "plain"]
    assert found == {"plain": Timing((1.0, 4.0)), "ours": Timing((2.0, 3.0))}


@pytest.mark.parametrize("seconds", [(), (0.0,), (1.0, -1.0)])
def test_a_timing_without_time_is_refused(seconds):
    with pytest.raises(ValueError, match="positive"):
        Timing(seconds)


@pytest.mark.parametrize(
    ("target", "met"), [(at_least(160), True), (at_least(161), False), (at_most(160), True)]
)
def test_a_target_is_met_at_its_bound(target, met):
    assert target.met(160) == met


def test_markdown_marks_what_was_projected_and_says_from_what():
    text = to_markdown(BENCH)
    (row,) = [line for line in text.splitlines() if "linear_probe" in line]
    assert r"6,400\* (plain Lightning)" in row
    assert r"linear_probe \| 20 epochs" in row
    assert "| 40 |" in row
    assert "160.0x | 50.0 % : 48.8 % | >= 150x | met" in row
    assert "baseline projected from 5 training and 3 test batches" in row
    assert "not met" in next(line for line in text.splitlines() if line.startswith("| loop"))
    assert "**grid failed: OSError: no [disk]**" in text
    assert "- processor: a processor" in text
    assert "<summary>The floor</summary>" in text


def test_csv_has_a_row_a_figure_with_its_repeats_and_the_host():
    probe, loop = csv.DictReader(io.StringIO(to_csv(BENCH)))
    assert probe["part"] == "vgg"
    assert probe["ours_repeats"] == "39 40 47"
    assert probe["baseline_projected_from"] == "5 training and 3 test batches"
    assert (probe["ours_projected_from"], probe["verdict"]) == ("", "met")
    assert (loop["baseline_seconds"], loop["target"], loop["verdict"]) == (
        "",
        "<= 1.05x",
        "not met",
    )
    assert probe["processor"] == loop["processor"] == "a processor"


def test_the_terminal_shows_every_row_and_failure():
    console = Console(width=200, file=io.StringIO())
    show(BENCH, console)
    text = console.file.getvalue()
    assert "160.0x" in text
    assert "conv 3-64" in text
    assert "grid failed: OSError: no [disk]" in text


def test_both_files_are_written(tmp_path):
    store(BENCH, tmp_path / "bench")
    assert (tmp_path / "bench" / "report.md").read_text() == to_markdown(BENCH)
    assert (tmp_path / "bench" / "results.csv").read_text() == to_csv(BENCH)


def test_sizes_that_no_target_is_about_are_not_judged():
    rows = BENCH.without_targets().rows
    assert [figure.verdict for _, figure in rows] == ["", ""]
    assert BENCH.without_targets().failures == BENCH.failures
