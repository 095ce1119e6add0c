"""The figure of the similarity axis: a dot and an interval for each pair, a row for each space."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from transfer_lab.reporting.figures.pens import MARKERS, OTHERS
from transfer_lab.reporting.figures.spec import Axis, Figure, Key, Panel, Pen, Series
from transfer_lab.similarity.axis import CUT, Placed

Name = tuple[str, str, str]
"""Source, target and the author's word."""


def figure(spaces: Mapping[str, Sequence[Placed]], backbones: Collection[str]) -> Figure:
    """Rows are feature spaces; colour is the pair, the marker what its author calls it. A space
    that is a backbone's goes with it when readers filter."""
    placed = [(space, pair) for space, pairs in spaces.items() for pair in pairs]
    names = list(dict.fromkeys(pair[:3] for _, pair in placed))
    pens = {name: Pen(OTHERS[number % len(OTHERS)]) for number, name in enumerate(names)}
    series = tuple(
        Series(
            kind="row",
            x=[pair.value],
            y=[space],
            error=[pair.high - pair.value],
            below=[pair.value - pair.low],
            pen=pens[pair[:3]],
            marker=_marker(pair[:3]),
            text=[(_title(pair[:3]), space, f"{pair.value:.2f} [{pair.low:.2f}, {pair.high:.2f}]")],
            beside=names.index(pair[:3]),
            facets={"pair": _title(pair[:3])} | ({"backbone": space} if space in backbones else {}),
        )
        for space, pair in placed
    )
    left, right = min(0, *(p.low for _, p in placed)), max(1, *(p.high for _, p in placed))
    return Figure(
        panels=(Panel("Place on the axis", series, uprights=((0, "-"), (CUT, "--"), (1, "-"))),),
        x=Axis("0: the source itself — 1: the far domain", low=left - 0.05, high=right + 0.05),
        y=Axis(names=tuple(spaces)),
        keys=tuple(Key("pair", _title(name), pens[name].colour, _marker(name)) for name in names),
        abreast=len(names),
        height=(0.25 + 0.13 * len(names)) * len(spaces),
        margin=0.9,
        key_columns=2,
    )


def _title(name: Name) -> str:
    source, target, word = name
    return f"{source} → {target} ({word})"


def _marker(name: Name) -> str:
    return MARKERS[name[2] == "dissimilar"]
