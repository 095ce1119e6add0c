"""The figure of accuracy against depth: a line for each backbone and question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.figures.charts import (
    DASHES,
    HOVER_TEXT,
    SYMBOLS,
    Chart,
    Key,
    Panel,
    plain,
    rounded,
)
from transfer_lab.reporting.figures.style import PALETTE, legend_above, marker, panel_title, panels
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", ":")
LABEL = "stages"


class DepthCurve(NamedTuple):
    """What one question about depth found in a scenario on a backbone: the measured regime at each
    depth in stages, where infinity stands for all."""

    scenario: str
    backbone: str
    what: str
    regimes: Mapping[float, str]


Curves = Sequence[DepthCurve]


def depth_name(at: float) -> str:
    """How a depth is called: a number of stages, or all."""
    return "all" if math.isinf(at) else f"{at:g}"


def draw(study: Study, curves: Curves) -> Figure:
    """Panels are scenarios, colours and markers backbones, dashes the two questions."""
    figure, axes = panels(study, 2.3, 0.3, sharex=True, sharey=True)
    depths = _depths(curves)
    for panel, scenario in zip(axes, study.corners, strict=True):
        panel.tick_params(axis="x", labelbottom=True)
        for curve in curves:
            if curve.scenario == scenario:
                _line(panel, study, curve, _look(study, curves, curve), depths)
    axes[0].set_xticks(range(len(depths)), [depth_name(at) for at in depths])
    axes[0].set_ylim(bottom=0)
    figure.supxlabel(LABEL, fontsize=9)
    figure.supylabel("test accuracy (%)", fontsize=9)
    legend_above(figure, _handles(study, curves), most=3)
    return figure


def _line(
    panel: Axes, study: Study, curve: DepthCurve, look: tuple[str, str], depths: list[float]
) -> None:
    found = {
        at: study.accuracy(curve.scenario, curve.backbone, r) for at, r in curve.regimes.items()
    }
    colour, dash = look
    panel.errorbar(
        [depths.index(at) for at in found],
        [100 * interval.mean for interval in found.values()],
        yerr=[100 * (interval.half or 0) for interval in found.values()],
        fmt=dash, color=colour, linewidth=1.4, elinewidth=0.9,
        marker=marker(study, curve.backbone), markersize=4,
    )  # fmt: skip


def _handles(study: Study, curves: Curves) -> list[object]:
    from matplotlib.lines import Line2D

    backbones = [b for b in study.backbones if any(curve.backbone == b for curve in curves)]
    handles = [
        Line2D([], [], linestyle="", marker=marker(study, b), color=_colour(study, b), label=b)
        for b in backbones
    ]
    for what, dash in zip(_questions(curves), _DASHES, strict=False):
        handles.append(Line2D([], [], linestyle=dash, color="#374151", label=what))
    return handles


def _questions(curves: Curves) -> list[str]:
    return list(dict.fromkeys(curve.what for curve in curves))


def _look(study: Study, curves: Curves, curve: DepthCurve) -> tuple[str, str]:
    dash = _DASHES[_questions(curves).index(curve.what)]
    return _colour(study, curve.backbone), dash


def _colour(study: Study, backbone: str) -> str:
    return PALETTE[study.backbones.index(backbone) % len(PALETTE)]


def _depths(curves: Curves) -> list[float]:
    return sorted({at for curve in curves for at in curve.regimes})


def chart(study: Study, curves: Curves) -> Chart:
    """The same, with every value, its interval and the regime behind it."""
    made = [(curve, _trace(study, curves, curve)) for curve in curves]
    top = max(y + h for _, t in made for y, h in zip(t["y"], t["error_y"]["array"], strict=True))
    names = [depth_name(at) for at in _depths(curves)]
    layout = {
        "xaxis": {
            "title": {"text": LABEL},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names,
        },
        "yaxis": {"title": {"text": "test accuracy (%)"}, "range": [0, min(100, 1.05 * top)]},
    }
    chart_panels = (
        Panel(
            panel_title(study, scenario),
            tuple(trace for curve, trace in made if curve.scenario == scenario),
            layout,
        )
        for scenario in study.corners
    )
    shown = {curve.backbone for curve in curves}
    keys = [
        Key("backbone", name, _colour(study, name), SYMBOLS[marker(study, name)])
        for name in study.backbones
        if name in shown
    ]
    keys += [
        Key("question", what, dash=DASHES[dash])
        for what, dash in zip(_questions(curves), _DASHES, strict=False)
    ]
    return Chart(tuple(chart_panels), tuple(keys))


def _trace(study: Study, curves: Curves, curve: DepthCurve) -> dict:
    found = {
        at: (regime, study.summary(curve.scenario, curve.backbone, regime))
        for at, regime in curve.regimes.items()
    }
    colour, dash = _look(study, curves, curve)
    halves = [100 * (summary.accuracy.half or 0) for _, summary in found.values()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [depth_name(at) for at in found],
        "y": rounded(100 * summary.accuracy.mean for _, summary in found.values()),
        "error_y": {"type": "data", "array": rounded(halves), "width": 3, "thickness": 1},
        "line": {"color": colour, "dash": DASHES[dash], "width": 2},
        "marker": {
            "color": colour,
            "size": 7,
            "symbol": SYMBOLS[marker(study, curve.backbone)],
        },
        "hovertemplate": HOVER_TEXT,
        "text": [
            f"<b>{plain(regime)}</b><br>{plain(curve.backbone)}<br>"
            f"{percent(summary.accuracy)} % {count(summary.accuracy.n, summary.planned)}"
            for regime, summary in found.values()
        ],
        "meta": {"backbone": curve.backbone, "question": curve.what},
    }
