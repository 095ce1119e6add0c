"""records.csv: one row a cell, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.columns import INTEGERS
from transfer_lab.similarity.pairs import Compared, comparisons
from transfer_lab.system.output import plain

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(frame: pd.DataFrame) -> bytes:
    """The frame as CSV: floats in full precision, counts as integers, text that is no formula."""
    columns = [
        _values(column, int if name in INTEGERS else harmless) for name, column in frame.items()
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")  # takes half as long as the frame's own
    writer.writerow(frame.columns)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8", errors="replace")


def _values(column: pd.Series, written: Callable[[object], object]) -> list[object]:
    """The column's values as they are written, None where there is none."""
    known = zip(column.tolist(), column.notna().tolist(), strict=True)
    return [written(value) if there else None for value, there in known]


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all runs as one frame, each after the id of its run."""
    import pandas as pd

    if not tables:
        return pd.DataFrame()
    return pd.concat(tables, names=["run_id"]).reset_index("run_id").reset_index(drop=True)


def measured_frame(experiment: Experiment, found: Mapping[str, Compared]) -> pd.DataFrame:
    """What was measured of each comparison; a pair or an interval takes a column a number."""
    import pandas as pd

    rows = []
    for named in comparisons(experiment):
        measured = found.get(named.comparison.id)
        if measured is not None:
            names = {"source": named.source, "target": named.target, "features": named.space}
            names["comparison"] = measured.of
            rows.append(names | _flat(measured))
    return pd.DataFrame(rows)


_PARTS = {2: ("", "_error"), 3: ("", "_low", "_high")}


def _flat(measured: Compared) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, value in measured.model_dump(exclude={"notes", "of"}).items():
        parts = value if isinstance(value, tuple) else (value,)
        ends = _PARTS.get(len(parts), ("",))
        row |= {f"{name}{end}": part for end, part in zip(ends, parts, strict=True)}
    return row


def harmless(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front, and what a
    terminal would obey is left out."""
    if not isinstance(value, str):
        return value
    value = plain(value)
    return f"'{value}" if value.startswith(FORMULA) else value
