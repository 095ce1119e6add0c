"""The two main tables for a paper: what they hold, and texts that stay texts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from transfer_lab.reporting.blocks import Paragraph, Section, Table, cell
from transfer_lab.reporting.render.latex import escape, to_latex
from transfer_lab.reporting.report import write_latex
from transfer_lab.reporting.sections.accuracy import accuracy
from transfer_lab.reporting.study import StoredResults, Study

from .invented import CORNERS, Grid, experiment
from .reading import markdown_tables

HOSTILE = r"50% of $x_1^2$ {a} & b #3 ~ \input{/etc/passwd} -- <|> \\[1em] ‘q’ Жż" + "`\"'"


def rows(document: str) -> list[list[str]]:
    """The entries of every tabular, head first."""
    body = re.findall(r"\\begin\{tabular\}\{[lr]+\}\n(.*?)\\end\{tabular\}", document, re.DOTALL)
    lines = [line for part in body for line in part.splitlines() if line.endswith(r"\\")]
    return [re.split(r"(?<!\\)&", line.removesuffix(r"\\").removeprefix("{}")) for line in lines]


def read(entry: str) -> str:
    """An entry as it is printed."""
    entry = entry.replace(r"{\footnotesize ", "").replace(r"\,\ensuremath{\pm}\,", " ± ")
    entry = entry.replace(r"\textdagger{}", "†").replace(r"\textendash{}", "–")
    entry = entry.replace("-{}", "-").replace(r"\textless{}", "<").replace(r"\textgreater{}", ">")
    entry = re.sub(r"\\(textbf|emph)\{([^{}]*)\}", r"\2", entry)
    return re.sub(r"\s+", " ", re.sub(r"\\([_%])", r"\1", entry).replace("}", "")).strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latex")
    grid = Grid(experiment(seeds=3)).finish(lambda cell: cell.regime != "lp_ft")
    write_latex(grid.experiment, grid.stored, folder)
    return folder


def test_the_entries_are_those_of_the_report(folder):
    grid = Grid(experiment(seeds=3)).finish(lambda cell: cell.regime != "lp_ft")
    tables = markdown_tables(grid.markdown())
    found = rows((folder / "accuracy.tex").read_text())
    assert [[read(entry) for entry in row] for row in found] == tables["Test accuracy (%), cnn"]
    verdicts = rows((folder / "rules.tex").read_text())
    told = [row for name in tables if "verdict" in name for row in tables[name]]
    assert [[read(entry) for entry in row] for row in verdicts][: len(told)] == told


def test_the_best_is_bold_and_controls_are_set_apart(folder):
    text = (folder / "accuracy.tex").read_text()
    assert len(re.findall(r"\\textbf\{", text)) == 4
    assert r"\emph{majority} {\footnotesize (control)}" in text


@pytest.mark.parametrize("name", ["accuracy.tex", "rules.tex"])
def test_every_document_is_whole(folder, name):
    text = (folder / name).read_text()
    assert text.index(r"\documentclass") < text.index(r"\begin{document}")
    assert text.endswith("\\end{document}\n")
    for rule in ("toprule", "midrule", "bottomrule", "begin{tabular}", "end{tabular}", "caption"):
        assert text.count(f"\\{rule}") == text.count(r"\begin{table}")
    bare = re.sub(r"\\[\\{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_nothing_is_written_where_no_rule_can_be_judged(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], regimes=["majority"], seeds=1)).finish()
    (made,) = write_latex(grid.experiment, grid.stored, tmp_path)
    assert made.name == "accuracy.tex"


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("lp_ft", r"lp\_ft"),
        ("50 %", r"50 \%"),
        ("$x^2$", r"\$x\textasciicircum{}2\$"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a -- b", r"a -{}-{} b"),
        ("34.1 ± 1.2", r"34.1\,\ensuremath{\pm}\,1.2"),
        ("a\nb\u202ec", "a b c"),
        ("half \udcff", "half ?"),
    ],
)
def test_text_is_set_as_it_is(text, set_as):
    assert escape(text) == set_as


def test_no_text_becomes_a_command_a_column_or_a_comment():
    table = Table(HOSTILE, (HOSTILE, "b"), ((cell(HOSTILE), cell("[1em]", "%")),))
    document = to_latex(Section("x", (Paragraph("left out %"), table)))
    body = document.partition(r"\begin{document}")[2]
    assert [len(row) for row in rows(document)] == [2, 2]
    assert "left out" not in document
    assert not re.search(r"(?<!\\)[$#]|(?<!\\)%(?!\n)|\\input|(?<!\\)_|\^", body)
    assert not re.search(r"^\s*\[", body, re.MULTILINE)


def test_pdftex_is_told_of_letters_that_it_does_not_know():
    document = to_latex(Section("x", (Table("Жż", ("é",), ((cell("a"),),)),)))
    assert r"\DeclareUnicodeCharacter{0416}{\texttt{U+0416}}" in document
    assert r"\DeclareUnicodeCharacter{017C}{\.{z}}" in document
    assert "{00E9}" not in document


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_it_compiles(tmp_path):
    grid = Grid(experiment(seeds=2)).finish()
    made = accuracy(Study.of(grid.experiment, StoredResults(grid.frame)))
    hostile = Table(HOSTILE, (HOSTILE, "b"), ((cell(HOSTILE), cell("[1em]", "%")),))
    (tmp_path / "x.tex").write_text(to_latex(Section("x", (*made.blocks, hostile))))
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape"]
    done = subprocess.run([*command, "x.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
