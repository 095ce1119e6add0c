"""Colours, dashes and markers, which regimes and backbones keep from figure to figure."""

from __future__ import annotations

from collections.abc import Iterable

from transfer_lab.reporting.figures.spec import Pen
from transfer_lab.reporting.study import Study

# Okabe and Ito's colours, told apart with every common form of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# For networks, pairs and lines: none of these stands for a regime.
OTHERS = ("#7A5CC0", "#A0673D", "#8A9A2B", "#B0435C", "#4F8A8B", "#6E6E9E")
GREYS = ("#6B7280", "#A3A9B2")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P")


def pens(study: Study) -> dict[str, Pen]:
    """A pen for every regime: neighbours differ in more than colour."""
    trained = study.colours_of or study.trained
    return pens_of(trained, (r for r in study.regimes if study.is_control(r)))


def pens_of(trained: Iterable[str], controls: Iterable[str]) -> dict[str, Pen]:
    """Colours for the trained regimes, greys for the controls."""
    found = {regime: numbered(number) for number, regime in enumerate(trained)}
    for number, regime in enumerate(controls):
        found[regime] = Pen(GREYS[number % len(GREYS)], DASHES[1 + number % (len(DASHES) - 1)])
    return found


def numbered(number: int) -> Pen:
    """The pen of that number, from 0."""
    return Pen(PALETTE[number % len(PALETTE)], DASHES[number % len(DASHES)])


def marker(study: Study, backbone: str) -> str:
    """The marker of a backbone."""
    return MARKERS[study.backbones.index(backbone) % len(MARKERS)]


def panel_title(study: Study, scenario: str) -> str:
    """What stands over the panel of a scenario."""
    return f"{scenario} ({study.experiment.scenarios[scenario].per_class} per class)"
