"""The two main tables for a paper: what they hold, and texts that stay texts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from transfer_lab.reporting.decision import rule_standings
from transfer_lab.reporting.paper import accuracy_table, rules_table
from transfer_lab.reporting.render.latex import NOTHING, Tabular, escape, number, to_latex
from transfer_lab.reporting.report import write_latex

from .invented import CORNERS, Grid, experiment

HOSTILE = r"50% of $x_1^2$ {a} & b #3 ~ \input{/etc/passwd} -- <|> \\[1em] ‘q’ Жż" + "`\"'"
NETWORKS = {"small": {"kind": "cnn"}, "wide_mlp": {"kind": "mlp"}}
MARKS = r"(\\textsuperscript\{(?P<marks>[^ ]*)\})?"
PACKAGES = ("booktabs", "siunitx")


def body(text: str) -> list[list[str]]:
    """The entries of the rows below the head."""
    lines = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    return [split(line) for line in lines]


def split(line: str) -> list[str]:
    assert line.startswith("{}") and line.endswith(r" \\")
    return re.split(r" & ", line.removeprefix("{}").removesuffix(r" \\"))


def groups(text: str) -> tuple[list[tuple[str, int]], list[str]]:
    """The titles of groups of columns with their widths, and the titles of columns."""
    lines = text.partition("\\toprule\n")[2].partition("\\midrule")[0].splitlines()
    found = re.findall(r"\\multicolumn\{(\d+)\}\{c\}\{(.*?)\}(?= &| \\\\)", lines[0])
    head = [title.removeprefix("{").removesuffix("}") for title in split(lines[-1])]
    return [(title, int(width)) for width, title in found], head


def plain(entry: str) -> str:
    return entry.replace(r"\_", "_")


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Two networks; a regime that was not run, and a failed seed."""
    made = Grid(experiment(seeds=3, backbones=NETWORKS))
    made.finish(lambda cell: cell.regime != "lp_ft")
    chosen = [c for c in made.cells if c.regime == "full_finetune" and c.backbone == "cnn"]
    return made.fail(chosen[0].run, "no memory")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, grid: Grid) -> Path:
    folder = tmp_path_factory.mktemp("latex")
    write_latex(grid.experiment, grid.stored, folder)
    return folder


def test_there_is_one_table_of_all_scenarios_and_networks(folder, grid):
    text = (folder / "accuracy.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    above, head = groups(text)
    assert [(plain(title), width) for title, width in above] == [
        (scenario, 2) for scenario in grid.study().scenarios
    ]
    assert [plain(title) for title in head] == ["regime", *NETWORKS] + [*NETWORKS] * 3
    assert "".join(re.findall(r"\\cmidrule.*", text)) == "".join(
        rf"\cmidrule(lr){{{at}-{at + 1}}}" for at in (2, 4, 6, 8)
    )


def test_every_number_is_that_of_the_records(folder, grid):
    study = grid.study()
    rows = body((folder / "accuracy.tex").read_text())
    spots = [(s, b) for s in study.scenarios for b in study.backbones]
    regimes = [plain(re.sub(r"\\emph\{(.*)\} \(control\)", r"\1", row[0])) for row in rows]
    assert regimes == list(study.regimes)
    for regime, (_, *entries) in zip(regimes, rows, strict=True):
        for spot, entry in zip(spots, entries, strict=True):
            known = study.accuracy(*spot, regime)
            if known is None:
                assert entry.startswith(r"{\textendash")
                continue
            found = re.fullmatch(r"(?:\\bfseries )?(\d+\.\d)\((\d+)\)" + MARKS, entry)
            assert float(found[1]) == pytest.approx(100 * known.mean, abs=0.0501)
            assert int(found[2]) / 10 == pytest.approx(100 * known.half, abs=0.0501)
            assert ("*" in (found["marks"] or "")) == (known.n < 3)
            best = study.best(*spot, study.contenders(*spot))
            assert entry.startswith(r"\bfseries") == (regime == best)


def test_what_the_rule_prescribes_is_marked(folder, grid):
    rows = {plain(row[0]): row[1:] for row in body((folder / "accuracy.tex").read_text())}
    marked = {
        regime: [at for at, entry in enumerate(entries) if r"\textdagger{}" in entry]
        for regime, entries in rows.items()
    }
    place = {name: 2 * at for at, name in enumerate(grid.study().scenarios)}
    for regime, scenario in (
        ("linear_probe", "small_similar"),
        ("partial_finetune", "small_dissimilar"),
        ("from_scratch", "large_dissimilar"),
        ("full_finetune", "large_similar"),
    ):
        assert marked[regime] == [place[scenario], place[scenario] + 1]
    assert rows["lp_ft"][0] == NOTHING


def test_dashes_and_stars_are_explained(folder):
    text = (folder / "accuracy.tex").read_text()
    assert "% small_similar, small, lp_ft: 0 of 3 seeds (missing)" in text
    assert re.search(r"% \w+, small, full_finetune: 2 of 3 seeds \(failed\)", text)


def test_the_rules_are_one_table_with_what_they_lose_at_most(folder, grid):
    found = rule_standings(grid.study())
    text = (folder / "rules.tex").read_text()
    assert text.count(r"\begin{tabular}") == 1
    above, _ = groups(text)
    rules = [plain(title) for title, width in above if width == 3]
    assert rules == ["rule_av", "rule_cs231n"]
    for scenario, *entries in body(text):
        for at, rule in enumerate(rules):
            regimes, verdict, loss = entries[3 * at : 3 * at + 3]
            told = found.get((rule, plain(scenario)))
            if told is None or told.verdict == "no data":
                assert (regimes, verdict, loss) == (r"\textendash", "no data", NOTHING)
                continue
            assert plain(regimes) == ", ".join(dict.fromkeys(told.followed.values()))
            assert verdict == told.verdict
            assert float(loss) == pytest.approx(max(0, 100 * told.at_most), abs=0.0501)


@pytest.mark.parametrize("name", ["accuracy", "rules"])
def test_every_file_is_a_bare_tabular_below_what_says_how_to_use_it(folder, name):
    lines = (folder / f"{name}.tex").read_text().splitlines()
    code = [line for line in lines if not line.startswith("%")]
    assert code[0].startswith(r"\begin{tabular}") and code[-1] == r"\end{tabular}"
    for rule in ("toprule", "midrule", "bottomrule"):
        assert sum(line.count(f"\\{rule}") for line in code) == 1
    comments = "\n".join(line for line in lines if line.startswith("%"))
    for word in (*PACKAGES, rf"\input{{{name}}}", rf"\label{{tab:letters-{name}}}", r"\caption{"):
        assert word in comments
    bare = re.sub(r"\\[\\{}]", "", "\n".join(code))
    assert bare.count("{") == bare.count("}")
    width = len(body("\n".join(lines))[0])
    assert {len(row) for row in body("\n".join(lines))} == {width}


def test_with_one_seed_there_is_no_uncertainty(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], seeds=1)).finish()
    table = accuracy_table(grid.study())
    assert "table-format=2.1," in table.columns
    assert not any("(" in entry for row in table.rows for entry in row[1:])


def test_nothing_is_written_where_no_rule_can_be_judged(tmp_path):
    grid = Grid(experiment(corners=CORNERS[:1], regimes=["majority"], seeds=1)).finish()
    (made,) = write_latex(grid.experiment, grid.stored, tmp_path)
    assert made.name == "accuracy.tex"
    assert rules_table(grid.study()) is None


def test_nothing_done_gives_a_table_of_dashes():
    table = accuracy_table(Grid(experiment(corners=CORNERS[:1], seeds=2)).study())
    assert all(entry.startswith(r"{\textendash") for row in table.rows for entry in row[1:])


@pytest.mark.parametrize(
    ("value", "half", "read"),
    [
        (0.341, 0.012, "34.1(12)"),
        (1.0, 0.0, "100.0(0)"),
        (0.0, None, "0.0"),
        (0.5, 0.123, "50.0(123)"),
    ],
)
def test_numbers_are_written_as_siunitx_reads_them(value, half, read):
    assert number(value, half) == read


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
        ("é", "é"),
        ("Ж", r"\ifdefined\Umathchar Ж\else \texttt{U+0416}\fi{}"),
        ("ż", r"\ifdefined\Umathchar ż\else \.{z}\fi{}"),
    ],
)
def test_text_is_set_as_it_is(text, set_as):
    assert escape(text) == set_as


def hostile() -> Tabular:
    return Tabular(
        name="x",
        caption=HOSTILE,
        columns="l*{2}{S[table-format=2.1(2), separate-uncertainty]}",
        groups=(("", 1), (HOSTILE, 2)),
        head=(HOSTILE, HOSTILE, "[1em]"),
        rows=((escape("[1em]"), "34.1(12)", NOTHING), (escape(HOSTILE), r"\bfseries 1.0", NOTHING)),
        notes=(HOSTILE + "\n\\input{x}\udcff",),
    )


def test_no_text_becomes_a_command_a_column_or_a_comment():
    text = to_latex(hostile(), HOSTILE)
    text.encode()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert [len(row) for row in body(text)] == [3, 3]
    assert not re.search(r"(?<!\\)[$#%]|\\input|(?<!\\)_|\^", code)
    assert not re.search(r"^\s*\[", code, re.MULTILINE)
    (label,) = re.findall(r"\\label\{(.*)\}", text)
    assert re.fullmatch(r"tab:[A-Za-z0-9-]+", label)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_they_compile_as_their_comments_say(folder, tmp_path):
    packages = [f"{name}.sty" for name in PACKAGES]
    if subprocess.run(["kpsewhich", *packages], capture_output=True).returncode:
        pytest.skip("no siunitx or booktabs; Debian: texlive-science, texlive-latex-recommended")
    (tmp_path / "x.tex").write_text(to_latex(hostile(), "x"))
    shown = ""
    for path in (folder / "accuracy.tex", folder / "rules.tex", tmp_path / "x.tex"):
        text = path.read_text()
        shutil.copy(path, tmp_path / f"read-{path.name}")
        usage = re.findall(r"^%   (.*)$", text, re.MULTILINE)
        usage = [line for line in usage if "usepackage" not in line]
        shown += "\n".join(usage).replace(r"\input{", r"\input{read-") + "\n"
    labels = "".join(rf"\ref{{{name}}}" for name in re.findall(r"\\label\{(.*?)\}", shown))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\\usepackage{textcomp}\n"
        f"\\usepackage{{booktabs,siunitx}}\n\\begin{{document}}\n{shown}{labels}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape"]
    for _ in range(2):
        done = subprocess.run([*command, "paper.tex"], cwd=tmp_path, capture_output=True)
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, said[-2000:]
    assert "undefined references" not in said and "multiply defined" not in said
