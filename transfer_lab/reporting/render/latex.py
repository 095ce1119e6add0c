"""A bare LaTeX tabular with booktabs and siunitx, to be read into a table float of a paper."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from transfer_lab.reporting.wording import one_line

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    # Two hyphens would become a dash.
    "-": r"-{}",
    "±": r"\,\ensuremath{\pm}\,",
    "−": r"\ensuremath{-}",
    "×": r"\ensuremath{\times}",
    "→": r"\ensuremath{\rightarrow}",
    "†": r"\textdagger{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\textellipsis{}",
    "\u00a0": "~",
}
# Combining characters, and LaTeX's names of them.
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
    "\u0328": "k",
}
NOTHING = r"{\textendash}"
"""An entry of a column of numbers where there is none."""


@dataclass(frozen=True)
class Tabular:
    """Rows of LaTeX source below a head of plain text.

    `columns` are LaTeX's; `groups` stand above so many columns each. `name` is the file's and a
    part of its label; `notes` go into comments.
    """

    name: str
    caption: str
    columns: str
    groups: tuple[tuple[str, int], ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def to_latex(table: Tabular, of: str) -> str:
    """The table of an experiment of this name, below comments that say how to use it."""
    lines = [
        *_usage(table, of),
        rf"\begin{{tabular}}{{{table.columns}}}",
        r"\toprule",
        *_groups(table.groups),
        _row([f"{{{escape(title)}}}" if title else "" for title in table.head]),
        r"\midrule",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def numbers(means: int, uncertainties: int, after: str = "") -> str:
    """A column of numbers with one decimal, of so many digits before it and of so many in the
    uncertainty, 0 for none; `after` is the widest text that follows one."""
    spread = f"({uncertainties})" if uncertainties else ""
    room = f", table-space-text-post={{{after}}}" if after else ""
    return f"S[table-format={means}.1{spread}, separate-uncertainty, detect-weight{room}]"


def number(value: float, half: float | None) -> str:
    """A value in percent and the half-width of its interval, as siunitx reads them: 34.1(12)."""
    mean = f"{round(100 * value, 1) + 0.0:.1f}"  # never minus nought
    return mean if half is None else f"{mean}({round(1000 * half)})"


def escape(text: str) -> str:
    """Text that LaTeX sets as it is."""
    text = re.sub(" ?± ?", "±", one_line(text))
    return "".join(SPECIAL.get(character, _settable(character)) for character in text)


def _settable(character: str) -> str:
    """Half a surrogate pair is no character and cannot be stored. pdfTeX stops at a letter beyond
    Latin-1 that it was not told of; the other engines look into the font."""
    if "\ud800" <= character <= "\udfff":
        return "?"
    if ord(character) <= 0xFF:
        return character
    return rf"\ifdefined\Umathchar {character}\else {_spelt(character)}\fi{{}}"


def _spelt(character: str) -> str:
    """A letter and its accent, or the number of the character."""
    base, *marks = unicodedata.normalize("NFD", character)
    if len(marks) == 1 and marks[0] in ACCENTS and base.isascii():
        return rf"\{ACCENTS[marks[0]]}{{{base}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def _usage(table: Tabular, of: str) -> list[str]:
    label = re.sub(r"[^A-Za-z0-9]+", "-", f"{of}-{table.name}").strip("-")
    lines = (
        *table.notes,
        "",
        r"In the preamble, and with pdfLaTeX \usepackage[T1]{fontenc} and textcomp as well:",
        r"  \usepackage{booktabs,siunitx}",
        "In the text; where it is too wide, inside graphicx's \\resizebox{\\linewidth}{!}{...}:",
        r"  \begin{table}",
        r"    \centering",
        rf"    \caption{{{escape(table.caption)}}}",
        rf"    \label{{tab:{label}}}",
        rf"    \input{{{table.name}}}",
        r"  \end{table}",
    )
    return [f"% {_one_byte(line)}".rstrip() for line in lines]


def _one_byte(line: str) -> str:
    """A comment on one line, without half a surrogate pair."""
    return line.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace").decode()


def _groups(groups: tuple[tuple[str, int], ...]) -> list[str]:
    """The titles above groups of columns, and a rule below each."""
    if not groups:
        return []
    titles, rules, at = [], [], 1
    for title, width in groups:
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(title)}}}" if title else "")
        if title:
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    return [_row(titles), "".join(rules)]


def _row(entries: list[str] | tuple[str, ...]) -> str:
    # A bracket at the start of a row would be read as the option of the line end above it.
    return "{}" + " & ".join(entries) + r" \\"
