"""Tables of the whole grid: rows are regimes, groups of columns scenarios, columns networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from transfer_lab.reporting.blocks import Cell, Line, Table
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import regime_name

WIDEST = 12
"""Columns of numbers that a window has room for; more make several tables."""


def grid_tables(study: Study, caption: str, entry: Callable[[Place], Cell]) -> tuple[Table, ...]:
    """What `entry` says of every place, in as few tables as windows have room for."""
    parts = list(_parts(study))
    captions = [f"{caption}, part {number}" for number in range(1, len(parts) + 1)]
    titles = captions if len(parts) > 1 else [caption]
    return tuple(
        _table(study, title, scenarios, entry)
        for title, scenarios in zip(titles, parts, strict=True)
    )


def _parts(study: Study) -> Iterator[Sequence[str]]:
    """The scenarios of each table."""
    together = max(1, WIDEST // len(study.backbones))
    for start in range(0, len(study.scenarios), together):
        yield study.scenarios[start : start + together]


def _table(
    study: Study, caption: str, scenarios: Sequence[str], entry: Callable[[Place], Cell]
) -> Table:
    spots = [(s, b) for s in scenarios for b in study.backbones]
    planned = {r for spot in spots for r in study.planned(*spot)}
    rows = tuple(
        (named(study, regime), *(entry(Place(*spot, regime)) for spot in spots))
        for regime in study.regimes
        if regime in planned
    )
    if len(study.backbones) == 1:
        about = (("backbone", study.backbones[0]),)
        return Table(caption, ("regime", *scenarios), rows, about=about)
    return Table(
        caption,
        ("regime", *(backbone for _, backbone in spots)),
        rows,
        groups=(("", 1), *((scenario, len(study.backbones)) for scenario in scenarios)),
        networks=("", *(backbone for _, backbone in spots)),
    )


def named(study: Study, regime: str) -> Cell:
    """The regime as a row header, with what it does in words below."""
    return (regime_name(study, regime), Line("", study.glosses[regime]))
