"""The figure of accuracy against the number of images: a line for each regime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from transfer_lab.reporting.figures import charts
from transfer_lab.reporting.figures.charts import (
    DASHES,
    HOVER_TEXT,
    Chart,
    Key,
    line_of,
    plain,
    rounded,
)
from transfer_lab.reporting.figures.style import WIDTH, Pen, legend_above, pens, wrapped_title
from transfer_lab.reporting.study import Study, Summary
from transfer_lab.reporting.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from transfer_lab.reporting.sections.learning_curves import Panel

_APART = 1.025
"""Intervals of neighbouring regimes stand beside one another, and not on top."""


def draw(study: Study, panels: Sequence[Panel]) -> Figure:
    """One panel for each source, target and backbone, at most two in a row."""
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 2.6 * rows + 0.3))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for unused in axes[len(panels) :]:
        unused.remove()
    drawn: dict[str, object] = {}
    for ax, panel in zip(axes, panels, strict=False):
        drawn |= _panel(ax, study, panel)
        ax.set_title(wrapped_title(panel.title, columns))
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("labelled images per class", fontsize=9)
    figure.supylabel("test accuracy (%)", fontsize=9)
    legend_above(figure, [drawn[r] for r in study.regimes if r in drawn])
    return figure


def _panel(ax: Axes, study: Study, panel: Panel) -> dict[str, object]:
    sizes = sorted(panel.scenarios)
    drawn = {}
    for number, (regime, pen) in enumerate(pens(study).items()):
        aside = _APART ** (number - (len(study.regimes) - 1) / 2)
        found = [study.accuracy(panel.scenarios[n], panel.backbone, regime) for n in sizes]
        points = [(n, interval) for n, interval in zip(sizes, found, strict=True) if interval]
        if points:
            drawn[regime] = ax.errorbar(
                [n * aside for n, _ in points],
                [100 * interval.mean for _, interval in points],
                yerr=[100 * (interval.half or 0) for _, interval in points],
                fmt=pen.dash, color=pen.colour, linewidth=1.4, elinewidth=0.9, marker="o",
                markersize=3, label=regime,
            )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{n:g}" for n in sizes])
    ax.minorticks_off()
    return drawn


def chart(study: Study, panels: Sequence[Panel]) -> Chart:
    """The same, with the value and the number of seeds at every size."""
    made = [(panel, _traces(study, panel)) for panel in panels]
    shown = {trace["meta"]["regime"] for _, traces in made for trace in traces}
    top = max((_top(trace) for _, traces in made for trace in traces), default=100)
    layout = {"yaxis": {"title": {"text": "test accuracy (%)"}, "range": [0, min(100, 1.05 * top)]}}
    drawn = (
        charts.Panel(panel.title, tuple(traces), layout | {"xaxis": _sizes(panel)})
        for panel, traces in made
    )
    keys = (
        Key("regime", regime, pen.colour, dash=DASHES[pen.dash])
        for regime, pen in pens(study).items()
        if regime in shown
    )
    return Chart(tuple(drawn), tuple(keys))


def _sizes(panel: Panel) -> dict:
    sizes = sorted(panel.scenarios)
    return {
        "title": {"text": "labelled images per class"},
        "type": "log",
        "tickvals": sizes,
        "ticktext": [f"{n:g}" for n in sizes],
    }


def _top(trace: dict) -> float:
    return max(y + half for y, half in zip(trace["y"], trace["error_y"]["array"], strict=True))


def _traces(study: Study, panel: Panel) -> list[dict]:
    """A line for each regime that was measured."""
    traces = []
    for regime, pen in pens(study).items():
        found = {
            n: study.summary(panel.scenarios[n], panel.backbone, regime)
            for n in sorted(panel.scenarios)
        }
        known = {n: summary for n, summary in found.items() if summary.accuracy}
        if known:
            meta = {"meta": {"regime": regime, "backbone": panel.backbone}}
            traces.append(_trace(regime, pen, known) | meta)
    return traces


def _trace(regime: str, pen: Pen, known: Mapping[float, Summary]) -> dict:
    found = {n: summary.accuracy for n, summary in known.items()}
    halves = [100 * (interval.half or 0) for interval in found.values()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(found),
        "y": rounded(100 * interval.mean for interval in found.values()),
        "error_y": {"type": "data", "array": rounded(halves), "width": 3, "thickness": 1},
        "line": line_of(pen),
        "marker": {"color": pen.colour, "size": 6},
        "hovertemplate": HOVER_TEXT,
        "text": [
            f"<b>{plain(regime)}</b><br>{n:g} per class<br>{percent(summary.accuracy)} % "
            f"{count(summary.accuracy.n, summary.planned)}"
            for n, summary in known.items()
        ],
    }
