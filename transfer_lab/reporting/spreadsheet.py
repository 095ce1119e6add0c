"""records.csv: one row a cell, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transfer_lab.comparisons import Compared, comparisons
from transfer_lab.reporting.study import INTEGERS
from transfer_lab.spec import Experiment

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(frame: pd.DataFrame) -> bytes:
    """The frame as CSV: floats in full precision, counts as integers, text that is no formula."""
    columns = {}
    for name, column in frame.items():
        if name in INTEGERS:
            columns[name] = column.astype("Int64")
        elif column.dtype.kind not in "iufb":
            columns[name] = column.map(_harmless)
    text = frame.assign(**columns).to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8", errors="replace")


def stacked(trials: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The trials of all runs as one frame, each after the id of its run."""
    import pandas as pd

    return pd.concat(trials, names=["run_id"]).reset_index("run_id").reset_index(drop=True)


def measured_frame(experiment: Experiment, found: Mapping[str, Compared]) -> pd.DataFrame:
    """What was measured of each comparison; a pair or an interval takes a column a number."""
    import pandas as pd

    rows = []
    for named in comparisons(experiment):
        measured = found.get(named.comparison.id)
        if measured is not None:
            names = {"source": named.source, "target": named.target, "features": named.space}
            rows.append(names | _flat(measured))
    return pd.DataFrame(rows)


_PARTS = {2: ("", "_error"), 3: ("", "_low", "_high")}


def _flat(measured: Compared) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, value in measured.model_dump(exclude={"notes"}).items():
        parts = value if isinstance(value, tuple) else (value,)
        ends = _PARTS.get(len(parts), ("",))
        row |= {f"{name}{end}": part for end, part in zip(ends, parts, strict=True)}
    return row


def _harmless(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
