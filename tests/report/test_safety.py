"""Texts from records and experiment files stay texts, and the page asks nobody for anything."""

import csv
import re
from pathlib import Path

import pytest

from transfer_lab.report.markdown import escape
from transfer_lab.report.spreadsheet import to_csv

from .invented import Grid, experiment
from .reading import html_tables, markdown_tables

HOSTILE = "<img src=x onerror=alert(1)> | `rm` **bold** [a](http://b.c)\n\n# head $x$ \udcff & &lt;"
LABEL = '"><script>alert(2)</script>|`$\\frac{$'


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    grid = Grid(
        experiment(
            seeds=2, backbones={"cnn": {"kind": "cnn", "options": {"note": LABEL}}}
        ).model_copy(update={"title": HOSTILE})
    )
    grid.finish(host="=HYPERLINK(1)", device="-5 cards", commit="@SUM")
    for cell in grid.cells:
        if cell.regime == "lp_ft":
            grid.fail(cell.run, f"={HOSTILE}")
    grid.write(folder, command="transfer-lab report '</code><script>' ```` -x")
    return folder


def test_no_text_becomes_a_tag_in_the_page(out):
    page = (out / "index.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    tags = set(re.findall(r"<([a-zA-Z0-9]+)", page))
    assert "img" in tags
    assert not tags & {"script", "iframe", "link", "object", "form", "base", "svg", "input"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_no_text_becomes_a_tag_a_link_or_a_column_in_markdown(out):
    text = (out / "report.md").read_text()
    fenced = re.sub(r"^`{5,}sh\n.*\n`{5,}$", "", text, flags=re.MULTILINE)
    assert set(re.findall(r"<(/?\w+)", fenced)) <= {
        "br",
        "details",
        "/details",
        "summary",
        "/summary",
    }
    assert fenced != text
    assert re.search(r"(?<!\\)\[a(?<!\\)\]", fenced) is None
    for rows in markdown_tables(text).values():
        assert len({len(row) for row in rows}) == 1


def test_hostile_texts_read_equal_in_both_formats(out):
    pages = html_tables((out / "index.html").read_text())
    assert markdown_tables((out / "report.md").read_text()) == pages
    error = pages["Failed and blocked cells by error"][1][1]
    assert error == (
        "=<img src=x onerror=alert(1)> | `rm` **bold** [a](http://b.c) # head $x$ \\udcff & &lt;"
    )


def test_records_hold_no_formula(out):
    with (out / "records.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    values = [value for row in rows for value in row.values()]
    assert not [value for value in values if value.startswith(("=", "+", "@", "-"))]
    assert {row["host"] for row in rows} == {"'=HYPERLINK(1)", ""}


def test_negative_numbers_stay_numbers():
    grid = Grid(experiment(seeds=1)).finish(test_log_loss=-0.25)
    lines = to_csv(grid.frame).decode().splitlines()
    assert {row["test_log_loss"] for row in csv.DictReader(lines)} == {"-0.25"}


def test_page_is_self_contained(out):
    page = (out / "index.html").read_text()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert f'http-equiv="Content-Security-Policy" content="{policy}"' in page
    targets = re.findall(r'\b(?:src|href|srcset|action)="([^"]*)"', page)
    assert targets
    assert all(re.match(r"data:image/png;base64,|#section-\d+$", target) for target in targets)
    assert "url(" not in page
    assert "@import" not in page


def test_page_can_be_used_without_seeing_it(out):
    page = (out / "index.html").read_text()
    assert '<html lang="en">' in page
    assert all(re.search(r'alt="[^"]{20,}', tag) for tag in re.findall(r"<img [^>]*", page))
    assert page.count("<table") == page.count("<caption>")
    assert all("scope=" in tag for tag in re.findall(r"<th\b[^>]*>", page))
    for rule in ("prefers-color-scheme: dark", "@media print", "overflow-x: auto"):
        assert rule in page


def test_figures_are_small_files_with_tame_names(out):
    text = (out / "report.md").read_text()
    named = set(re.findall(r"\]\(figures/([A-Za-z0-9.-]+\.png)\)", text))
    figures = list((out / "figures").iterdir())
    assert named == {figure.name for figure in figures}
    assert all(figure.stat().st_size < 150_000 for figure in figures)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linear_probe", "linear_probe"),
        ("__init__", r"\_\_init\_\_"),
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<b>\nnext\r\nline", "&lt;b&gt; next line"),
        ("\\|", r"\\\|"),
        ("right\u202eto left", "right to left"),
    ],
)
def test_markdown_shows_text_as_it_is(text, shown):
    assert escape(text) == shown
