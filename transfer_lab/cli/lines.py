"""Lines with a head in a column of its own, wrapped to the window they are read in."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from transfer_lab.advice.wording import Line
from transfer_lab.reporting.wording import one_line

_HEAD, _WIDEST = 13, 100


def print_lines(out: Console, lines: Iterable[Line]) -> None:
    """Each with what stands below it in a quieter voice; a line without a head takes the width."""
    width = min(out.width, _WIDEST) if out.is_terminal else _WIDEST
    for line in lines:
        column = _HEAD if line.head else 0
        room = max(20, width - column - 1)
        for number, text in enumerate((line.text, *line.below.splitlines())):
            for row, part in enumerate(Text(one_line(text)).wrap(out, room)):
                head = line.head if number == row == 0 else ""
                shown = Text(" ").append(head.ljust(column), style="bold cyan").append_text(part)
                shown.rstrip()
                if number:
                    shown.stylize("dim")
                out.print(shown, soft_wrap=True)
