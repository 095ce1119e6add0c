"""Sections as Markdown, for code hosts."""

from __future__ import annotations

import re

from transfer_lab.reporting.blocks import (
    Answers,
    Block,
    Bullets,
    Cell,
    Code,
    Fold,
    Line,
    Mistakes,
    Paragraph,
    Picture,
    Section,
    Table,
    Thumbnails,
)
from transfer_lab.reporting.wording import one_line


def to_markdown(sections: tuple[Section, ...]) -> str:
    """The whole report; the first section's title is the report's."""
    parts = []
    for number, section in enumerate(sections):
        parts.append(f"{'##' if number else '#'} {escape(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table or outside."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|\[\]~$#])", r"\\\1", text)
    # An underscore within a word is only that, and names are full of them.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, warning):
            return f"> **{escape(text)}**" if warning else escape(text)
        case Bullets(items):
            return "\n".join(f"- {escape(item)}" for item in items)
        case Answers(items):
            return "\n".join(
                f"- {escape(item.case)}: **{escape(item.choice)}**{escape(item.end)}"
                for item in items
            )
        case Code(text):
            return _fenced(text)
        case Table():
            return _table(block)
        case Picture(name, caption, alt, _):
            return f"![{escape(alt)}](figures/{name})\n\n*{escape(caption)}*"
        case Thumbnails():
            return _thumbnails(block)
        case Mistakes():
            return _mistakes(block)
        case Fold(title, blocks):
            inner = "\n\n".join(_block(b) for b in blocks)
            return f"<details><summary>{escape(title)}</summary>\n\n{inner}\n\n</details>"


def _thumbnails(block: Thumbnails) -> str:
    rows = [
        f"- {escape(shelf.title)}{': ' * bool(shelf.title)}"
        + escape(", ".join(one.caption for one in shelf.items))
        for shelf in block.shelves
    ]
    return "\n".join((f"![{escape(block.caption)}](figures/{block.name})", "", *rows))


def _mistakes(block: Mistakes) -> str:
    told = [f"**{escape(block.caption)}**", "", *(f"- {escape(one.text)}" for one in block.items)]
    if any(one.images for one in block.items):
        told += ["", f"![Images of these mistakes, a row each](figures/{block.name})"]
    return "\n".join(told)


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text}\n{fence}"


def _table(table: Table) -> str:
    lines = [
        _row([escape(title) for title in table.head]),
        _row([":---" if n < table.texts else "---:" for n in range(len(table.head))]),
        *(_row([_cell(cell) for cell in row]) for row in table.rows),
    ]
    return f"**{escape(table.caption)}**\n\n" + "\n".join(lines)


def _row(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _cell(cell: Cell) -> str:
    return "<br>".join(_line(line) for line in cell)


def _line(line: Line) -> str:
    mark = {"plain": "", "strong": "**", "emphasis": "*"}[line.weight]
    text = f"{mark}{escape(line.text)}{mark}" if line.text else ""
    return " ".join(part for part in (text, escape(line.note)) if part)
