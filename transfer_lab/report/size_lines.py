"""The figure of accuracy against the number of images: a line for each regime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfer_lab.report.size_curves import Panel
from transfer_lab.report.study import Study
from transfer_lab.report.style import WIDTH, legend_above, pens, wrapped_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
