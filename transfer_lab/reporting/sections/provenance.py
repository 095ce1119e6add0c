"""Where the numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Code, Paragraph, Section, Table, cell
from transfer_lab.reporting.study import Study

if TYPE_CHECKING:
    import pandas as pd

FACTS = (
    *("transfer_lab", "torch", "lightning"),
    *("host", "device", "precision", "threads", "concurrency", "commit"),
)


def provenance(study: Study) -> Section:
    """Versions, machines, dates and the command."""
    done = study.cells[study.cells["status"] == "done"]
    rows = [(cell(name), cell(_values(done[name]))) for name in FACTS]
    dates = done["started_at"].dropna()
    started = f"{dates.min()} to {dates.max()}" if len(dates) else "–"
    records = f"{done['run_id'].nunique():,} finished runs fill {len(done):,} cells"
    rows += [(cell("started"), cell(started)), (cell("records"), cell(records))]
    table = Table("Versions, machines and dates", ("what", "value"), tuple(rows), texts=2)
    extra = {"trials.csv": study.trials or study.searches, "similarity.csv": study.similarities}
    files = " and ".join(["records.csv", *(name for name, found in extra.items() if found)])
    text = (
        f"Every number above, the training curves apart, can be recomputed from {files} and the "
        "predictions stored beside the records."
    )
    return Section("Provenance", (table, Paragraph(text), Code(study.command)))


def _values(column: pd.Series) -> str:
    known = column.dropna().unique()
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in known) or "–"
