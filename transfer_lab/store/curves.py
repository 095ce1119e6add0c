"""Learning curves of many runs, read at once. No torch."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Curve = Mapping[str, "np.ndarray"]
"""The columns of a metrics.csv, a number an epoch; NaN where nothing was measured."""


def read_curves(
    contents: Iterable[tuple[str, bytes]], leave_out: Callable[[str, str], None]
) -> dict[str, Curve]:
    """The curves by run id, from the contents of their files; `leave_out` is told the run id and
    the reason of each that is no curve.

    Files with the same columns are parsed as one: a grid has thousands, of a few lines each, and
    opening a parser takes longer than what it has to read.
    """
    by_columns: dict[bytes, dict[str, list[bytes]]] = defaultdict(dict)
    for run_id, content in contents:
        head, *rows = [*filter(None, content.splitlines())] or [b""]
        by_columns[head][run_id] = rows
    curves: dict[str, Curve] = {}
    for head, lines in by_columns.items():
        try:
            curves |= _parsed(head, lines)
        except ValueError:  # of one of them: of which is found one by one
            for run_id, rows in lines.items():
                try:
                    curves |= _parsed(head, {run_id: rows})
                except ValueError as problem:
                    leave_out(run_id, str(problem).partition("\n")[0])
    return curves


def _parsed(head: bytes, rows: Mapping[str, list[bytes]]) -> dict[str, Curve]:
    import pandas as pd

    lines = [head, *(line for own in rows.values() for line in own)]
    table = pd.read_csv(io.BytesIO(b"\n".join(lines)))
    columns = {name: table[name].to_numpy(dtype=float) for name in table}
    curves: dict[str, Curve] = {}
    start = 0
    for run_id, own in rows.items():
        end = start + len(own)
        curves[run_id] = {name: column[start:end] for name, column in columns.items()}
        start = end
    return curves
