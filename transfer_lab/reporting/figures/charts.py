"""Figures that answer to the mouse: plotly's traces, what filters them, and their legend."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from transfer_lab.reporting.figures.style import Pen
from transfer_lab.reporting.wording import one_line

SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
NEUTRAL = "#808891"
HOVER_TEXT = "%{text}<extra></extra>"


@dataclass(frozen=True)
class Key:
    """An entry of the legend, which shows and hides what has this value of the facet."""

    facet: str
    value: str
    colour: str = NEUTRAL
    symbol: str = ""
    dash: str = ""
    number: int | None = None


@dataclass(frozen=True)
class Panel:
    """One plot: plotly's traces and layout.

    The `meta` of a trace says what it shows: facet -> value, or one value for each point. Where
    the vertical axis is categories, `rows` are these from top to bottom, the `shaded` ones marked.
    """

    title: str
    traces: tuple[dict, ...]
    layout: dict
    rows: tuple[str, ...] = ()
    shaded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Panels of one size under one legend."""

    panels: tuple[Panel, ...]
    keys: tuple[Key, ...] = ()


def plain(text: object) -> str:
    """Text that plotly shows as it is; it reads some of HTML otherwise."""
    return html.escape(one_line(str(text)), quote=False)


def line_of(pen: Pen) -> dict:
    """A regime's pen as plotly's line."""
    return {"color": pen.colour, "dash": DASHES[pen.dash], "width": 2}


def rounded(values: Iterable[float], digits: int = 4) -> list[float]:
    """Numbers with as many digits as a screen can show; the page stays small."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]


def in_script(value: object) -> str:
    """JSON that may stand in a script element, since no character of it can end or open one;
    dataclasses by their fields."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), default=vars)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def chart_json(chart: Chart) -> str:
    """The chart as the page's script reads it."""
    return in_script(chart)
