"""What the page is told, as JSON: blocks of the report, numbers, and no NaN."""

from __future__ import annotations

import json
import math

from transfer_lab.reporting.blocks import Block, Cell, Fold, Paragraph, Picture, Table
from transfer_lab.reporting.figures.plotly import chart

Told = dict[str, object]
"""An object of the page's script."""


def told(block: Block) -> Told:
    """A block as the page's script draws it. Raises TypeError for a kind that it does not know."""
    match block:
        case Paragraph(text, warning):
            return {"kind": block.kind, "text": text, "warning": warning}
        case Table():
            rows = [[*map(_lines, row)] for row in block.rows]
            return {
                "kind": block.kind,
                "caption": block.caption,
                "head": block.head,
                "texts": block.texts,
                "groups": block.groups,
                "rows": rows,
            }
        case Picture():
            drawn = chart(block.figure)
            return {
                "kind": "chart",
                "name": block.name,
                "caption": block.caption,
                "alt": block.alt,
                "panels": drawn.panels,
                "keys": drawn.keys,
            }
        case Fold(title, blocks):
            return {"kind": block.kind, "title": title, "blocks": [*map(told, blocks)]}
    raise TypeError(f"{type(block).__name__} is not for the dashboard")


def _lines(cell: Cell) -> list[list[str]]:
    return [[line.text, line.note, line.weight] for line in cell]


def value(content: object) -> object:
    """A value of a table: None for what was not measured, whole numbers without a fraction."""
    if isinstance(content, float):
        if not math.isfinite(content):
            return None
        return int(content) if content.is_integer() else content
    return content if isinstance(content, str | int | None) else str(content)


def encoded(content: object) -> bytes:
    """As bytes; dataclasses by their fields."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), default=_plain)
    return text.encode()


def _plain(content: object) -> object:
    return content.item() if hasattr(content, "item") else vars(content)
