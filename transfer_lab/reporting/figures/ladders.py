"""The figure of the ladders: distances whose order is known, and where the axis puts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tabulate import tabulate

from transfer_lab.similarity.climbed import Climbed
from transfer_lab.system.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def summary(found: Sequence[Climbed]) -> str:
    """Spearman's rank correlation of every ladder, for a terminal."""
    names = tuple(dict.fromkeys(one.name for one in found))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        known = lines.setdefault((one.source, one.space), {})
        known[one.name] = f"{one.rank_correlation:+.2f}"
    rows = [[*key, *(known.get(name, "–") for name in names)] for key, known in lines.items()]
    table = tabulate(rows, headers=("source", "features", *names), disable_numparse=True)
    return f"Rank correlation with the known order (wrong labels: of kNN accuracy, -1)\n{table}"


def write_picture(found: Sequence[Climbed], path: Path) -> None:
    """A PNG with a panel for each ladder and a line for each source and space."""
    from transfer_lab.reporting.figures.style import png

    content = png(lambda: _draw(found))
    write_atomically(path, lambda handle: handle.write(content))


def _draw(found: Sequence[Climbed]) -> Figure:
    from matplotlib.figure import Figure

    from transfer_lab.reporting.figures.style import WIDTH

    names = tuple(dict.fromkeys(one.name for one in found))
    rows = -(-len(names) // 2)
    figure = Figure(figsize=(WIDTH, 2.1 * rows + 0.2 * len(_lines(found)) + 0.3))
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for panel in grid[len(names) :]:
        panel.remove()
    for panel, name in zip(grid, names, strict=False):
        _panel(panel, name, [one for one in found if one.name == name], _lines(found))
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center")
    return figure


def _panel(panel: Axes, name: str, ladders: Sequence[Climbed], lines: Sequence) -> None:
    from transfer_lab.reporting.figures.style import DASHES, PALETTE

    for one in ladders:
        number = lines.index((one.source, one.space))
        values = np.array(one.values)
        panel.errorbar(
            range(len(one.rungs)), values.mean(0), yerr=values.std(0, ddof=min(1, len(values) - 1)),
            color=PALETTE[number % len(PALETTE)], linestyle=DASHES[number // len(PALETTE) % 4],
            linewidth=1.2, elinewidth=1, marker="o", markersize=3,
            label=f"{one.source}, {one.space}",
        )  # fmt: skip
    panel.set_xticks(range(len(ladders[0].rungs)), ladders[0].rungs)
    panel.set_title(name)
    panel.set_ylabel("kNN accuracy" if name == "wrong labels" else "place on the axis")


def _lines(found: Sequence[Climbed]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.source, one.space) for one in found))
