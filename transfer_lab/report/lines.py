"""The figures of learning curves: a line for each regime."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from transfer_lab.report.study import Place, Study
from transfer_lab.report.style import panels, pens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def mean_curves(study: Study, column: str) -> dict[Place, pd.Series]:
    """The mean over seeds at each epoch, where the column was evaluated."""
    import pandas as pd

    runs: dict[Place, list[pd.Series]] = defaultdict(list)
    for place, run_id in study.with_curves():
        curve = study.curves[run_id].set_index("epoch")[column].dropna()
        if len(curve):
            runs[place].append(curve)
    return {place: pd.concat(found).groupby(level=0).mean() for place, found in runs.items()}


def draw(study: Study, backbone: str, column: str, means: dict[Place, pd.Series]) -> Figure:
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
                curve.index, scale * curve, pen.dash, color=pen.colour, linewidth=1.5,
                marker="o" if len(curve) == 1 else None, markersize=4, label=regime,
            )  # fmt: skip
        panel.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(label, fontsize=9)
    figure.legend(
        handles=list(drawn.values()), loc="outside upper center", ncols=min(4, len(drawn))
    )
    return figure
