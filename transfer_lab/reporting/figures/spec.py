"""A figure as data, before matplotlib or plotly draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Pen(NamedTuple):
    """How a series is drawn: its colour, and matplotlib's name of its dash."""

    colour: str
    dash: str = "-"


Kind = Literal["line", "step", "point", "row", "seeds"]
"""A line through points, a stepped line, a dot at x and y, a dot in a row of names, and the strokes
of single seeds in such a row, which are for the page alone."""


LabelPlace = Literal["top right", "top left", "bottom right", "bottom left"]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of one look in a panel.

    `error` holds the half-widths of intervals, which lie along x in rows and along y elsewhere;
    `below` the lower ones where they differ. `text` holds the lines that each point tells a reader;
    `pattern` makes one of {x}, {y} and {seeds}, of how many each is a mean. `label` stands beside
    it, where `label_at` says. `beside` is its place among the figure's `abreast`. `facets` say what
    it shows: facet -> value, or one for each point.
    """

    kind: Kind
    x: Sequence[float | str]
    y: Sequence[float | str]
    pen: Pen
    marker: str = ""
    error: Sequence[float] = ()
    below: Sequence[float] = ()
    text: Sequence[tuple[str, ...]] = ()
    pattern: str = ""
    seeds: Sequence[int] = ()
    label: str = ""
    label_at: LabelPlace = "top right"
    beside: int = 0
    facets: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """One direction: from `low` to `high`, which follows from what is drawn where it is None.

    `names` make it categories, in order, from top to bottom where they are rows; `ticks` are the
    numbers that are shown. Where it is not `shared`, each panel has its own range.
    """

    title: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    percent: bool = False
    integers: bool = False
    names: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()
    shared: bool = True


@dataclass(frozen=True)
class Panel:
    """One plot; its own axes take the place of the figure's. Rows may be shaded, and upright lines
    drawn: where, and with which dash."""

    title: str
    series: tuple[Series, ...]
    x: Axis | None = None
    y: Axis | None = None
    shaded: tuple[str, ...] = ()
    uprights: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Key:
    """An entry of the legend: what is drawn so has this value of the facet."""

    facet: str
    value: str
    colour: str = ""
    marker: str = ""
    dash: str = ""
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels of one size under one legend of at most so many columns.

    Inches: the `height` of a row of panels, and the `margin` that is added to all of them.
    """

    panels: tuple[Panel, ...]
    x: Axis
    y: Axis
    keys: tuple[Key, ...] = ()
    abreast: int = 1
    height: float = 2.3
    margin: float = 0.3
    key_columns: int = 4


def end_of(series: Series) -> float:
    """The highest end of its intervals, along x in rows and along y elsewhere."""
    values = series.x if series.kind in ("row", "seeds") else series.y
    errors = series.error or (0.0,) * len(values)
    return max(value + half for value, half in zip(values, errors, strict=True))
