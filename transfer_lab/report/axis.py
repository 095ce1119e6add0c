"""The figure of the similarity axis: a dot and an interval for each pair, a row for each space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from transfer_lab.report.style import MARKERS, PALETTE, WIDTH
from transfer_lab.similarity.axis import CUT, Placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(spaces: Mapping[str, Sequence[Placed]]) -> Figure:
    """Rows are feature spaces; colour is the pair, the marker what its author calls it."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(pair[:3] for pairs in spaces.values() for pair in pairs))
    figure = Figure(figsize=(WIDTH, 0.9 + (0.25 + 0.13 * len(names)) * len(spaces)))
    panel = figure.subplots()
    panel.axvline(CUT, color="#6B7280", linestyle="--", linewidth=1)
    for end in (0, 1):
        panel.axvline(end, color="#374151", linewidth=1)
    for row, pairs in enumerate(spaces.values()):
        for pair in pairs:
            number = names.index(pair[:3])
            y = row + 0.7 * ((number + 0.5) / len(names) - 0.5)
            panel.errorbar(
                pair.value, y, xerr=[[pair.value - pair.low], [pair.high - pair.value]],
                fmt=MARKERS[pair.word == "dissimilar"], color=PALETTE[number % len(PALETTE)],
                markersize=5, elinewidth=1.4, markeredgewidth=0,
            )  # fmt: skip
    panel.set_yticks(range(len(spaces)), list(spaces))
    panel.set_ylim(len(spaces) - 0.5, -0.5)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("0: the source itself — 1: the far domain")
    _legend(figure, names)
    return figure


def _legend(figure: Figure, names: Sequence[tuple[str, str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=MARKERS[word == "dissimilar"],
            color=PALETTE[number % len(PALETTE)], label=f"{source} → {target} ({word})",
        )
        for number, (source, target, word) in enumerate(names)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
