"""The figure of the ladders: distances whose order is known, and where the axis puts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

from transfer_lab.reporting.figures.mpl import png
from transfer_lab.reporting.figures.pens import DASHES, PALETTE
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.similarity.climbed import Climbed
from transfer_lab.system.files import write_atomically


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
    content = png(figure(found))
    write_atomically(path, lambda handle: handle.write(content))


def figure(found: Sequence[Climbed]) -> Figure:
    """A panel for each ladder, a line for each source and space."""
    lines = list(dict.fromkeys((one.source, one.space) for one in found))
    pens = {
        line: Pen(PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)])
        for number, line in enumerate(lines)
    }
    ladders: dict[str, list[Climbed]] = {}
    for one in found:
        ladders.setdefault(one.name, []).append(one)
    return Figure(
        panels=tuple(
            Panel(
                name,
                tuple(_line(one, pens[one.source, one.space]) for one in of_ladder),
                x=Axis(names=tuple(map(str, of_ladder[0].rungs)), shared=False),
                y=Axis("kNN accuracy" if name == "wrong labels" else "place on the axis"),
            )
            for name, of_ladder in ladders.items()
        ),
        x=Axis(shared=False),
        y=Axis(shared=False),
        keys=tuple(
            Key("line", f"{source}, {space}", pen.colour, "o", pen.dash)
            for (source, space), pen in pens.items()
        ),
        height=2.1,
    )


def _line(one: Climbed, pen: Pen) -> Series:
    values = np.array(one.values)
    return Series(
        kind="line",
        x=[str(rung) for rung in one.rungs],
        y=values.mean(0).tolist(),
        error=values.std(0, ddof=min(1, len(values) - 1)).tolist(),
        pen=pen,
        marker="o",
        facets={"line": f"{one.source}, {one.space}"},
    )
