"""The columns of records that are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.store.records import Record

if TYPE_CHECKING:
    import pandas as pd

INTEGERS = tuple(n for n, f in Record.model_fields.items() if f.annotation == (int | None))
NUMBERS = INTEGERS + tuple(
    n for n, f in Record.model_fields.items() if f.annotation == (float | None)
)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every measured column as numbers, absent values as NaN."""
    import pandas as pd

    numbers = {name: pd.to_numeric(frame[name]).astype(float) for name in NUMBERS if name in frame}
    return frame.assign(**numbers)
