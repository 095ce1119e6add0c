"""Seconds of heads that were fitted in one pass: one measurement, however many the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("scenario", "backbone", "regime")
"""The columns that say where a run stands."""


def one_a_pass(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but for those of seeds that were fitted in the same pass as an earlier one."""
    repeated = rows.duplicated([*PLACE, "fit_seconds"])
    return rows[~(repeated & (rows["together"] > 1))]
