"""The figures that the dashboard alone shows, and the report's in its colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.figures import accuracy
from transfer_lab.reporting.figures.pens import marker, numbered, pens_of
from transfer_lab.reporting.figures.plotly import subplots
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import percent, seconds

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

CURVES = {
    "train_loss": "training loss",
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
}
_DOTTED = 30
"""Epochs below which each is a dot on the line."""

Look = Mapping[str, Pen]


def look_of(experiments: Iterable[Experiment]) -> Look:
    """A pen for every regime, whatever the filters leave of it; controls are grey."""
    chosen = {name: regime for one in experiments for name, regime in one.regimes.items()}
    controls = [name for name, regime in chosen.items() if regime_entry(regime).control]
    return pens_of([name for name in chosen if name not in controls], controls)


def accuracies(study: Study, look: Look) -> go.Figure:
    """The report's figure of accuracies, of the same range beside another experiment."""
    height = 90 + len(study.scenarios) * (45 + 24 * len(study.regimes))
    drawn = subplots(accuracy.figure(study, look), columns=1, height=height)
    return drawn.update_xaxes(range=[0, 100])


def time_and_accuracy(studies: Mapping[str, Study], look: Look) -> go.Figure:
    """Mean fit time against mean test accuracy: a panel for each experiment, a dot a place."""
    panels = tuple(Panel(name, tuple(_dots(study, look))) for name, study in studies.items())
    shown = {series.facets["regime"] for panel in panels for series in panel.series}
    figure = Figure(
        panels=panels,
        x=Axis("fit time (s)", log=True),
        y=Axis("test accuracy (%)", low=0, percent=True),
        keys=tuple(Key("regime", r, pen.colour, "o") for r, pen in look.items() if r in shown),
    )
    return subplots(figure, columns=len(panels), height=480)


def _dots(study: Study, look: Look) -> Iterator[Series]:
    for regime in study.regimes:
        for scenario in study.scenarios:
            for backbone in study.backbones:
                found = study.summary(scenario, backbone, regime)
                # A logarithmic axis has no place for what takes no time, as the majority class.
                if found.accuracy and found.seconds and found.seconds.mean > 0:
                    told = f"{percent(found.accuracy)} %, {seconds(found.seconds)} s"
                    yield Series(
                        kind="point",
                        x=[found.seconds.mean],
                        y=[100 * found.accuracy.mean],
                        pen=look[regime],
                        marker=marker(study, backbone),
                        text=[(regime, f"{scenario}, {backbone}", told)],
                        facets={"regime": regime},
                    )


def learning_curves(curves: Mapping[str, pd.DataFrame], column: str) -> go.Figure:
    """One line a run, by epoch, where the column was evaluated."""
    known = {
        name: curve.dropna(subset=[column]) for name, curve in curves.items() if column in curve
    }
    lines = [
        Series(
            kind="line",
            x=curve["epoch"].tolist(),
            y=curve[column].tolist(),
            pen=numbered(number),
            marker="o" if len(curve) < _DOTTED else "",
            pattern="{y:.3g} at epoch {x}",
            facets={"run": name},
        )
        for number, (name, curve) in enumerate(known.items())
        if not curve.empty
    ]
    keys = tuple(
        Key("run", line.facets["run"], line.pen.colour, dash=line.pen.dash) for line in lines
    )
    axes = {"x": Axis("epoch", integers=True), "y": Axis(CURVES[column], low=0)}
    figure = Figure(panels=(Panel("", tuple(lines)),), keys=keys, **axes)
    below = {"orientation": "v", "yanchor": "top", "y": -0.2}
    drawn = subplots(figure, columns=1, height=420 + 20 * len(lines))
    return drawn.update_layout(legend=below, margin_t=20)
