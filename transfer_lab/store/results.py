"""Cells joined to the records of their runs: what is done, and what came out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.experiment.spec import Cell, Run
from transfer_lab.store.records import COLUMNS, OF_CELL, OF_RUN, Record, RecordStore

if TYPE_CHECKING:
    import pandas as pd

WAITING, NOT_NEEDED = "waiting", "not needed"
"""Cells of seeds that are trained only where they are needed: it is not known yet, or they are
not. Who knows the results says so; here they are missing."""


def frame(cells: Iterable[Cell], store: RecordStore) -> pd.DataFrame:
    """One row a cell in the columns of records.csv: its place, and its record where there is one.

    `status` is done, failed, blocked (its source run or its search failed) or missing.
    """
    import pandas as pd

    outcomes = _Outcomes(store)
    places, found = [], []
    for cell in cells:
        places.append(_place(cell))
        found.append(outcomes.of(cell.run))
    columns = dict(zip(_PLACE, zip(*places, strict=True), strict=True))
    columns |= dict(zip(_OUTCOME, zip(*found, strict=True), strict=True))
    return pd.DataFrame({name: list(columns.get(name, ())) for name in COLUMNS}, columns=COLUMNS)


class State(NamedTuple):
    """How far a cell is: done, failed, blocked (its source run or its search failed) or missing;
    and why."""

    status: str
    error: str | None


def states(cells: Iterable[Cell], store: RecordStore) -> Iterator[tuple[Cell, State]]:
    """Each cell with its state, as `frame` has it, without a table of all columns."""
    outcomes = _Outcomes(store)
    known: dict[str, State] = {}
    for cell in cells:
        if cell.run.id not in known:
            found = outcomes.content(cell.run)
            known[cell.run.id] = State(found["status"], found["error"])
        yield cell, known[cell.run.id]


_PLACE = (*OF_CELL, *OF_RUN)
_place = attrgetter(*OF_CELL, *(f"run.{name}" for name in OF_RUN.values()))
_OUTCOME = tuple(name for name in Record.model_fields if name in {*COLUMNS} - {*_PLACE})
_NOTHING = dict.fromkeys(_OUTCOME, math.nan)
_measured = itemgetter(*_OUTCOME)


class _Outcomes:
    """The measured columns of runs; many runs share a source run, whose record is kept."""

    def __init__(self, store: RecordStore):
        self._store = store
        self._sources: dict[str, Record | None] = {}
        self._rows: dict[str, tuple[object, ...]] = {}

    def of(self, run: Run) -> tuple[object, ...]:
        """The run's row of outcomes, whether or not there is a record."""
        if run.id not in self._rows:
            self._rows[run.id] = _measured(self.content(run))
        return self._rows[run.id]

    def content(self, run: Run) -> dict[str, object]:
        """The run's record, or what its absence means."""
        record = self._store.get(run.id)
        return record.__dict__ if record else self._absent(run)

    def _absent(self, run: Run) -> dict[str, object]:
        for one in run.ancestors:
            parent = self._source(one.id)
            if parent is None or parent.status != "failed":
                continue
            what = "search" if one.purpose == "search" else "source run"
            error = f"{what} {parent.run_id} failed: {parent.error}"
            return _NOTHING | {"status": "blocked", "error": error}
        return _NOTHING | {"status": "missing", "error": None}

    def _source(self, run_id: str) -> Record | None:
        if run_id not in self._sources:
            self._sources[run_id] = self._store.get(run_id)
        return self._sources[run_id]
