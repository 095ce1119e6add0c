"""Cells without a number: each is named, with its error."""

from __future__ import annotations

from collections import defaultdict

from transfer_lab.experiment.budget import under
from transfer_lab.reporting.accuracies import Unit, rows_of, unit_name, units_of
from transfer_lab.reporting.blocks import Block, Fold, Line, Section, Table, cell
from transfer_lab.reporting.study import Study
from transfer_lab.store.results import NOT_NEEDED, WAITING

LEAD = "Cells without a number, and why."


def failures(study: Study) -> Section | None:
    """Failed, blocked and missing cells, equal errors together; none that is not needed."""
    absent = _grouped(study)
    if not absent:
        return None
    unrun = {key: places for key, places in absent.items() if key[0] in ("missing", WAITING)}
    broken = {key: places for key, places in absent.items() if key not in unrun}
    blocks: list[Block] = []
    if broken:
        blocks.append(_table("Failed and blocked cells by error", broken))
    if unrun:
        blocks.append(Fold("Missing cells", (_table("Cells that have not been run", unrun),)))
    return Section("Failed and missing cells", tuple(blocks), LEAD)


Groups = dict[tuple[str, str, str], dict[str, list[Unit]]]


def _grouped(study: Study) -> Groups:
    rest = study.cells[~study.cells["status"].isin(("done", NOT_NEEDED))]
    columns = ("status", "error_kind", "error", "scenario", "backbone", "regime", "budget")
    groups: Groups = defaultdict(lambda: defaultdict(list))
    found = zip(units_of(rest), rows_of(rest, *columns), strict=True)
    for unit, (status, kind, error, *names, budget) in found:
        place = f"{' / '.join(names)}{under(budget)}"
        groups[status, _text(kind), _text(error)][place].append(unit)
    return groups


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _table(caption: str, groups: Groups) -> Table:
    rows = tuple(
        (
            cell(status, f"({kind})" if kind else ""),
            cell(error or "–"),
            tuple(Line(_named(place, seeds)) for place, seeds in places.items()),
        )
        for (status, kind, error), places in groups.items()
    )
    return Table(caption, ("status", "error", "cells"), rows, texts=3)


def _named(place: str, seeds: list[Unit]) -> str:
    if any(isinstance(unit, tuple) for unit in seeds):
        return f"{place}, {', '.join(map(unit_name, seeds))}"
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"{place}, {word} {', '.join(map(str, seeds))}"
