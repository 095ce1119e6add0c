"""Learning curves, times, protocol, provenance: what they say and when they warn."""

import pytest

from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.reporting.blocks import Note, Paragraph, Picture, Section, Table
from transfer_lab.reporting.sections.protocol import protocol
from transfer_lab.reporting.sections.provenance import provenance
from transfer_lab.reporting.sections.time import training_time
from transfer_lab.reporting.sections.training_curves import shape, training_curves
from transfer_lab.reporting.study import StoredResults, Study

from .invented import CORNERS, Grid, curve, experiment


def study(grid: Grid) -> Study:
    return Study.of(
        grid.experiment, StoredResults(grid.frame, grid.curves), "transfer-lab report x.yaml"
    )


def small(**more: object) -> Grid:
    return Grid(experiment(corners=CORNERS[:1], seeds=2, **more))


def prose(section: Section) -> str:
    bullets = [item for b in section.blocks for item in getattr(b, "items", ())]
    texts = [b.text for b in section.blocks if isinstance(b, Paragraph | Note)]
    return " ".join(texts + bullets)


@pytest.mark.parametrize(
    ("losses", "judged"),
    [
        ([10, 2, 1, 1, 1, 1, 1, 1, 1, 1], "flat"),
        ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], "falling"),
        ([10, 5, 3, 2, 2, 2, 2, 1.45, 1.2, 1.0], "flat"),
        ([10, 5, 3, 2, 2, 2, 2, 1.46, 1.2, 1.0], "falling"),
        ([1, 2, 3, 4, 5], "not falling"),
        ([1, 1], "not falling"),
        ([2, 1], "falling"),
        ([1], "too short"),
        ([], "too short"),
    ],
)
def test_flat_means_at_most_a_twentieth_of_the_fall_in_the_last_fifth(losses, judged):
    if judged in ("flat", "falling") and len(losses) == 10:
        late, whole = losses[-3] - losses[-1], losses[0] - losses[-1]
        assert (late > 0.05 * whole) == (judged == "falling")
    assert shape(losses) == judged


def test_runs_that_still_fall_are_listed_with_their_share():
    grid = small(regimes=["linear_probe", "lp_ft"]).finish()
    slow = next(cell for cell in grid.cells if cell.regime == "lp_ft")
    grid.curves[slow.run.id] = curve(slow, rate=0.01)
    (table,) = (b for b in training_curves(study(grid)).blocks if isinstance(b, Table))
    (row,) = table.rows
    assert [cell[0].text for cell in row] == ["lp_ft", "cnn", "small_similar", "1 of 2", "0 of 2"]


def test_all_flattened_is_said():
    grid = small(regimes=["linear_probe"]).finish()
    assert "All flattened." in prose(training_curves(study(grid)))


def test_curves_without_validation_give_no_empty_figure():
    grid = small(regimes=["linear_probe"]).finish()
    for table in grid.curves.values():
        table["val_accuracy"] = float("nan")
    names = [b.name for b in training_curves(study(grid)).blocks if isinstance(b, Picture)]
    assert names == ["train-loss-1-cnn.png"]


def test_curves_of_unfinished_cells_are_left_out():
    grid = small(regimes=["linear_probe"]).finish()
    grid.records.clear()
    assert training_curves(study(grid)) is None


@pytest.mark.parametrize(
    ("column", "values"),
    [("host", ("a", "b")), ("threads", (1, 2)), ("precision", ("fp32", "bf16")), ("commit", "cd")],
)
def test_mixed_conditions_are_warned_of(column, values):
    grid = small()
    for seed, value in enumerate(values):
        grid.finish(lambda cell, seed=seed: cell.seed == seed, **{column: value})
    (warning,) = (b for b in training_time(study(grid)).blocks if getattr(b, "warning", False))
    assert f"differ in {column} " in warning.text


def test_equal_conditions_are_not():
    blocks = training_time(study(small().finish())).blocks
    assert not [b for b in blocks if getattr(b, "warning", False)]


def test_protocol_tells_one_shared_source_run_from_one_a_seed():
    shared = small(pretrain={"seed": 7}).finish()
    assert "one source run, with seed 7, is shared by all seeds" in prose(protocol(study(shared)))
    own = small(pretrain={"per_seed": True}).finish()
    assert "each seed has its own source run" in prose(protocol(study(own)))


def test_protocol_prints_the_test_sets_own_error():
    grid = small(regimes=["lp_ft"]).finish(test_accuracy=0.5, n_test=2500)
    said = prose(protocol(study(grid)))
    assert (
        "2,500 of cyrillic (95 % half-width of one accuracy of 50 %, at most: ± 2.0 points" in said
    )


def test_protocol_says_what_is_corrected_and_what_is_exploratory():
    made = Grid(experiment(seeds=3)).finish()
    said = prose(protocol(study(made)))
    # Two rules in four scenarios; they agree in both similar ones, and one has no early probe.
    assert "Here that is 5 hypotheses" in said
    assert "Everything else is exploratory" in said
    assert f"here: {made.frame['run_id'].nunique()} not handed to the report" in said


def test_provenance_counts_runs_and_dates_and_repeats_the_command():
    made = provenance(study(small().finish()))
    facts = {row[0][0].text: row[1][0].text for row in made.blocks[0].rows}
    assert facts["torch"] == "2.15.0"
    assert facts["threads"] == "1"
    assert facts["started"] == "2026-01-01T10:00:00+00:00 to 2026-01-02T10:00:00+00:00"
    assert facts["records"] == "14 finished runs fill 14 cells"
    assert made.blocks[-1].text == "transfer-lab report x.yaml"


def test_weights_of_a_package_are_told_with_whose_they_are_and_their_licence():
    held = PACKAGED["timm:tf_efficientnet_lite0"]
    start = {"origin": "package", "sha256": held.sha256}
    ready = {"net": {"kind": "timm", "options": {"name": "any"}, "pretrained": start}}
    told = prose(protocol(study(small(backbones=ready).finish())))
    assert f"package {held.distribution}, Apache-2.0, SHA-256 {held.sha256}" in told
    assert held.source in told
