"""Texts from records and experiment files stay texts, and the page asks nobody for anything."""

import base64
import csv
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from transfer_lab.reporting.figures.plotly import in_script, plain
from transfer_lab.reporting.render.csv import to_csv
from transfer_lab.reporting.render.markdown import escape

from .invented import Grid, experiment
from .reading import html_tables, markdown_tables

HOSTILE = "<img src=x onerror=alert(1)> | `rm` **bold** [a](http://b.c)\n\n# head $x$ \udcff & &lt;"
LABEL = '"><script>alert(2)</script>|`$\\frac{$ <!-- %{x} \u2028 </script>'


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


class Page(HTMLParser):
    """The tags of a page as a browser meets them, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.scripts: list[tuple[str, str]] = []
        self.handlers: list[str] = []
        self.kind: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "script":
            self.kind = dict(attrs).get("type", "code")
            self.scripts.append((self.kind, ""))

    def handle_data(self, data: str) -> None:
        if self.kind:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)

    def handle_endtag(self, tag: str) -> None:
        self.kind = None


OURS = {
    *("html", "head", "meta", "title", "style", "body", "script", "div", "header", "main", "nav"),
    *("section", "h1", "h2", "p", "ul", "ol", "li", "a", "span", "strong", "em", "br", "wbr"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    *("details", "summary", "pre", "code", "article", "h3", "h4"),
}


def test_no_text_becomes_a_tag_in_the_page(out):
    text = (out / "index.html").read_text()
    page = Page(text)
    assert set(page.tags) <= OURS
    assert page.tags["img"] == len(list((out / "figures").iterdir())) > 1
    assert page.handlers == []
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_no_text_leaves_the_script_element_that_it_stands_in(out):
    page = Page((out / "index.html").read_text())
    data = [text for kind, text in page.scripts if kind == "application/json"]
    code = [text for kind, text in page.scripts if kind == "code"]
    assert len(code) == 3
    assert len(data) == page.tags["script"] - 3 > 3
    assert all(text.isascii() and not set("<>&") & set(text) for text in data)
    assert json.loads(data[-1])["backbone"] == ["cnn"]
    for chart in map(json.loads, data[:-1]):
        marks = {t["meta"]["backbone"] for p in chart["panels"] for t in p["traces"] if "meta" in t}
        assert marks == {"cnn"}


def test_options_of_a_network_stand_once_where_networks_are_compared(out):
    tables = html_tables((out / "index.html").read_text())
    shown = f"cnn(note={LABEL})".replace(" \u2028 ", " ")
    cells = [cell for rows in tables.values() for row in rows for cell in row]
    assert [cell for cell in cells if "note=" in cell] == [shown]


def test_only_the_pages_own_scripts_may_run(out):
    text = (out / "index.html").read_text()
    policy = re.search(r"script-src ([^\"]*)\"", text)[1]
    own = [text for kind, text in Page(text).scripts if kind == "code"]
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in own]
    assert policy.split() == [f"'sha256-{found}'" for found in hashes]


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&lt;", "\u2028\u2029", "\udcff"])
def test_json_in_a_script_cannot_end_it_and_reads_back_equal(text):
    written = in_script({text: [text]})
    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == {text: [text]}


def test_a_number_that_json_has_not_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        in_script(float("nan"))


def test_plotly_reads_no_markup_in_a_name():
    assert plain("<b>x</b> & <a href='y'>\n") == "&lt;b&gt;x&lt;/b&gt; &amp; &lt;a href='y'&gt;"


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
    text = markdown_tables((out / "report.md").read_text())
    assert "Failed and blocked cells by error" in text
    for caption in text.keys() - {"The answer", "Test accuracy (%)"}:
        assert text[caption] == pages[caption]
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
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:; "
        "style-src 'unsafe-inline'; script-src 'sha256-"
    )
    assert f'http-equiv="Content-Security-Policy" content="{policy}' in page
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    targets = re.findall(r'\b(?:src|href|srcset|action)="([^"]*)"', page)
    assert targets
    known = r"data:image/(png|webp);base64,|#[a-z-]+$|records\.csv$"
    assert all(re.match(known, target) for target in targets)
    assert (out / "records.csv").exists()
    assert "url(" not in page
    assert "@import" not in page


def test_page_can_be_used_without_seeing_it(out):
    page = (out / "index.html").read_text()
    assert '<html lang="en">' in page
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert all(re.search(r'alt="[^"]{20,}', tag) for tag in re.findall(r"<img [^>]*", markup))
    assert markup.count("<table") == markup.count("<caption>")
    assert all("scope=" in tag for tag in re.findall(r"<th\b[^>]*>", markup))
    for rule in ("prefers-color-scheme: dark", "@media print", "overflow-x: auto"):
        assert rule in page


def test_figures_are_small_files_with_tame_names(out):
    text = (out / "report.md").read_text()
    named = set(re.findall(r"\]\(figures/([A-Za-z0-9.-]+\.png)\)", text))
    figures = list((out / "figures").iterdir())
    assert {"accuracy.png"} <= named <= {figure.name for figure in figures}
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
