"""Learning curves of many runs, read at once. No torch."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Curve = Mapping[str, "np.ndarray"]
"""The columns of a metrics.csv, a number an epoch; NaN where nothing was measured."""


def read_curves(files: Mapping[str, str | Path]) -> dict[str, Curve]:
    """The curves by run id, of those runs whose file is there.

    Files with the same columns are parsed as one: a grid has thousands, of a few lines each, and
    opening a parser takes longer than what it has to read.
    """
    by_columns: dict[bytes, dict[str, list[bytes]]] = defaultdict(dict)
    for run_id, path in files.items():
        with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
            head, *rows = filter(None, file.read().splitlines())
            by_columns[head][run_id] = rows
    curves: dict[str, Curve] = {}
    for head, lines in by_columns.items():
        curves |= _parsed(head, lines)
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
