"""The charts of the dashboard: plotly figures of the report's numbers."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.figures.style import GREYS, PALETTE
from transfer_lab.reporting.study import Study

if TYPE_CHECKING:
    import pandas as pd

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
CURVES = {
    "train_loss": "training loss",
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
}


Colours = Mapping[str, str]


def colours(experiments: Iterable[Experiment]) -> Colours:
    """A colour for every regime, whatever the filters leave of it; controls are grey."""
    chosen = {name: choice for one in experiments for name, choice in one.regimes.items()}
    controls = [name for name, choice in chosen.items() if regime_entry(choice).control]
    trained = [name for name in chosen if name not in controls]
    pairs = [
        *zip(trained, cycle(PALETTE), strict=False),
        *zip(controls, cycle(GREYS), strict=False),
    ]
    return dict(pairs)


def dots(study: Study, look: Colours) -> go.Figure:
    """Test accuracy and its interval: panels are scenarios, rows regimes, symbols backbones."""
    scenarios, regimes = study.corners, study.regimes
    figure = make_subplots(
        rows=len(scenarios),
        cols=1,
        shared_xaxes=True,
        subplot_titles=[_panel(study, scenario) for scenario in scenarios],
        vertical_spacing=0.18 / len(scenarios),
    )
    step = 0.7 / len(study.backbones)
    for row, scenario in enumerate(scenarios, start=1):
        for number, backbone in enumerate(study.backbones):
            offset = step * (number - (len(study.backbones) - 1) / 2)
            trace = _dots(study, scenario, backbone, offset, [look[r] for r in regimes])
            trace.update(showlegend=row == 1, marker_symbol=_SYMBOLS[number % len(_SYMBOLS)])
            figure.add_trace(trace, row=row, col=1)
    ticks = {"tickvals": list(range(len(regimes))), "ticktext": [*map(_text, regimes)]}
    figure.update_yaxes(range=[len(regimes) - 0.5, -0.5], zeroline=False, **ticks)
    figure.update_xaxes(range=[0, 100])  # the same beside another experiment
    figure.update_xaxes(title_text="test accuracy (%)", row=len(scenarios), col=1)
    return _laid_out(figure, 90 + len(scenarios) * (45 + 24 * len(regimes)))


def _dots(
    study: Study, scenario: str, backbone: str, offset: float, colours: list[str]
) -> go.Scatter:
    found = [study.accuracy(scenario, backbone, regime) for regime in study.regimes]
    known = [(row, interval) for row, interval in enumerate(found) if interval]
    return go.Scatter(
        x=[100 * interval.mean for _, interval in known],
        y=[row + offset for row, _ in known],
        error_x={
            "array": [100 * (interval.half or 0) for _, interval in known],
            "width": 0,
            "thickness": 1.2,
            "color": GREYS[1],
        },
        marker={"color": [colours[row] for row, _ in known], "size": 8},
        customdata=[[_text(study.regimes[row]), interval.n] for row, interval in known],
        hovertemplate="%{customdata[0]}: %{x:.1f} ± %{error_x.array:.1f} %"
        f" (n=%{{customdata[1]}})<extra>{_text(backbone)}</extra>",
        mode="markers",
        name=_text(backbone),
        legendgroup=backbone,
    )


def time_and_accuracy(studies: Mapping[str, Study], look: Colours) -> go.Figure:
    """Mean fit time against mean test accuracy: a panel for each experiment, a dot a place."""
    figure = make_subplots(
        rows=1, cols=len(studies), shared_yaxes=True, subplot_titles=[*map(_text, studies)]
    )
    named: set[str] = set()
    for column, study in enumerate(studies.values(), start=1):
        for regime in study.regimes:
            trace = _time_trace(study, regime)
            trace.update(marker_color=look[regime], showlegend=regime not in named)
            named |= {regime} if trace.x else set()
            figure.add_trace(trace, row=1, col=column)
    figure.update_xaxes(type="log", dtick="D2", title_text="fit time (s)")
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="test accuracy (%)", col=1)
    return _laid_out(figure, 480)


def _time_trace(study: Study, regime: str) -> go.Scatter:
    dots = []
    for scenario in study.scenarios:
        for number, backbone in enumerate(study.backbones):
            found = study.summary(scenario, backbone, regime)
            # A logarithmic axis has no place for what takes no time, as the majority class.
            if found.accuracy and found.seconds and found.seconds.mean > 0:
                place = f"{_text(scenario)}, {_text(backbone)}"
                symbol = _SYMBOLS[number % len(_SYMBOLS)]
                dots.append((found.seconds.mean, 100 * found.accuracy.mean, place, symbol))
    return go.Scatter(
        x=[dot[0] for dot in dots],
        y=[dot[1] for dot in dots],
        customdata=[dot[2] for dot in dots],
        marker={"symbol": [dot[3] for dot in dots], "size": 9},
        hovertemplate="%{customdata}: %{y:.1f} %, %{x:.2f} s" + f"<extra>{_text(regime)}</extra>",
        mode="markers",
        name=_text(regime),
        legendgroup=regime,
    )


def learning_curves(curves: Mapping[str, pd.DataFrame], column: str) -> go.Figure:
    """One line a run, by epoch, where the column was evaluated."""
    figure = go.Figure()
    for name, curve in curves.items():
        known = curve.dropna(subset=[column]) if column in curve else curve.iloc[:0]
        if not known.empty:
            figure.add_trace(
                go.Scatter(
                    x=known["epoch"].tolist(),
                    y=known[column].tolist(),
                    name=_text(name),
                    mode="lines+markers" if len(known) < 30 else "lines",
                )
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=CURVES[column], rangemode="tozero")
    _laid_out(figure, 420 + 20 * len(figure.data))
    below = {"orientation": "v", "yanchor": "top", "y": -0.2}
    return figure.update_layout(legend=below, margin_t=20)


def _panel(study: Study, scenario: str) -> str:
    per_class = study.experiment.scenarios[scenario].per_class
    return f"{_text(scenario)} ({per_class} per class)"


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02 + 20 / height, "x": 0}
    return figure.update_layout(
        height=height, margin={"l": 10, "r": 10, "t": 90, "b": 10}, legend=legend, showlegend=True
    )


def _text(name: object) -> str:
    """A name as text: plotly would take parts of it for markup."""
    return html.escape(str(name), quote=False)
