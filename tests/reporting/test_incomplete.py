"""The report on grids that are unfinished, broken, small or large."""

import re
import time

import pandas as pd
import pytest

from transfer_lab.reporting.report import write
from transfer_lab.reporting.study import StoredResults

from .invented import CORNERS, Grid, curve, experiment
from .reading import markdown_tables


def written(grid: Grid) -> tuple[str, dict[str, list[list[str]]]]:
    text = grid.markdown()
    return text, markdown_tables(text)


def entry(table: list[list[str]], row: str, column: str) -> str:
    index = table[0].index(column)
    return next(line[index] for line in table[1:] if line[0].split()[0] == row)


def test_empty_grid_says_so_and_prints_no_number(tmp_path):
    Grid(experiment()).write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    tables = markdown_tables(text)
    assert "0 of 140 cells done (140 missing)" in text
    assert "Nothing has been measured yet." in text
    cells = [value for line in tables["Test accuracy (%)"][1:] for value in line[1:]]
    assert {value.removeprefix("† ") for value in cells} == {"– (missing)"}
    assert not (tmp_path / "figures").exists()
    assert (tmp_path / "index.html").stat().st_size > 0


def test_half_finished_grid_counts_its_seeds_and_says_how_many_the_answer_rests_on():
    grid = Grid(experiment()).finish(lambda cell: cell.seed < 2 and cell.regime != "lp_ft")
    text, tables = written(grid)
    assert "48 of 140 cells done (92 missing)" in text
    accuracy = tables["Test accuracy (%)"]
    assert entry(accuracy, "full_finetune", "small_similar").endswith("(2 of 5)")
    assert entry(accuracy, "lp_ft", "small_similar") == "– (missing)"
    assert "2 seeds" in text.split("\n## ")[0]


def test_one_seed_gives_a_mean_without_an_interval():
    text, tables = written(Grid(experiment(seeds=1)).finish())
    for caption in (
        "Test accuracy (%)",
        "Fit time (s): mean ± 95 % t-interval over seeds",
    ):
        cells = [value for line in tables[caption][1:] for value in line[1:]]
        assert cells
        assert all(re.fullmatch(r"(† )?[\d.]+", value) for value in cells)
    assert "1 seed unless said otherwise" in text
    assert "cannot be said from so few seeds" in text
    assert "± 0.0" not in str(tables["The answer"])


def test_failed_cells_are_dashes_with_a_reason_and_are_never_averaged():
    grid = Grid(experiment(seeds=3)).finish()
    for cell in grid.cells:
        if cell.scenario == "small_similar" and cell.regime == "lp_ft":
            grid.fail(cell.run, "loss is NaN")
        if cell.scenario == "small_similar" and cell.regime == "full_finetune" and cell.seed == 0:
            grid.fail(cell.run, "out of memory")
    text, tables = written(grid)
    accuracy = tables["Test accuracy (%)"]
    assert entry(accuracy, "lp_ft", "small_similar") == "– (failed)"
    assert entry(accuracy, "full_finetune", "small_similar").endswith("(2 of 3)")
    assert "80 of 84 cells done (4 failed)" in text


def test_what_a_run_measured_before_it_failed_does_not_count():
    grid = Grid(experiment(seeds=3)).finish(test_accuracy=0.5, fit_seconds=2.0)
    for cell in grid.cells:
        if cell.seed == 0:
            grid.fail(
                cell.run, "loss is NaN", test_accuracy=0.9, fit_seconds=900.0, host="elsewhere"
            )
    text, tables = written(grid)
    accuracy = tables["Test accuracy (%)"]
    assert entry(accuracy, "lp_ft", "small_similar") == "50.0 ± 2.1 (2 of 3)"
    time = tables["Fit time (s): mean ± 95 % t-interval over seeds"]
    assert entry(time, "lp_ft", "small_similar") == "2.00 ± 0.00 (2 of 3)"
    ledger = tables["Time ledger (s), cnn: means over the finished seeds"]
    assert entry(ledger, "lp_ft", "fit") == "2.00"
    assert "elsewhere" not in text


def test_seconds_of_heads_that_were_fitted_in_one_pass_count_once():
    grid = Grid(experiment(seeds=5)).finish(fit_seconds=2.0, together=1)
    for seconds, seeds, corner in (
        (3.0, (0, 1, 2), "small_similar"),
        (5.0, (3, 4), "small_similar"),
        (7.0, (0, 1, 2, 3, 4), "large_similar"),
    ):
        grid.finish(
            lambda cell, s=seeds, c=corner: (
                (cell.regime, cell.scenario, cell.seed in s) == ("linear_probe", c, True)
            ),
            fit_seconds=seconds,
            together=len(seeds),
        )
    _, tables = written(grid)
    time = tables["Fit time (s): mean ± 95 % t-interval over seeds"]
    assert entry(time, "linear_probe", "small_similar") == "4.00 ± 12.71 (n=5, 2 passes)"
    assert entry(time, "linear_probe", "large_similar") == "7.00 (n=5, 1 pass)"
    assert entry(time, "lp_ft", "small_similar") == "2.00 ± 0.00"


def test_equal_errors_are_listed_once_with_every_cell_named():
    grid = Grid(experiment(seeds=3)).finish()
    for cell in grid.cells:
        if cell.regime == "lp_ft" and cell.size == "small":
            grid.fail(cell.run, "loss is NaN")
    _, tables = written(grid)
    _, *rows = tables["Failed and blocked cells by error"]
    assert [row[:2] for row in rows] == [["failed (error)", "loss is NaN"]]
    assert rows[0][2] == (
        "small_similar / cnn / lp_ft, seeds 0, 1, 2 small_dissimilar / cnn / lp_ft, seeds 0, 1, 2"
    )


def test_cells_behind_a_failed_source_run_are_blocked():
    grid = Grid(experiment(seeds=2)).finish(lambda cell: cell.run.init is None)
    source = next(cell.run.init for cell in grid.cells if cell.source == "latin" and cell.run.init)
    grid.fail(source, "disk full")
    text, tables = written(grid)
    accuracy = tables["Test accuracy (%)"]
    assert entry(accuracy, "lp_ft", "small_similar") == "– (blocked)"
    assert entry(accuracy, "lp_ft", "small_dissimilar") == "– (missing)"
    assert "disk full" in text


def test_two_scenarios_are_answered_one_by_one():
    grid = Grid(experiment(corners=[CORNERS[0], CORNERS[2]], seeds=2)).finish()
    _, tables = written(grid)
    assert [row[0] for row in tables["The answer"][1:]] == [
        "5 images per class, similar source",
        "200 images per class, dissimilar source",
    ]
    assert "Networks compared, in large_dissimilar" in tables


def test_controls_alone_are_no_answer():
    text, _ = written(Grid(experiment(regimes=["majority"], seeds=2)).finish())
    assert "nothing measured yet" in text


@pytest.mark.parametrize("column", ["test_accuracy", "fit_seconds"])
def test_a_finished_record_without_a_value_is_not_a_zero(column):
    _, tables = written(Grid(experiment(seeds=2)).finish(**{column: None}))
    caption = "Test accuracy (%)" if column == "test_accuracy" else "Fit time (s)"
    table = next(rows for name, rows in tables.items() if name.startswith(caption))
    assert entry(table, "lp_ft", "small_similar") == "– (not measured)"


def test_ten_thousand_records_take_seconds(tmp_path):
    grid = Grid(experiment(seeds=4)).finish()
    copies = [
        grid.frame.assign(
            seed=lambda f, n=n: f["seed"] + 4 * n, run_id=lambda f, n=n: f["run_id"] + f"-{n}"
        )
        for n in range(90)
    ]
    frame = pd.concat(copies, ignore_index=True)
    curves = dict.fromkeys(frame["run_id"], curve(grid.cells[0]))
    assert len(frame) > 10_000
    started = time.monotonic()
    write(grid.experiment, StoredResults(frame, curves), tmp_path, "report")
    assert time.monotonic() - started < 60
    assert "10,080 cells" in (tmp_path / "report.md").read_text()
