"""What fine-tuning changed, stage by stage, as a run keeps it beside its record. No torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple


class StageChange(NamedTuple):
    """How alike a stage sees the same images after the fit and in the source.

    `stage` counts from 1; `frozen` ones learn in no phase; `cka` is None where it is not defined,
    and `note` says why.
    """

    stage: int
    frozen: bool
    images: int
    cka: float | None
    note: str = ""


def to_csv(changes: Iterable[StageChange]) -> bytes:
    """One row a stage, from input to output."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(StageChange._fields)
    writer.writerows(changes)
    return text.getvalue().encode()
