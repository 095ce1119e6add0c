"""The figure of accuracy against time: which arms no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.accuracies import one_a_pass
from transfer_lab.reporting.blocks import Picture
from transfer_lab.reporting.costs import cold
from transfer_lab.reporting.figures.charts import (
    NEUTRAL,
    SYMBOLS,
    Chart,
    Key,
    Panel,
    plain,
    rounded,
)
from transfer_lab.reporting.figures.style import (
    Dots,
    Pen,
    legend_above,
    marker,
    panel_title,
    panels,
    pens,
)
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import count, percent, seconds, timed
from transfer_lab.stats.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

AXIS = "seconds a target task takes, cold"
CAPTION = (
    "Test accuracy against the time that a target task takes: decoding, extraction of frozen "
    "features, search for options if any, fit and evaluation, without pretraining; means over "
    "seeds, 95 % intervals. The stepped line joins the arms that no other beats in both; the "
    "others are grey. Numbers stand for regimes."
)


DOMINATED = "#B6BCC5"
_STEPS = (
    (1, 2, 5),
    *(tuple(n / parts for n in range(parts, 10 * parts)) for parts in (1, 2, 5, 10)),
)
"""What a power of ten is multiplied by."""


class Arm(NamedTuple):
    """What a regime on a backbone gives, in percent, and what it takes, in seconds."""

    accuracy: Interval
    seconds: Interval


def picture(study: Study) -> Picture | None:
    """The figure, where anything was measured."""
    found = arms(study)
    if not found:
        return None
    alt = "Scatter plot of test accuracy against seconds, one panel for each scenario"
    return Picture(
        *("time-accuracy.png", CAPTION, alt),
        draw=partial(draw, study, found),
        chart=partial(chart, study, found),
    )


def arms(study: Study) -> dict[Place, Arm]:
    """Accuracy and cold time of every trained place that has both."""
    times: dict[Place, Interval] = {}
    totals = one_a_pass(study.done.assign(cold=cold(study.done)))
    for names, rows in totals.groupby(["scenario", "backbone", "regime"], sort=False):
        if spent := interval([s for s in rows["cold"].tolist() if s > 0]):
            times[Place(*names)] = spent
    return {
        place: Arm(accuracy, spent)
        for place, spent in times.items()
        if not study.is_control(place.regime) and (accuracy := study.accuracy(*place))
    }


def front(found: Mapping[Place, Arm], scenario: str) -> list[Place]:
    """The arms of a scenario that no other beats in both, the fastest first."""
    here = [place for place in found if place.scenario == scenario]
    here.sort(key=lambda place: (found[place].seconds.mean, -found[place].accuracy.mean))
    best, kept = -1.0, []
    for place in here:
        if found[place].accuracy.mean > best:
            best = found[place].accuracy.mean
            kept.append(place)
    return kept


def draw(study: Study, found: Mapping[Place, Arm]) -> Figure:
    """Panels are scenarios, colours and numbers regimes, markers backbones."""
    from matplotlib.ticker import NullLocator

    handles = _handles(study, found)
    figure, axes = panels(study, 2.2, 0.3, sharex=True, sharey=True)
    for panel, scenario in zip(axes, study.corners, strict=True):
        _panel(panel, study, found, scenario)
    axes[0].set_xscale("log")
    axes[0].set_xlim(*(10**end for end in _decades(found)))
    ticks = _ticks(found)
    axes[0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].set_ylim(0, _top(found))
    figure.supxlabel(AXIS, fontsize=9)
    figure.supylabel("test accuracy (%)", fontsize=9)
    legend_above(figure, handles)
    return figure


def _panel(panel: Axes, study: Study, found: Mapping[Place, Arm], scenario: str) -> None:
    look = pens(study)
    panel.tick_params(axis="x", labelbottom=True)
    kept = front(found, scenario)
    edge = [found[place] for place in kept]
    panel.step(
        [arm.seconds.mean for arm in edge],
        [100 * arm.accuracy.mean for arm in edge],
        where="post", color="#9CA3AF", linewidth=1,
    )  # fmt: skip
    dots = {backbone: Dots(marker(study, backbone)) for backbone in study.backbones}
    for place, arm in found.items():
        if place.scenario == scenario:
            colour = look[place.regime].colour if place in kept else DOMINATED
            half = 100 * (arm.accuracy.half or 0)
            at = (arm.seconds.mean, 100 * arm.accuracy.mean)
            dots[place.backbone].add(*at, colour, along=half)
            panel.annotate(
                str(_number(study, place.regime)),
                at,
                color="#111827" if place in kept else "#9CA3AF",
                xytext=(3.5, 2.5), textcoords="offset points", fontsize=6.5,
            )  # fmt: skip
    for drawn in dots.values():
        drawn.draw(panel, width=1)


def _handles(study: Study, found: Mapping[Place, Arm]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    def mark(shape: str, colour: str, name: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=shape, color=colour, label=name)

    regimes = _drawn(study, found)
    handles = [
        mark("o", pen.colour, f"{_number(study, regime)} {regime}")
        for regime, pen in regimes.items()
    ]
    if len(study.backbones) > 1:
        handles += [mark(marker(study, b), "#374151", b) for b in study.backbones]
    return handles


def _drawn(study: Study, found: Mapping[Place, Arm]) -> dict[str, Pen]:
    shown = {place.regime for place in found}
    return {regime: pen for regime, pen in pens(study).items() if regime in shown}


def _number(study: Study, regime: str) -> int:
    """By which a regime is told from the others without seeing colours."""
    return study.regimes.index(regime) + 1


def _top(found: Mapping[Place, Arm]) -> float:
    ends = (100 * (arm.accuracy.mean + (arm.accuracy.half or 0)) for arm in found.values())
    return min(100.0, 1.05 * max(ends))


def _decades(found: Mapping[Place, Arm]) -> list[float]:
    """The range of a logarithmic axis on which no point stands at the edge."""
    ends = [math.log10(arm.seconds.mean) for arm in found.values()]
    margin = 0.06 * (max(ends) - min(ends)) + 0.05
    return rounded([min(ends) - margin, max(ends) + margin])


def _ticks(found: Mapping[Place, Arm]) -> list[float]:
    """Powers of ten where there are many, else ones, twos and fives, or the coarsest of finer steps
    that show two numbers."""
    low, high = _decades(found)
    powers = range(math.floor(low), math.ceil(high))
    for steps in _STEPS if high - low < 2.5 else ((1,),):
        candidates = (float(f"{step}e{power}") for power in powers for step in steps)
        ticks = [tick for tick in candidates if low <= math.log10(tick) <= high]
        if len(ticks) > 1:
            break
    return ticks


def chart(study: Study, found: Mapping[Place, Arm]) -> Chart:
    """The same, with the intervals of both."""
    keys = [
        Key("regime", name, pen.colour, symbol="circle", number=_number(study, name))
        for name, pen in _drawn(study, found).items()
    ]
    if len(study.backbones) > 1:
        keys += [
            Key("backbone", name, symbol=SYMBOLS[marker(study, name)]) for name in study.backbones
        ]
    ticks = _ticks(found)
    seconds_axis = {
        "title": {"text": AXIS},
        "type": "log",
        "range": _decades(found),
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
    layout = {
        "xaxis": seconds_axis,
        "yaxis": {"title": {"text": "test accuracy (%)"}, "range": [0, _top(found)]},
    }
    chart_panels = (
        Panel(
            panel_title(study, scenario),
            (
                _edge([found[place] for place in front(found, scenario)]),
                *(_point(study, p, found) for p in found if p.scenario == scenario),
            ),
            layout,
        )
        for scenario in study.corners
    )
    return Chart(tuple(chart_panels), tuple(keys))


def _edge(arms: list[Arm]) -> dict:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(arm.seconds.mean for arm in arms),
        "y": rounded(100 * arm.accuracy.mean for arm in arms),
        "line": {"shape": "hv", "color": NEUTRAL, "width": 1.5},
        "hoverinfo": "skip",
    }


def _point(study: Study, place: Place, found: Mapping[Place, Arm]) -> dict:
    arm, kept = found[place], place in front(found, place.scenario)
    planned = study.summary(*place).planned
    text = (
        f"<b>{plain(place.regime)}</b><br>{plain(place.backbone)}<br>"
        f"{percent(arm.accuracy)} % {count(arm.accuracy.n, planned)}<br>"
        f"{seconds(arm.seconds)} s {timed(arm.seconds.n, arm.accuracy.n, planned)}"
    )
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": rounded([arm.seconds.mean]),
        "y": rounded([100 * arm.accuracy.mean]),
        "error_y": {
            "type": "data",
            "array": rounded([100 * (arm.accuracy.half or 0)]),
            "width": 0,
            "thickness": 1.2,
        },
        "marker": {
            "symbol": SYMBOLS[marker(study, place.backbone)],
            "size": 10,
            "color": pens(study)[place.regime].colour if kept else DOMINATED,
        },
        "text": [str(_number(study, place.regime))],
        "textposition": "top right",
        "textfont": {"size": 11},
        "hovertext": [text],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"regime": place.regime, "backbone": place.backbone},
    }
