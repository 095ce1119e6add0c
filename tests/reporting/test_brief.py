"""report.md: the answer first, and short; what it leaves out is on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.sections.order import sections

from .invented import Grid, experiment
from .reading import html_tables, markdown_tables

DEFAULT = Path(__file__).parents[2] / "experiments" / "four_scenarios.yaml"


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> str:
    """That of the default grid."""
    grid = Grid(load_experiment(DEFAULT).experiment).finish()
    grid.predict(tmp_path_factory.mktemp("runs"), n=320, classes=16)
    study = grid.place({"latin": (0.2, 0.1, 0.3), "textures": (0.8, 0.7, 0.9)}).study()
    return to_markdown(sections(study, brief=True))


def test_the_default_grid_is_told_in_less_than_2500_words(brief):
    assert 1000 < len(brief.split()) < 2500


def test_it_begins_with_a_row_a_scenario(brief):
    captions = [*markdown_tables(brief)]
    assert captions[:2] == ["The answer", "Test accuracy (%)"]
    head, *rows = markdown_tables(brief)["The answer"]
    assert head == ["case", "do this", "expect", "behind the best at most", "the rule"]
    assert len(rows) == 4
    assert brief.index("**In short:") < brief.index("**The answer**")


def test_what_is_folded_on_the_page_is_not_in_it(brief):
    assert "<details>" not in brief
    assert not re.search(r"^## (Training curves|Mistakes|Time and cost)", brief, re.MULTILINE)


def test_every_table_of_it_is_on_the_page(tmp_path):
    page = html_tables(Grid(experiment(seeds=2)).finish().write(tmp_path).read_text())
    text = markdown_tables((tmp_path / "report.md").read_text())
    assert text.keys() - page.keys() == {"The answer"}
