"""The figure of accuracies: a dot and an interval for each regime and backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.report.standing import prescribed
from transfer_lab.report.study import Study
from transfer_lab.report.style import MARKERS, panels, pens

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(study: Study) -> Figure:
    """Panels are scenarios, rows are regimes, markers are backbones."""
    height = 0.7 + 0.105 * len(study.regimes) * (1 + len(study.backbones))
    several = len(study.backbones) > 1
    figure, axes = panels(study, height, 0.4 if several else 0.2, sharex=True, sharey=True)
    for panel, scenario in zip(axes, study.corners, strict=True):
        _panel(panel, study, scenario)
    first = axes[0]
    first.set_yticks(range(len(study.regimes)), study.regimes)
    first.set_ylim(len(study.regimes) - 0.5, -0.5)
    first.set_xlim(0, min(100.0, max(1.0, first.get_xlim()[1])))
    figure.supxlabel("test accuracy (%)", fontsize=9)
    if several:
        _legend(figure, study)
    return figure


def _panel(panel: Axes, study: Study, scenario: str) -> None:
    look = pens(study)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    panel.tick_params(axis="x", labelbottom=True)
    for regime in study.of_kind(prescribed(study, scenario)):
        row = study.regimes.index(regime)
        panel.axhspan(row - 0.48, row + 0.48, color="#EEF1F4", linewidth=0)
    step = 0.7 / len(study.backbones)
    for number, backbone in enumerate(study.backbones):
        for row, regime in enumerate(study.regimes):
            found = study.accuracy(scenario, backbone, regime)
            if found is None:
                continue
            y = row + step * (number - (len(study.backbones) - 1) / 2)
            x, half = 100 * found.mean, 100 * (found.half or 0)
            panel.errorbar(
                x, y, xerr=half or None, fmt=MARKERS[number % len(MARKERS)], markersize=4.5,
                color=look[regime].colour, elinewidth=1.4, markeredgewidth=0,
            )  # fmt: skip


def _legend(figure: Figure, study: Study) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[n % len(MARKERS)], color="#374151", label=name)
        for n, name in enumerate(study.backbones)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)))
