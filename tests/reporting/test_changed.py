"""The section on what fine-tuning changed: means that add up, gaps that are said."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from transfer_lab.reporting.blocks import Table
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.report import write
from transfer_lab.reporting.sections.stage_drift import stage_drift
from transfer_lab.reporting.study import StoredResults

from .invented import CORNERS, Grid, experiment

FINE = ("partial_finetune", "full_finetune", "lp_ft")


def table(values, frozen=0, note=""):
    stages = range(1, len(values) + 1)
    frozen = [stage <= frozen for stage in stages]
    known = {"stage": stages, "frozen": frozen, "images": 200, "cka": values, "note": note}
    return pd.DataFrame(known)


def grid(**changes):
    return Grid(experiment(**{"corners": CORNERS[:1], "seeds": 3} | changes)).finish()


def left(made, values, regimes=FINE, frozen=0):
    """What runs of these regimes left; `values` are a list of stages for each seed."""
    return {
        cell.run.id: table(values[cell.seed], frozen)
        for cell in made.cells
        if cell.regime in regimes and cell.seed < len(values)
    }


def tables(made, changes):
    return [
        b for b in stage_drift(replace(made.study(), changes=changes)).blocks if type(b) is Table
    ]


def rows(found):
    return {row[1][0].text: [line.text for c in row[2:] for line in c] for row in found.rows}


def test_a_store_of_older_runs_has_no_such_section():
    assert stage_drift(grid().study()) is None


def test_means_and_intervals_are_those_of_the_seeds():
    made = grid()
    (found,) = tables(made, left(made, [[1.0, 0.9], [1.0, 0.8], [1.0, 0.7]], frozen=1))
    assert found.head == ("scenario", "regime", "stage 1", "stage 2")
    # The t quantile of two degrees of freedom is 4.303; 0.1 / sqrt(3) is the error of the mean.
    assert rows(found) == {regime: ["1.00", "0.80 ± 0.25"] for regime in FINE}
    assert [row[2][0].note for row in found.rows] == ["frozen"] * 3
    assert [row[1][0].note for row in found.rows] == ["(n=3)"] * 3


def test_what_only_some_seeds_left_says_of_how_many_it_is():
    made = grid()
    (found,) = tables(made, left(made, [[0.5, 0.25]], regimes=("lp_ft",)))
    assert rows(found) == {"lp_ft": ["0.50", "0.25"]}
    assert found.rows[0][1][0].note == "(1 of 3)"


def test_a_stage_without_a_number_in_some_seed_is_a_dash_and_never_a_mean_of_the_rest():
    made = grid()
    changes = left(made, [[0.9, 0.5], [0.9, None], [0.9, 0.5]], regimes=("full_finetune",))
    section = stage_drift(replace(made.study(), changes=changes))
    (found,) = [b for b in section.blocks if type(b) is Table]
    assert rows(found) == {"full_finetune": ["0.90 ± 0.00", "–"]}
    assert section.blocks[-1].text.startswith("A dash: ")


def test_each_backbone_has_a_table_with_as_many_stages_as_it_has():
    made = grid(backbones={"cnn": {"kind": "cnn"}, "mlp": {"kind": "mlp"}})
    changes = {}
    for cell in made.cells:
        if cell.regime == "lp_ft":
            changes[cell.run.id] = table([0.9] * (3 if cell.backbone == "cnn" else 2))
    cnn, mlp = tables(made, changes)
    assert (len(cnn.head), len(mlp.head)) == (5, 4)
    assert (cnn.about, mlp.about) == ((("backbone", "cnn"),), (("backbone", "mlp"),))


def test_a_regime_that_is_shallower_than_another_has_a_dash_where_it_ends():
    made = grid()
    changes = left(made, [[0.9, 0.8]] * 3, ("lp_ft",)) | left(made, [[0.9]] * 3, FINE[:1])
    (found,) = tables(made, changes)
    assert rows(found)["partial_finetune"] == ["0.90 ± 0.00", "–"]


@pytest.mark.parametrize("with_changes", [True, False])
def test_a_written_report_holds_table_and_file_and_forgets_older_ones(tmp_path, with_changes):
    made = grid()
    changes = left(made, [[0.9, 0.5]] * 3)
    (tmp_path / "cka.csv").write_text("older")
    stored = StoredResults(made.frame, changes=changes if with_changes else {})
    write(made.experiment, stored, tmp_path, "x")
    text = (tmp_path / "index.html").read_text()
    assert ("What fine-tuning changed" in text) == with_changes
    assert (tmp_path / "cka.csv").exists() == with_changes
    if with_changes:
        kept = pd.read_csv(tmp_path / "cka.csv")
        assert set(kept["run_id"]) == set(changes) and len(kept) == 2 * len(changes)


def test_the_legend_says_how_many_images_and_that_none_is_of_the_test_set():
    made = grid()
    section = stage_drift(replace(made.study(), changes=left(made, [[0.9]] * 3)))
    text = re.sub(r"\s+", " ", to_markdown((section,)))
    assert "up to 200 images" in text and "never of the test set" in text
