"""The figure of accuracy against time: which arms no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, get_args

from transfer_lab.reporting.accuracies import one_a_pass
from transfer_lab.reporting.blocks import Picture
from transfer_lab.reporting.costs import cold
from transfer_lab.reporting.figures.pens import marker, panel_title, pens
from transfer_lab.reporting.figures.scores import score_axis
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, LabelPlace, Panel, Pen, Series
from transfer_lab.reporting.measures import Measure
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import count, seconds, timed
from transfer_lab.stats.intervals import Interval

AXIS = "seconds a target task takes, cold"
CAPTION = (
    "Test {measure} against the seconds of a target, pretraining apart; the stepped line joins the "
    "arms that no other beats in both, the others are grey."
)


_ASIDE, _ABOVE, _WIDE, _HIGH = 0.025, 0.035, 0.035, 0.055
"""Of a panel's width and height: from a dot to its number, and what that takes."""
DOMINATED, EDGE = Pen("#B6BCC5"), Pen("#9CA3AF")
_STEPS = (
    (1, 2, 5),
    *(tuple(n / parts for n in range(parts, 10 * parts)) for parts in (1, 2, 5, 10)),
)
"""What a power of ten is multiplied by."""


class Arm(NamedTuple):
    """What a regime on a backbone gives, its score, and what it takes, in seconds."""

    accuracy: Interval
    seconds: Interval


def picture(study: Study) -> Picture | None:
    """The figure, where anything was measured."""
    found = arms(study)
    if not found:
        return None
    alt = f"Scatter plot of test {study.measure.title} against seconds, one panel for each scenario"
    return Picture(
        "time-accuracy.png", CAPTION.format(measure=study.measure.title), alt, figure(study, found)
    )


def arms(study: Study) -> dict[Place, Arm]:
    """Accuracy and cold time of every place that may win and has both."""
    times: dict[Place, Interval] = {}
    totals = one_a_pass(study.done.assign(cold=cold(study.done)))
    for names, rows in totals.groupby(["scenario", "backbone", "regime"], sort=False):
        if spent := interval([s for s in rows["cold"].tolist() if s > 0]):
            times[Place(*names)] = spent
    return {
        place: Arm(accuracy, spent)
        for place, spent in times.items()
        if place.regime in study.contenders(place.scenario, place.backbone)
        and (accuracy := study.accuracy(*place))
    }


def front(found: Mapping[Place, Arm], scenario: str) -> list[Place]:
    """The arms of a scenario that no other beats in both, the fastest first."""
    here = [place for place in found if place.scenario == scenario]
    here.sort(key=lambda place: (found[place].seconds.mean, -found[place].accuracy.mean))
    best, kept = -math.inf, []
    for place in here:
        if found[place].accuracy.mean > best:
            best = found[place].accuracy.mean
            kept.append(place)
    return kept


def figure(study: Study, found: Mapping[Place, Arm]) -> Figure:
    """Panels are scenarios, colours and numbers regimes, markers backbones."""
    shown = {place.regime for place in found}
    keys = [
        Key("regime", regime, pen.colour, "o", number=_number(study, regime))
        for regime, pen in pens(study).items()
        if regime in shown
    ]
    if len(study.backbones) > 1:
        keys += [Key("backbone", name, marker=marker(study, name)) for name in study.backbones]
    low, high = (10**end for end in _decades(found))
    labels = {s: _labels(study, found, s) for s in study.scenarios}
    measure = study.measure
    ends = (
        measure.shown(arm.accuracy.mean) + measure.scale * (arm.accuracy.half or 0)
        for arm in found.values()
    )
    most = 1.05 * max(ends)
    return Figure(
        panels=tuple(
            Panel(
                panel_title(study, scenario),
                (
                    _edge(measure, [found[place] for place in front(found, scenario)]),
                    *(
                        _point(study, p, found, labels[scenario].get(p))
                        for p in found
                        if p.scenario == scenario
                    ),
                ),
            )
            for scenario in study.scenarios
        ),
        x=Axis(AXIS, low, high, log=True, ticks=_ticks(found)),
        y=replace(score_axis(measure), high=min(100.0, most) if measure.unit == "%" else most),
        keys=tuple(keys),
        height=2.2,
    )


def _edge(measure: Measure, arms: list[Arm]) -> Series:
    return Series(
        kind="step",
        x=[arm.seconds.mean for arm in arms],
        y=[measure.shown(arm.accuracy.mean) for arm in arms],
        pen=EDGE,
    )


def _labels(study: Study, found: Mapping[Place, Arm], scenario: str) -> dict[Place, LabelPlace]:
    """Where the numbers of the arms on the line stand so that they cover no other and no dot of
    it; those that would, and those of arms off the line, are left out."""
    on_line = front(found, scenario)
    low, high = _decades(found)

    def at(place: Place) -> tuple[float, float]:
        arm = found[place]
        return (math.log10(arm.seconds.mean) - low) / (high - low), arm.accuracy.mean

    taken = [at(place) for place in on_line]
    chosen: dict[Place, LabelPlace] = {}
    for place in on_line:
        x, y = at(place)
        for side in get_args(LabelPlace):
            spot = (
                x + (_ASIDE if side.endswith("right") else -_ASIDE),
                y + (_ABOVE if side.startswith("top") else -_ABOVE),
            )
            others = [other for other in taken if other != (x, y)]
            if not any(_covers(spot, other) for other in others):
                chosen[place] = side
                taken.append(spot)
                break
    return chosen


def _covers(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] - other[0]) < _WIDE and abs(one[1] - other[1]) < _HIGH


def _point(
    study: Study, place: Place, found: Mapping[Place, Arm], label: LabelPlace | None
) -> Series:
    arm, kept = found[place], place in front(found, place.scenario)
    planned = study.summary(*place).planned
    return Series(
        kind="point",
        x=[arm.seconds.mean],
        y=[study.measure.shown(arm.accuracy.mean)],
        error=[study.measure.scale * (arm.accuracy.half or 0)],
        pen=pens(study)[place.regime] if kept else DOMINATED,
        marker=marker(study, place.backbone),
        text=[
            (
                *(place.regime, place.backbone),
                f"{study.measure.text(arm.accuracy)} {count(arm.accuracy.n, planned)}",
                f"{seconds(arm.seconds)} s {timed(arm.seconds.n, arm.accuracy.n, planned)}",
            )
        ],
        label=str(_number(study, place.regime)) if label else "",
        label_at=label or "top right",
        facets={"regime": place.regime, "backbone": place.backbone},
    )


def _number(study: Study, regime: str) -> int:
    """By which a regime is told from the others without seeing colours."""
    return study.regimes.index(regime) + 1


def _decades(found: Mapping[Place, Arm]) -> tuple[float, float]:
    """The powers of ten that a logarithmic axis spans if no point stands at its edge."""
    ends = [math.log10(arm.seconds.mean) for arm in found.values()]
    margin = 0.06 * (max(ends) - min(ends)) + 0.05
    low, high = (float(f"{end:.4g}") for end in (min(ends) - margin, max(ends) + margin))
    return low, high


def _ticks(found: Mapping[Place, Arm]) -> tuple[float, ...]:
    """Powers of ten where there are many, else ones, twos and fives, or the coarsest of finer steps
    that show two numbers."""
    low, high = _decades(found)
    powers = range(math.floor(low), math.ceil(high))
    for steps in _STEPS if high - low < 2.5 else ((1,),):
        candidates = (float(f"{step}e{power}") for power in powers for step in steps)
        ticks = tuple(tick for tick in candidates if low <= math.log10(tick) <= high)
        if len(ticks) > 1:
            break
    return ticks
