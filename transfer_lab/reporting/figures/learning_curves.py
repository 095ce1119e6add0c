"""The figure of accuracy against the number of images: a line for each regime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transfer_lab.reporting.figures.pens import pens
from transfer_lab.reporting.figures.scores import score_axis
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Series
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import accuracy_text

LABEL = "labelled images per class"


class SizeSweep(NamedTuple):
    """A source, a target and a backbone, and the scenarios of each number of images per class."""

    source: str
    target: str
    similarity: str
    backbone: str
    scenarios: dict[float, str]

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"{self.source} → {self.target} ({self.similarity}), {self.backbone}"


def figure(study: Study, panels: Sequence[SizeSweep]) -> Figure:
    """A panel for each source, target and backbone."""
    drawn = [(panel, tuple(_lines(study, panel))) for panel in panels]
    shown = {series.facets["regime"] for _, lines in drawn for series in lines}
    return Figure(
        panels=tuple(
            Panel(
                panel.title,
                lines,
                x=Axis(LABEL, log=True, ticks=tuple(sorted(panel.scenarios)), shared=False),
            )
            for panel, lines in drawn
        ),
        x=Axis(LABEL, shared=False),
        y=score_axis(study.measure),
        keys=tuple(
            Key("regime", regime, pen.colour, dash=pen.dash)
            for regime, pen in pens(study).items()
            if regime in shown
        ),
        abreast=len(study.regimes),
        height=2.6,
    )


def _lines(study: Study, panel: SizeSweep) -> Iterator[Series]:
    for number, (regime, pen) in enumerate(pens(study).items()):
        found = {
            n: summary
            for n, scenario in sorted(panel.scenarios.items())
            if (summary := study.summary(scenario, panel.backbone, regime)).accuracy
        }
        if found:
            yield Series(
                kind="line",
                x=list(found),
                y=[study.measure.shown(summary.accuracy.mean) for summary in found.values()],
                error=[
                    study.measure.scale * (summary.accuracy.half or 0) for summary in found.values()
                ],
                pen=pen,
                marker="o",
                text=[
                    (regime, f"{n:g} per class", accuracy_text(summary, unit=True))
                    for n, summary in found.items()
                ],
                beside=number,
                facets={"regime": regime, "backbone": panel.backbone},
            )
