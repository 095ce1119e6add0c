"""The figure of accuracies: a dot and an interval for each regime and backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.reporting.figures.charts import (
    HOVER_TEXT,
    SYMBOLS,
    Chart,
    Key,
    Panel,
    plain,
    rounded,
)
from transfer_lab.reporting.figures.style import (
    Dots,
    legend_above,
    marker,
    panel_title,
    panels,
    pens,
)
from transfer_lab.reporting.ranking import prescribed
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(study: Study) -> Figure:
    """Panels are scenarios, rows are regimes, markers are backbones."""
    height = 0.7 + 0.105 * len(study.regimes) * (1 + len(study.backbones))
    figure, axes = panels(study, height, 0.2, sharex=True, sharey=True)
    for panel, scenario in zip(axes, study.corners, strict=True):
        _panel(panel, study, scenario)
    first = axes[0]
    first.set_yticks(range(len(study.regimes)), study.regimes)
    first.set_ylim(len(study.regimes) - 0.5, -0.5)
    first.set_xlim(0, min(100.0, max(1.0, first.get_xlim()[1])))
    figure.supxlabel("test accuracy (%)", fontsize=9)
    if len(study.backbones) > 1:
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
        aside = step * (number - (len(study.backbones) - 1) / 2)
        dots = Dots(marker(study, backbone))
        for row, regime in enumerate(study.regimes):
            if found := study.accuracy(scenario, backbone, regime):
                half = 100 * (found.half or 0)
                dots.add(100 * found.mean, row + aside, look[regime].colour, across=half)
        dots.draw(panel, width=1.4)


def _legend(figure: Figure, study: Study) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=marker(study, name), color="#374151", label=name)
        for name in study.backbones
    ]
    legend_above(figure, handles, most=3)


def chart(study: Study) -> Chart:
    """The same, with a stroke for every seed."""
    drawn = {
        place: found
        for scenario in study.corners
        for backbone in study.backbones
        for regime in study.regimes
        if (found := study.accuracy(*(place := Place(scenario, backbone, regime))))
    }
    ends = [100 * (found.mean + (found.half or 0)) for found in drawn.values()]
    right = min(100.0, 1.05 * max(ends, default=1.0))
    backbones = study.backbones if len(study.backbones) > 1 else ()
    keys = (Key("backbone", name, symbol=SYMBOLS[marker(study, name)]) for name in backbones)
    chart_panels = (
        _chart_panel(study, scenario, [p for p in drawn if p.scenario == scenario], right)
        for scenario in study.corners
    )
    return Chart(tuple(chart_panels), tuple(keys))


def _chart_panel(study: Study, scenario: str, places: list[Place], right: float) -> Panel:
    traces = []
    for place in places:
        traces += [_seeds(study, place), _mean(study, place)]
    here = {place.regime for place in places}
    layout = {
        "scattermode": "group",
        "scattergap": 0.3,
        "xaxis": {"title": {"text": "test accuracy (%)"}, "range": [0, right]},
        "yaxis": {"type": "category", "showgrid": False},
    }
    return Panel(
        panel_title(study, scenario),
        tuple(traces),
        layout,
        rows=tuple(plain(regime) for regime in study.regimes if regime in here),
        shaded=tuple(plain(regime) for regime in study.of_kind(prescribed(study, scenario))),
    )


def _mean(study: Study, place: Place) -> dict:
    summary = study.summary(*place)
    found = summary.accuracy
    text = (
        f"<b>{plain(place.regime)}</b><br>{plain(place.backbone)}<br>"
        f"{percent(found)} % {count(found.n, summary.planned)}"
    )
    return _row(study, place) | {
        "x": rounded([100 * found.mean]),
        "y": [plain(place.regime)],
        "error_x": {"type": "data", "array": rounded([100 * (found.half or 0)]), "width": 3},
        "text": [text],
        "marker": {
            "symbol": SYMBOLS[marker(study, place.backbone)],
            "size": 10,
            "color": pens(study)[place.regime].colour,
        },
        "meta": {"regime": place.regime, "backbone": place.backbone},
    }


def _seeds(study: Study, place: Place) -> dict:
    scores = study.by_seed(*place)
    name = plain(place.regime)
    return _row(study, place) | {
        "x": rounded(100 * score for score in scores.values()),
        "y": [name] * len(scores),
        "text": [
            f"<b>{name}</b><br>{plain(place.backbone)}<br>{100 * score:.1f} %, seed {seed}"
            for seed, score in scores.items()
        ],
        "marker": {
            "symbol": "line-ns-open",
            "size": 8,
            "opacity": 0.75,
            "color": pens(study)[place.regime].colour,
        },
        "meta": {
            "regime": place.regime,
            "backbone": place.backbone,
            "seed": [str(seed) for seed in scores],
        },
    }


def _row(study: Study, place: Place) -> dict:
    """What makes a trace stand in its regime's row, beside those of the other backbones."""
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": f"backbone {study.backbones.index(place.backbone)}",
        "hovertemplate": HOVER_TEXT,
    }
