"""The figure of accuracy against the number of transferred stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from transfer_lab.reporting.figures.pens import OTHERS, panel_title
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import accuracy_text, percent

LINES = ("AnB", "AnB+", "BnB", "BnB+")
_TEST, _TRAINING = "test", "training"
_DASHES = {_TEST: "-", _TRAINING: ":"}


class StageLine(NamedTuple):
    """One of the four lines in a scenario on a backbone: the regime at each number of stages."""

    name: str
    scenario: str
    backbone: str
    regimes: Mapping[int, str]

    def place(self, n: int) -> Place:
        """Where the runs with n transferred stages stand."""
        return Place(self.scenario, self.backbone, self.regimes[n])


class StagePanel(NamedTuple):
    """A scenario on a backbone, and all lines that are compared in it."""

    scenario: str
    backbone: str
    lines: tuple[StageLine, ...]


def figure(study: Study, panels: Sequence[StagePanel]) -> Figure:
    """A panel for each scenario and backbone; colours are the lines, dotted is training."""
    pens = dict(zip(LINES, OTHERS, strict=False))
    shown = {line.name for panel in panels for line in panel.lines}
    depths = sorted({n for panel in panels for line in panel.lines for n in line.regimes})
    several = len({panel.backbone for panel in panels}) > 1
    return Figure(
        panels=tuple(
            Panel(
                panel_title(study, panel.scenario) + (f", {panel.backbone}" if several else ""),
                tuple(
                    series
                    for line in panel.lines
                    for series in _series(study, line, pens[line.name])
                ),
            )
            for panel in panels
        ),
        x=Axis("transferred stages n", names=tuple(map(str, depths))),
        y=Axis("accuracy (%)", low=0, percent=True),
        keys=(
            *(Key("line", name, pens[name], "o") for name in LINES if name in shown),
            *(Key("accuracy", what, dash=dash) for what, dash in _DASHES.items()),
        ),
        key_columns=3,
        height=2.6,
    )


def _series(study: Study, line: StageLine, colour: str) -> Iterator[Series]:
    tested = {n: study.summary(*line.place(n)) for n in line.regimes}
    yield _drawn(
        line,
        _TEST,
        {n: 100 * found.accuracy.mean for n, found in tested.items()},
        Pen(colour, _DASHES[_TEST]),
        [accuracy_text(found, unit=True) for found in tested.values()],
        error=[100 * (found.accuracy.half or 0) for found in tested.values()],
        marker="o",
    )
    fitted = {n: known for n in line.regimes if (known := study.fitted(line.place(n)))}
    if fitted:
        means = {n: 100 * known.mean for n, known in fitted.items()}
        told = [f"{percent(known)} % in training" for known in fitted.values()]
        yield _drawn(line, _TRAINING, means, Pen(colour, _DASHES[_TRAINING]), told)


def _drawn(
    line: StageLine,
    what: str,
    means: Mapping[int, float],
    pen: Pen,
    told: Sequence[str],
    **more: object,
) -> Series:
    return Series(
        kind="line",
        x=[str(n) for n in means],
        y=[*means.values()],
        pen=pen,
        text=[(f"{line.name}, n = {n}", text) for n, text in zip(means, told, strict=True)],
        facets={"backbone": line.backbone, "line": line.name, "accuracy": what},
        **more,
    )
