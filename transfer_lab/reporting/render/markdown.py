"""Sections as Markdown, for code hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from transfer_lab.reporting.blocks import (
    Block,
    Board,
    Bullets,
    Card,
    Cell,
    Code,
    Filters,
    Fold,
    Heading,
    InShort,
    Limits,
    Line,
    Mistakes,
    Note,
    Paragraph,
    Picture,
    Section,
    Table,
    Thumbnails,
    cell,
)
from transfer_lab.reporting.wording import one_line


def to_markdown(sections: tuple[Section, ...]) -> str:
    """The sections; the first one's title is the report's."""
    parts = []
    for number, section in enumerate(sections):
        parts.append(f"{'##' if number else '#'} {escape(section.title)}")
        parts += [escape(section.lead)] if section.lead else []
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table or outside."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|\[\]~$#])", r"\\\1", text)
    # An underscore within a word is only that, and names are full of them.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def _block(block: Block) -> str:
    return _WRITTEN[type(block)](block)


def _paragraph(block: Paragraph) -> str:
    return f"> **{escape(block.text)}**" if block.warning else escape(block.text)


def _note(block: Note) -> str:
    return "\n".join(filter(None, (escape(block.text), _listed(block.items))))


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)


def _in_short(block: InShort) -> str:
    return f"**In short: {escape(block.text)}** ({escape(block.words)})"


def _board(block: Board) -> str:
    return "" if block.network else _answers([card for card in block.cards if card])


def _limits(block: Limits) -> str:
    return f"Limits: {escape(' · '.join(block.items))}." if block.items else ""


def _picture(block: Picture) -> str:
    return f"![{escape(block.alt)}](figures/{block.name})\n\n*{escape(block.caption)}*"


def _fold(block: Fold) -> str:
    inner = "\n\n".join(_block(b) for b in block.blocks)
    return f"<details><summary>{escape(block.title)}</summary>\n\n{inner}\n\n</details>"


def _answers(cards: list[Card]) -> str:
    """A row a case: what to do, what to expect, how far behind the best at most, and the rule."""
    head = ("case", "do this", "expect", "behind the best at most", "the rule")
    rows = tuple(
        (
            cell(card.case),
            (Line(card.words, weight="strong"), *([Line("", card.name)] if card.name else [])),
            cell(card.expect.text if card.expect else "–"),
            cell(card.bound.removeprefix("at most ").removesuffix(" behind the best") or "–"),
            cell(card.rule),
        )
        for card in cards
    )
    return _table(Table("The answer", head, rows, texts=len(head)))


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
        _row([escape(title) for title in titles(table)]),
        _row([":---" if n < table.texts else "---:" for n in range(len(table.head))]),
        *(_row([_cell(cell) for cell in row]) for row in table.rows),
    ]
    return f"**{escape(table.caption)}**\n\n" + "\n".join(lines)


def titles(table: Table) -> tuple[str, ...]:
    """The titles of its columns, in one line those of groups too."""
    over = [group for group, width in table.groups for _ in range(width)]
    if not over:
        return table.head
    return tuple(f"{group}, {t}" if group else t for group, t in zip(over, table.head, strict=True))


def _row(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _cell(cell: Cell) -> str:
    return "<br>".join(_line(line) for line in cell)


def _line(line: Line) -> str:
    mark = {"plain": "", "strong": "**", "emphasis": "*"}[line.weight]
    text = f"{mark}{escape(line.text)}{mark}" if line.text else ""
    return " ".join(part for part in (text, escape(line.note)) if part)


_WRITTEN: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Note: _note,
    Heading: lambda block: f"### {escape(block.text)}",
    Bullets: lambda block: _listed(block.items),
    InShort: _in_short,
    Board: _board,
    Filters: lambda _: "",
    Limits: _limits,
    Code: lambda block: _fenced(block.text),
    Table: _table,
    Picture: _picture,
    Thumbnails: _thumbnails,
    Mistakes: _mistakes,
    Fold: _fold,
}
