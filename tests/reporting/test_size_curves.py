"""Learning curves on the page: where they are drawn, and where regimes change places."""

from __future__ import annotations

import pytest

from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.blocks import pictures
from transfer_lab.reporting.figures.plotly import chart
from transfer_lab.reporting.sections.learning_curves import curve, leaders, learning_curves, panels
from transfer_lab.stats.crossover import crossover

from .invented import Grid
from .reading import html_tables, markdown_tables

SIZES = {5: "small", 10: "medium", 20: "medium", 40: "large"}
REGIMES = ("from_scratch", "linear_probe", "majority")


def grid(*, sizes=SIZES, seeds: int = 3, far: bool = True) -> Grid:
    sources = {"similar": "latin"} | ({"dissimilar": "textures"} if far else {})
    return Grid(
        Experiment(
            name="swept",
            image_size=32,
            domains={name: {"kind": name} for name in ("cyrillic", "latin", "textures")},
            scenarios={
                f"{similarity}_{n}": {
                    "source": source,
                    "target": "cyrillic",
                    "per_class": n,
                    "size": size,
                    "similarity": similarity,
                }
                for similarity, source in sources.items()
                for n, size in sizes.items()
            },
            backbones={"cnn": {"kind": "cnn"}},
            regimes={name: {"kind": name} for name in REGIMES},
            seeds=tuple(range(seeds)),
        )
    )


def score(made: Grid, scores) -> Grid:
    """Each cell's accuracy by its regime, number of images and seed."""
    for cell in made.cells:
        value = scores(cell.regime, cell.run.per_class, cell.seed)
        made.finish(lambda other, own=cell: other == own, test_accuracy=value)
    return made


def crossing(regime: str, n: int, seed: int) -> float:
    """The probe leads at 5 and 10, training from scratch from 20 on; they meet near 14."""
    if regime == "majority":
        return 0.03
    ladder = {5: -0.2, 10: -0.1, 20: 0.1, 40: 0.3}
    return 0.5 + (ladder[n] + 0.01 * seed if regime == "from_scratch" else 0)


@pytest.fixture(scope="module")
def crossed() -> Grid:
    return score(grid(), crossing)


def table(made: Grid) -> list[list[str]]:
    return markdown_tables(made.markdown())["Where the leading regimes change places"][1:]


def test_the_crossover_of_the_leaders_is_printed_with_its_set(crossed):
    study = crossed.study()
    for panel, row in zip(panels(study), table(crossed), strict=True):
        first, last = leaders(study, panel)
        assert (first, last) == ("linear_probe", "from_scratch") == tuple(row[2:4])
        exact = crossover(curve(study, panel, first), curve(study, panel, last))
        assert row[4] == f"{exact.size:.3g} [{exact.low:.3g} to {exact.high:.3g}]"
        assert 13 < exact.size < 14.2
        assert row[5] == "3"


def test_there_is_a_row_for_each_source_and_backbone(crossed):
    assert [row[:2] for row in table(crossed)] == [
        ["latin → cyrillic", "cnn"],
        ["textures → cyrillic", "cnn"],
    ]


def test_no_crossover_within_the_range_is_a_normal_answer():
    made = score(grid(far=False), lambda regime, n, seed: {"linear_probe": 0.6}.get(regime, 0.2))
    (row,) = table(made)
    assert row[2:5] == ["linear_probe", "linear_probe", "no crossover within the measured range"]


def test_a_set_that_runs_out_of_the_range_says_so():
    def noisy(regime: str, n: int, seed: int) -> float:
        return crossing(regime, n, seed) + (0.15 * (seed - 1) if regime == "from_scratch" else 0)

    (row, _) = table(score(grid(), noisy))
    assert "below 5" in row[4] or "above 40" in row[4]


def test_what_to_use_at_the_smallest_size_is_ruled_out_where_another_is_shown_to_be_better():
    """The lead of from_scratch at 20 is as wide as its seeds scatter; that at 40 is beyond it."""
    (row,) = table(score(grid(far=False, seeds=5), scattered(0.08)))
    assert row[6] == "linear_probe (ruled out at 40)"
    (row,) = table(score(grid(far=False, seeds=5), crossing))
    assert row[6] == "linear_probe (ruled out at 20)"


def test_a_lead_that_is_not_shown_changes_nothing():
    (row,) = table(score(grid(far=False, seeds=5), scattered(0.4)))
    assert row[6] == "linear_probe (not ruled out up to 40)"


def scattered(spread: float):
    """As `crossing`, with seeds of from_scratch that are so far apart."""

    def scores(regime: str, n: int, seed: int) -> float:
        own = crossing(regime, n, 0)
        return own + spread * (seed - 2) if regime == "from_scratch" else own

    return scores


def test_one_seed_gives_no_interval():
    (row,) = table(score(grid(seeds=1, far=False), crossing))
    assert "(no interval: one seed)" in row[4]
    assert row[6] == "linear_probe (cannot be said)"


def test_a_control_never_leads():
    made = score(grid(far=False), lambda regime, n, seed: 0.9 if regime == "majority" else 0.1)
    (row,) = table(made)
    assert "majority" not in row[2:4]


def test_two_sizes_are_no_curve():
    made = score(grid(sizes={5: "small", 40: "large"}), crossing)
    assert learning_curves(made.study()) is None


def test_a_regime_that_lacks_a_size_leads_nowhere(crossed):
    made = score(grid(far=False), crossing)
    for cell in made.cells:
        if cell.regime == "from_scratch" and cell.run.per_class == 10:
            made.fail(cell.run, "gone")
    (row,) = table(made)
    assert row[2] == row[3] == "linear_probe"


def test_before_anything_is_measured_there_is_no_curve():
    assert learning_curves(grid().study()) is None
    assert "## Learning curves" not in grid().markdown()


def test_all_images_stand_where_the_records_count_them():
    made = grid(far=False)
    scenarios = dict(made.experiment.scenarios)
    scenarios["similar_all"] = scenarios["similar_40"].model_copy(update={"per_class": "all"})
    made.experiment = made.experiment.model_copy(update={"scenarios": scenarios})
    for cell in made.cells:
        n = 37 * (90 if cell.run.per_class == "all" else cell.run.per_class)
        made.finish(lambda other, own=cell: other == own, n_train=n, n_val=0)
    (panel,) = panels(made.study())
    assert sorted(panel.scenarios) == [5, 10, 20, 40, 90]


def test_the_rules_say_nothing_of_medium_sizes_and_the_matrix_shows_the_corners(crossed):
    text = crossed.markdown()
    tables = markdown_tables(text)
    judged = tables["Rules of thumb, over all backbones"][1:]
    assert {row[1] for row in judged} == {
        f"{similarity}_{n}" for similarity in ("similar", "dissimilar") for n in (5, 40)
    }
    assert len(tables["The answer"]) == 1 + 8
    assert text.count("no rule speaks of a medium size") == 4
    assert len(tables["Test accuracy (%)"][0]) == 1 + 8
    regret = next(rows for caption, rows in tables.items() if "Regret" in caption)
    assert regret[-1][-1] == "4"


def test_the_interactive_lines_have_the_numbers_of_the_accuracies(crossed):
    study = crossed.study()
    (picture,) = pictures((learning_curves(study),))
    made = chart(picture.figure)
    assert [key["value"] for key in made.keys] == list(REGIMES)
    assert len(made.panels) == 2
    for panel, drawn in zip(panels(study), made.panels, strict=True):
        assert [trace["meta"]["regime"] for trace in drawn.traces] == list(REGIMES)
        assert drawn.layout["xaxis"]["tickvals"] == list(SIZES)
        for trace in drawn.traces:
            assert trace["x"] == list(SIZES)
            for n, mean, half, text in zip(
                trace["x"], trace["y"], trace["error_y"]["array"], trace["text"], strict=True
            ):
                found = study.accuracy(panel.scenarios[n], "cnn", trace["meta"]["regime"])
                assert mean == pytest.approx(100 * found.mean, rel=1e-3)
                assert half == pytest.approx(100 * found.half, rel=1e-3)
                assert f"{n:g} per class" in text and "(n=3)" in text
                assert mean + half <= drawn.layout["yaxis"]["range"][1]


def test_a_size_that_was_not_measured_is_no_point_of_the_line():
    made = grid(far=False, seeds=1).finish(lambda cell: cell.run.per_class != 10)
    (picture,) = pictures((learning_curves(made.study()),))
    (panel,) = chart(picture.figure).panels
    assert {tuple(trace["x"]) for trace in panel.traces} == {(5, 20, 40)}


def test_the_page_has_the_figure_and_the_same_table(crossed, tmp_path):
    page = crossed.write(tmp_path)
    assert (tmp_path / "figures" / "learning-curves.png").stat().st_size > 5_000
    caption = "Where the leading regimes change places"
    assert html_tables(page.read_text())[caption][1:] == table(crossed)
