"""The figure of the similarity axis: a dot and an interval for each pair, a row for each space."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from transfer_lab.reporting.figures.charts import (
    HOVER_TEXT,
    NEUTRAL,
    SYMBOLS,
    Chart,
    Key,
    Panel,
    plain,
    rounded,
)
from transfer_lab.reporting.figures.style import MARKERS, PALETTE, WIDTH, legend_above, wrapped_row
from transfer_lab.similarity.axis import CUT, Placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Name = tuple[str, str, str]
"""Source, target and the author's word."""
LABEL = "0: the source itself — 1: the far domain"


def draw(spaces: Mapping[str, Sequence[Placed]]) -> Figure:
    """Rows are feature spaces; colour is the pair, the marker what its author calls it."""
    from matplotlib.figure import Figure

    names = _names(spaces)
    figure = Figure(figsize=(WIDTH, 0.6 + (0.25 + 0.13 * len(names)) * len(spaces)))
    panel = figure.subplots()
    panel.axvline(CUT, color="#6B7280", linestyle="--", linewidth=1)
    for end in (0, 1):
        panel.axvline(end, color="#374151", linewidth=1)
    for row, pairs in enumerate(spaces.values()):
        for pair in pairs:
            number = names.index(pair[:3])
            y = row + 0.7 * ((number + 0.5) / len(names) - 0.5)
            panel.errorbar(
                pair.value, y, xerr=[[pair.value - pair.low], [pair.high - pair.value]],
                fmt=_marker(pair[:3]), color=_colour(number),
                markersize=5, elinewidth=1.4, markeredgewidth=0,
            )  # fmt: skip
    panel.set_yticks(range(len(spaces)), [wrapped_row(space) for space in spaces])
    panel.set_ylim(len(spaces) - 0.5, -0.5)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel(LABEL)
    _legend(figure, names)
    return figure


def _names(spaces: Mapping[str, Sequence[Placed]]) -> list[Name]:
    return list(dict.fromkeys(pair[:3] for pairs in spaces.values() for pair in pairs))


def _legend(figure: Figure, names: Sequence[Name]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=_marker(name), color=_colour(number), label=_title(name)
        )
        for number, name in enumerate(names)
    ]
    legend_above(figure, handles, most=2)


def _title(name: Name) -> str:
    source, target, word = name
    return f"{source} → {target} ({word})"


def chart(spaces: Mapping[str, Sequence[Placed]], backbones: Collection[str]) -> Chart:
    """The same, with every value and interval; a space that is a backbone's goes with it when
    readers filter."""
    names = _names(spaces)
    traces = [
        _trace(space, pair, names.index(pair[:3])) | {"meta": _meta(space, pair, backbones)}
        for space, pairs in spaces.items()
        for pair in pairs
    ]
    ends = [(pair.low, pair.high) for pairs in spaces.values() for pair in pairs]
    left, right = min(0.0, *(low for low, _ in ends)), max(1.0, *(high for _, high in ends))
    layout = {
        "scattermode": "group",
        "scattergap": 0.3,
        "xaxis": {"title": {"text": LABEL}, "range": [left - 0.05, right + 0.05]},
        "yaxis": {"type": "category", "showgrid": False},
        "shapes": [_line(0, "solid"), _line(CUT, "dash"), _line(1, "solid")],
    }
    rows = tuple(map(plain, spaces))
    keys = (
        Key("pair", _title(name), _colour(number), SYMBOLS[_marker(name)])
        for number, name in enumerate(names)
    )
    return Chart((Panel("Place on the axis", tuple(traces), layout, rows),), tuple(keys))


def _trace(space: str, pair: Placed, number: int) -> dict:
    place = f"{pair.value:.2f} [{pair.low:.2f}, {pair.high:.2f}]"
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": f"pair {number}",
        "hovertemplate": HOVER_TEXT,
        "x": rounded([pair.value]),
        "y": [plain(space)],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": rounded([pair.high - pair.value]),
            "arrayminus": rounded([pair.value - pair.low]),
            "width": 3,
        },
        "text": [f"<b>{plain(_title(pair[:3]))}</b><br>{plain(space)}<br>{place}"],
        "marker": {"symbol": SYMBOLS[_marker(pair[:3])], "size": 10, "color": _colour(number)},
    }


def _meta(space: str, pair: Placed, backbones: Collection[str]) -> dict[str, str]:
    return {"pair": _title(pair[:3])} | ({"backbone": space} if space in backbones else {})


def _line(x: float, dash: str) -> dict:
    return {
        "type": "line",
        "layer": "below",
        "yref": "y domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": NEUTRAL, "width": 1, "dash": dash},
    }


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _marker(name: Name) -> str:
    return MARKERS[name[2] == "dissimilar"]
