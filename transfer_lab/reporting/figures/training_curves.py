"""The figures of learning curves: a line for each regime."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.reporting.figures.charts import DASHES, Chart, Key, Panel, line_of, plain, rounded
from transfer_lab.reporting.figures.style import Pen, legend_above, panel_title, panels, pens
from transfer_lab.reporting.study import Place, Study
from transfer_lab.store.curves import Curve as RunCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """A mean over seeds by epoch, and over how many."""

    epochs: np.ndarray
    values: np.ndarray
    seeds: np.ndarray


def mean_curves(study: Study, column: str) -> dict[Place, Curve]:
    """The mean over seeds at each epoch, where the column was evaluated."""
    runs: dict[Place, list[RunCurve]] = defaultdict(list)
    for place, run_id in study.with_curves:
        runs[place].append(study.curves[run_id])
    means = {place: _mean(found, column) for place, found in runs.items()}
    return {place: curve for place, curve in means.items() if len(curve.epochs)}


def _mean(runs: Sequence[RunCurve], column: str) -> Curve:
    at, values = (np.concatenate([run[name] for run in runs]) for name in ("epoch", column))
    known = ~np.isnan(values)
    epochs, index = np.unique(at[known], return_inverse=True)
    seeds = np.bincount(index)
    return Curve(epochs, np.bincount(index, weights=values[known]) / seeds, seeds)


def _scale(column: str) -> tuple[float, str]:
    """What the values are multiplied by, and the axis' label."""
    if column == "val_accuracy":
        return 100, "validation accuracy (%)"
    return 1, "training loss"


def draw(study: Study, backbone: str, column: str, means: dict[Place, Curve]) -> Figure:
    """Panels are scenarios; the horizontal axis is the share of the common budget, in epochs."""
    scale, label = _scale(column)
    figure, axes = panels(study, 2.1, 0.25, sharey=True)
    drawn = {}
    for panel, scenario in zip(axes, study.corners, strict=True):
        for regime, pen in pens(study).items():
            curve = means.get(Place(scenario, backbone, regime))
            if curve is None:
                continue
            (drawn[regime],) = panel.plot(
                curve.epochs,
                scale * curve.values, pen.dash, color=pen.colour, linewidth=1.5,
                marker="o" if len(curve.epochs) == 1 else None, markersize=4, label=regime,
            )  # fmt: skip
        panel.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(label, fontsize=9)
    if drawn:
        legend_above(figure, list(drawn.values()))
    return figure


def chart(study: Study, backbone: str, column: str, means: dict[Place, Curve]) -> Chart:
    """The same, with the value and the number of seeds at every epoch."""
    scale, label = _scale(column)
    here = {place: curve for place, curve in means.items() if place.backbone == backbone}
    top = 1.05 * scale * max((curve.values.max() for curve in here.values()), default=1.0)
    look = pens(study)
    drawn = [regime for regime in look if any(place.regime == regime for place in here)]
    keys = (Key("regime", r, look[r].colour, dash=DASHES[look[r].dash]) for r in drawn)
    chart_panels = []
    for scenario in study.corners:
        traces = tuple(
            _trace(place, curve, look[place.regime], scale)
            for regime in drawn
            if (curve := here.get(place := Place(scenario, backbone, regime)))
        )
        layout = {
            "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": label}, "range": [0, top]},
        }
        chart_panels.append(Panel(panel_title(study, scenario), traces, layout))
    return Chart(tuple(chart_panels), tuple(keys))


def _trace(place: Place, curve: Curve, pen: Pen, scale: float) -> dict:
    digits = ".1f" if scale == 100 else ".3g"
    single = len(curve.epochs) == 1
    return {
        "type": "scatter",
        "mode": "markers" if single else "lines",
        "x": [int(epoch) for epoch in curve.epochs],
        "y": rounded(scale * curve.values),
        "customdata": curve.seeds.tolist(),
        "line": line_of(pen),
        "marker": {"color": pen.colour, "size": 8},
        "name": plain(place.regime),
        "hovertemplate": "<b>%{fullData.name}</b><br>"
        f"%{{y:{digits}}} at epoch %{{x}} (n=%{{customdata}})<extra></extra>",
        "meta": {"regime": place.regime, "backbone": place.backbone},
    }
