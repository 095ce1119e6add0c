"""The figure of accuracy against depth: a line for each backbone and question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from transfer_lab.reporting.figures.pens import OTHERS, marker, panel_title
from transfer_lab.reporting.figures.scores import score_axis
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import accuracy_text

_DASHES = ("-", ":")


class DepthCurve(NamedTuple):
    """What one question about depth found in a scenario on a backbone: the measured regime at each
    depth in stages, where infinity stands for all."""

    scenario: str
    backbone: str
    what: str
    regimes: Mapping[float, str]


def depth_name(at: float) -> str:
    """How a depth is called: a number of stages, or all."""
    return "all" if math.isinf(at) else f"{at:g}"


def figure(study: Study, curves: Sequence[DepthCurve]) -> Figure:
    """Panels are scenarios, colours and markers backbones, dashes the two questions."""
    shown = {curve.backbone for curve in curves}
    colours = {
        name: OTHERS[number % len(OTHERS)]
        for number, name in enumerate(study.backbones)
        if name in shown
    }
    dashes = dict(zip(dict.fromkeys(curve.what for curve in curves), _DASHES, strict=False))
    depths = sorted({at for curve in curves for at in curve.regimes})
    return Figure(
        panels=tuple(
            Panel(
                panel_title(study, scenario),
                tuple(
                    _line(study, curve, Pen(colours[curve.backbone], dashes[curve.what]))
                    for curve in curves
                    if curve.scenario == scenario
                ),
            )
            for scenario in study.scenarios
        ),
        x=Axis("stages", names=tuple(map(depth_name, depths))),
        y=score_axis(study.measure),
        keys=(
            *(Key("backbone", b, colour, marker(study, b)) for b, colour in colours.items()),
            *(Key("question", what, dash=dash) for what, dash in dashes.items()),
        ),
        key_columns=3,
    )


def _line(study: Study, curve: DepthCurve, pen: Pen) -> Series:
    found = {
        at: study.summary(curve.scenario, curve.backbone, regime)
        for at, regime in curve.regimes.items()
    }
    told = [accuracy_text(summary, unit=True) for summary in found.values()]
    return Series(
        kind="line",
        x=[depth_name(at) for at in found],
        y=[study.measure.shown(summary.accuracy.mean) for summary in found.values()],
        error=[study.measure.scale * (summary.accuracy.half or 0) for summary in found.values()],
        pen=pen,
        marker=marker(study, curve.backbone),
        text=[
            (r, curve.backbone, line) for r, line in zip(curve.regimes.values(), told, strict=True)
        ],
        facets={"backbone": curve.backbone, "question": curve.what},
    )
