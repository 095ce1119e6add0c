"""The axis of test scores, by the measure that leads."""

from __future__ import annotations

from transfer_lab.reporting.figures.spec import Axis
from transfer_lab.reporting.measures import Measure


def score_axis(measure: Measure) -> Axis:
    """From nought: 'test accuracy (%)'."""
    return Axis(f"test {measure.heading}", low=0, percent=measure.unit == "%")
