"""Tables that fit the window they are read in; whole where nobody's window is known."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from tabulate import tabulate

_GAP = "  "


def room(console: Console, *, wide: bool = False) -> int | None:
    """Columns that a line may take; None where it may be of any length: asked for, or piped."""
    return console.width if console.is_terminal and not wide else None


def table(
    rows: Sequence[Sequence[object]], headers: Sequence[str], width: int | None, *, keys: int = 1
) -> str:
    """A table of lines no longer than `width`.

    What is too wide is taken apart into several, one below the other, each with the first `keys`
    columns; a single column that is too wide even so has its entries shortened.
    """
    texts = [[str(value) for value in row] for row in (headers, *rows)]
    if width is None:
        return _tabulated(texts)
    texts = _shortened(texts, width, keys)
    widths = [_width(*column) for column in zip(*texts, strict=True)]
    blocks: list[list[int]] = [[]]
    for column in range(keys, len(widths)):
        taken = [*range(keys), *blocks[-1], column]
        if blocks[-1] and sum(widths[i] + len(_GAP) for i in taken) - len(_GAP) > width:
            blocks.append([])
        blocks[-1].append(column)
    return "\n\n".join(
        _tabulated([[row[i] for i in (*range(keys), *block)] for row in texts]) for block in blocks
    )


def wrapped(head: str, text: str, width: int | None) -> str:
    """`head: text`, its further lines set in."""
    whole = f"{head}: {text}"
    if width is None:
        return whole
    return textwrap.fill(whole, width, subsequent_indent="    ", break_on_hyphens=False)


def cut(text: str, width: int | None) -> str:
    """The text, or as much of it as there is room for."""
    return text if width is None or len(text) <= width else text[: max(0, width - 1)] + "…"


def _shortened(texts: list[list[str]], width: int, keys: int) -> list[list[str]]:
    """Entries no wider than lets the keys and one more column stand side by side."""
    own = max(3, (width - keys * len(_GAP)) // (keys + 1))
    columns = zip(*texts, strict=True)
    found = [
        (cut(head, own - len(_GAP)), *(cut(text, own) for text in column))
        for head, *column in columns
    ]
    return [list(row) for row in zip(*found, strict=True)]


def _width(head: str, *texts: str) -> int:
    """Of a column; the library leaves room beside a head."""
    return max(len(head) + len(_GAP), *map(len, texts))


def _tabulated(texts: Sequence[Sequence[str]]) -> str:
    return tabulate(texts[1:], headers=texts[0], disable_numparse=True)
