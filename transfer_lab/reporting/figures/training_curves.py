"""The figures of training curves: a line for each regime."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from transfer_lab.reporting.figures.pens import panel_title, pens
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.reporting.study import Place, Study
from transfer_lab.store.curves import Curve as RunCurve

VALUES = {
    "train_loss": Axis("training loss", low=0),
    "val_accuracy": Axis("validation accuracy (%)", low=0, percent=True),
}


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


def figure(study: Study, backbone: str, column: str, means: Mapping[Place, Curve]) -> Figure:
    """Panels are scenarios; the horizontal axis is the share of the common budget, in epochs."""
    axis = VALUES[column]
    shown = {place.regime for place in means if place.backbone == backbone}
    look = {regime: pen for regime, pen in pens(study).items() if regime in shown}
    return Figure(
        panels=tuple(
            Panel(
                panel_title(study, scenario),
                tuple(
                    _line(place, curve, pen, percent=axis.percent)
                    for regime, pen in look.items()
                    if (curve := means.get(place := Place(scenario, backbone, regime)))
                ),
            )
            for scenario in study.scenarios
        ),
        x=Axis("epoch", integers=True, shared=False),
        y=axis,
        keys=tuple(Key("regime", r, pen.colour, dash=pen.dash) for r, pen in look.items()),
        height=2.1,
        margin=0.25,
    )


def _line(place: Place, curve: Curve, pen: Pen, *, percent: bool) -> Series:
    return Series(
        kind="line",
        x=[int(epoch) for epoch in curve.epochs],
        y=[100 * value if percent else value for value in curve.values.tolist()],
        pen=pen,
        marker="o" if len(curve.epochs) == 1 else "",
        seeds=curve.seeds.tolist(),
        pattern=f"{{y:{'.1f' if percent else '.3g'}}} at epoch {{x}} (n={{seeds}})",
        facets={"regime": place.regime, "backbone": place.backbone},
    )
