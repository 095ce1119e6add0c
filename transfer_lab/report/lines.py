"""The figures of learning curves: a line for each regime."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transfer_lab.report.study import Place, Study
from transfer_lab.report.style import panels, pens

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """A mean over seeds by epoch."""

    epochs: np.ndarray
    values: np.ndarray


def mean_curves(study: Study, column: str) -> dict[Place, Curve]:
    """The mean over seeds at each epoch, where the column was evaluated."""
    runs: dict[Place, list[np.ndarray]] = defaultdict(list)
    for place, run_id in study.with_curves():
        curve = study.curves[run_id]
        points = np.column_stack([curve["epoch"].to_numpy(), curve[column].to_numpy(dtype=float)])
        runs[place].append(points[~np.isnan(points[:, 1])])
    means = {place: _mean(np.concatenate(found)) for place, found in runs.items()}
    return {place: curve for place, curve in means.items() if len(curve.epochs)}


def _mean(points: np.ndarray) -> Curve:
    epochs, index = np.unique(points[:, 0], return_inverse=True)
    return Curve(epochs, np.bincount(index, weights=points[:, 1]) / np.bincount(index))


def draw(study: Study, backbone: str, column: str, means: dict[Place, Curve]) -> Figure:
    """Panels are scenarios; the horizontal axis is the share of the common budget, in epochs."""
    scale = 100 if column == "val_accuracy" else 1
    label = "validation accuracy (%)" if column == "val_accuracy" else "training loss"
    figure, axes = panels(study, 2.1, 0.55, sharey=True)
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
        panel.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(label, fontsize=9)
    figure.legend(
        handles=list(drawn.values()), loc="outside upper center", ncols=min(4, len(drawn))
    )
    return figure
