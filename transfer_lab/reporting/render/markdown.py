"""Sections as Markdown, for code hosts."""

from __future__ import annotations

import re

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
    Note,
    Paragraph,
    Picture,
    Section,
    Table,
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
    match block:
        case InShort() | Board() | Filters() | Limits():
            return _first_screen(block)
        case Paragraph(text, warning):
            return f"> **{escape(text)}**" if warning else escape(text)
        case Bullets(items):
            return "\n".join(f"- {escape(item)}" for item in items)
        case Note(text, _, items):
            return "\n".join(filter(None, (escape(text), *(f"- {escape(i)}" for i in items))))
        case Heading(text):
            return f"### {escape(text)}"
        case Code(text):
            return _fenced(text)
        case Table():
            return _table(block)
        case Picture(name, caption, alt, _):
            return f"![{escape(alt)}](figures/{name})\n\n*{escape(caption)}*"
        case Fold(title, blocks):
            inner = "\n\n".join(_block(b) for b in blocks)
            return f"<details><summary>{escape(title)}</summary>\n\n{inner}\n\n</details>"


def _first_screen(block: Block) -> str:
    match block:
        case InShort(text, _, words, _):
            return f"**In short: {escape(text)}** ({escape(words)}, 95 %)"
        case Board(None, cards):
            return _answers([card for card in cards if card])
        case Limits(items) if items:
            return f"Limits: {escape(' · '.join(items))}."
        case _:
            return ""


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
