"""The one drawer of figures for plotly: as data for the scripts of the page and the dashboard."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Series, end_of
from transfer_lab.reporting.wording import one_line

SYMBOLS = {
    "": "",
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
}
DASHES = {"": "", "-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
NEUTRAL = "#808891"
_SIZE = {"row": 10, "line": 7, "point": 10}
_ERROR = {
    "row": {"width": 3},
    "line": {"width": 3, "thickness": 1},
    "point": {"width": 0, "thickness": 1.2},
}


@dataclass(frozen=True)
class Plot:
    """A panel as plotly's traces and layout.

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
    """A figure that answers to the mouse, as the page's script reads it."""

    panels: tuple[Plot, ...]
    keys: tuple[dict, ...] = ()


def chart(figure: Figure) -> Chart:
    """The figure's panels as plots, and its legend."""
    plots = (
        Plot(
            panel.title,
            tuple(map(_trace, panel.series)),
            _layout(figure, panel),
            tuple(map(plain, _rows(figure, panel))),
            tuple(map(plain, panel.shaded)),
        )
        for panel in figure.panels
    )
    return Chart(tuple(plots), tuple(map(_key, figure.keys)))


def _key(key: Key) -> dict:
    return {
        "facet": key.facet,
        "value": key.value,
        "colour": key.colour or NEUTRAL,
        "symbol": SYMBOLS[key.marker],
        "dash": DASHES[key.dash],
        "number": key.number,
    }


def _rows(figure: Figure, panel: Panel) -> list[str]:
    """The names that anything stands beside."""
    present = {name for series in panel.series for name in series.y} if figure.y.names else set()
    return [name for name in figure.y.names if name in present]


def _layout(figure: Figure, panel: Panel) -> dict:
    x, y = panel.x or figure.x, panel.y or figure.y
    layout: dict = {"xaxis": _axis(figure, x), "yaxis": _axis(figure, y)}
    if y.names:
        layout["yaxis"] = {"type": "category", "showgrid": False}
        layout |= {"scattermode": "group", "scattergap": 0.3}
    if panel.uprights:
        layout["shapes"] = [_upright(at, dash) for at, dash in panel.uprights]
    return layout


def _axis(figure: Figure, axis: Axis) -> dict:
    made: dict = {"title": {"text": axis.title}}
    if axis.names:
        names = [*map(plain, axis.names)]
        made |= {"type": "category", "categoryorder": "array", "categoryarray": names}
    if axis.log:
        made["type"] = "log"
    if axis.log and not axis.ticks:
        made["dtick"] = "D2"
    if axis.ticks:
        made |= {"tickvals": list(axis.ticks), "ticktext": [f"{tick:g}" for tick in axis.ticks]}
    if axis.integers:
        made["rangemode"] = "tozero"
    if axis.low is not None:
        ends = [axis.low, _high(figure, axis)]
        made["range"] = rounded(map(math.log10, ends) if axis.log else ends)
    return made


def _high(figure: Figure, axis: Axis) -> float:
    """Where an axis ends: a bit beyond the highest interval of all panels."""
    if axis.high is not None:
        return axis.high
    ends = [end_of(series) for panel in figure.panels for series in panel.series]
    high = 1.05 * max(ends, default=1.0)
    return min(100.0, high) if axis.percent else high


def _upright(x: float, dash: str) -> dict:
    return {
        "type": "line",
        "layer": "below",
        "yref": "y domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": NEUTRAL, "width": 1, "dash": DASHES[dash]},
    }


def _trace(series: Series) -> dict:
    trace = {"type": "scatter", "x": _shown(series.x), "y": _shown(series.y)}
    if series.error:
        along = "error_x" if series.kind == "row" else "error_y"
        trace[along] = {"type": "data", "array": rounded(series.error)} | _ERROR[series.kind]
        if series.below:
            trace[along] |= {"symmetric": False, "arrayminus": rounded(series.below)}
    if series.facets:
        trace["meta"] = dict(series.facets)
    return trace | _LOOKS[series.kind](series) | _told(series)


def _line(series: Series) -> dict:
    modes = (*(["lines"] if len(series.x) > 1 else []), *(["markers"] if series.marker else []))
    colour, dash = series.pen
    symbol = SYMBOLS[series.marker] or "circle"
    return {
        "mode": "+".join(modes),
        "line": {"color": colour, "dash": DASHES[dash], "width": 2},
        "marker": {"color": colour, "size": _SIZE["line"], "symbol": symbol},
    }


def _step(series: Series) -> dict:
    return {"mode": "lines", "line": {"shape": "hv", "color": NEUTRAL, "width": 1.5}}


def _point(series: Series) -> dict:
    symbol, colour = SYMBOLS[series.marker], series.pen.colour
    return {
        "mode": "markers+text" if series.label else "markers",
        "marker": {"symbol": symbol, "size": _SIZE[series.kind], "color": colour},
    }


def _in_row(series: Series) -> dict:
    """What makes a trace stand in its row, beside those of the other groups."""
    return _point(series) | {"orientation": "h", "offsetgroup": str(series.beside)}


def _strokes(series: Series) -> dict:
    stroke = {"symbol": "line-ns-open", "size": 8, "opacity": 0.75, "color": series.pen.colour}
    return {
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": str(series.beside),
        "marker": stroke,
    }


_LOOKS = {"line": _line, "step": _step, "point": _point, "row": _in_row, "seeds": _strokes}


def _told(series: Series) -> dict:
    """What each point tells a reader who points at it; for many points a pattern of it."""
    if series.text:
        lines = [[*map(plain, line)] for line in series.text]
        told = ["<br>".join((f"<b>{first}</b>", *rest)) for first, *rest in lines]
        if not series.label:
            return {"text": told, "hovertemplate": "%{text}<extra></extra>"}
        return {
            "text": [series.label],
            "textposition": series.label_at,
            "textfont": {"size": 11},
            "hovertext": told,
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    if not series.pattern:
        return {"hoverinfo": "skip"}
    pattern = series.pattern.replace("{seeds}", "{customdata}").replace("{", "%{")
    return {
        "name": plain(next(iter(series.facets.values()))),
        "customdata": list(series.seeds),
        "hovertemplate": f"<b>%{{fullData.name}}</b><br>{pattern}<extra></extra>",
    }


def plain(text: object) -> str:
    """Text that plotly shows as it is; it reads some of HTML otherwise."""
    return html.escape(one_line(str(text)), quote=False)


def _shown(values: Iterable[float | str]) -> list[float | str | None]:
    """Names as text, whole numbers as they are, others as short as `rounded` makes them."""
    as_it_is = {str: plain, int: int}
    return [as_it_is.get(type(value), _short)(value) for value in values]


def rounded(values: Iterable[float]) -> list[float | None]:
    """Numbers with as many digits as a screen can show; the page stays small."""
    return [*map(_short, values)]


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def in_script(value: object) -> str:
    """JSON that may stand in a script element, since no character of it can end or open one;
    dataclasses by their fields."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), default=vars)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
