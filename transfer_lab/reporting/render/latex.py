"""A section's tables as a LaTeX document with booktabs, to compile or to take tables from."""

from __future__ import annotations

import re
import unicodedata

from transfer_lab.reporting.blocks import Cell, Line, Section, Table
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

PREAMBLE = r"""% Compiles as it is. In a paper, \usepackage{docmute} and \input take the tables
% alone; they need booktabs and graphicx.
\documentclass{article}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage{textcomp}\else\usepackage{fontspec}\fi
\usepackage{booktabs,graphicx}
\usepackage[margin=2cm]{geometry}
"""

# pdfTeX stops at a letter that it was not told of; the other engines look into the font.
DECLARED = r"\ifPDFTeX\DeclareUnicodeCharacter{%s}{%s}\fi"
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


def to_latex(section: Section) -> str:
    """The section's tables, each in a float of its own; no other block."""
    tables = [_table(block) for block in section.blocks if isinstance(block, Table)]
    body = "\n".join(tables)
    return f"{PREAMBLE}{_declared(body)}\\begin{{document}}\n{body}\\end{{document}}\n"


def escape(text: str) -> str:
    """Text that LaTeX sets as it is."""
    text = re.sub(" ?± ?", "±", one_line(text))
    return "".join(SPECIAL.get(character, _settable(character)) for character in text)


def _settable(character: str) -> str:
    """Half a surrogate pair is no character and cannot be stored."""
    return "?" if "\ud800" <= character <= "\udfff" else character


def _declared(body: str) -> str:
    """What pdfTeX is told of letters beyond Latin-1."""
    strange = sorted({character for character in body if ord(character) > 0xFF})
    return "".join(f"{DECLARED % (f'{ord(c):04X}', _spelt(c))}\n" for c in strange)


def _spelt(character: str) -> str:
    """A letter and its accent, or the number of the character."""
    base, *marks = unicodedata.normalize("NFD", character)
    if len(marks) == 1 and marks[0] in ACCENTS and base.isascii():
        return rf"\{ACCENTS[marks[0]]}{{{base}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def _table(table: Table) -> str:
    columns = "".join("l" if n < table.texts else "r" for n in range(len(table.head)))
    rows = "\n".join(_row([_cell(cell) for cell in row]) for row in table.rows)
    return rf"""\begin{{table}}[htbp]
\centering
\caption{{{escape(table.caption)}}}
\sbox0{{%
\begin{{tabular}}{{{columns}}}
\toprule
{_row([escape(title) for title in table.head])}
\midrule
{rows}
\bottomrule
\end{{tabular}}}}%
\ifdim\wd0>\linewidth\resizebox{{\linewidth}}{{!}}{{\usebox0}}\else\usebox0\fi
\end{{table}}
"""


def _row(entries: list[str]) -> str:
    # A bracket at the start of a row would be read as the option of the line end above it.
    return "{}" + " & ".join(entries) + r" \\"


def _cell(cell: Cell) -> str:
    return " ".join(text for line in cell if (text := _line(line)))


def _line(line: Line) -> str:
    mark = {"plain": "{}", "strong": r"\textbf{{{}}}", "emphasis": r"\emph{{{}}}"}[line.weight]
    text = mark.format(escape(line.text)) if line.text else ""
    note = rf"{{\footnotesize {escape(line.note)}}}" if line.note else ""
    return " ".join(part for part in (text, note) if part)
