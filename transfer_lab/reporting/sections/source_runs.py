"""The source runs: how good the networks are that everything transferred starts from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from transfer_lab.reporting.blocks import Cell, Paragraph, Section, Table, cell
from transfer_lab.reporting.study import Study, interval
from transfer_lab.reporting.wording import amount, count, percent, whole
from transfer_lab.store.records import Record

TITLE = "Source runs"
LEGEND = (
    "The lab's own networks that transfer starts from, tested on the source's own test set; where "
    "every seed has a source run of its own, means over them with a 95 % t-interval. A weak source "
    "run says little of what a strong one would give."
)


def source_runs(study: Study) -> Section | None:
    """A row for each backbone and source; no section where nothing starts from a source run."""
    starts = study.done.dropna(subset=["init_id"]).drop_duplicates("init_id")
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for backbone, source, init in starts[["backbone", "source", "init_id"]].itertuples(index=False):
        if record := study.sources.get(init):
            groups[backbone, source].append(record)
    if not groups:
        return None
    head = (
        *("backbone", "source", "test accuracy (%)", "classes", "training images", "epochs"),
        "fit (s)",
    )
    rows = tuple(_row(names, records) for names, records in groups.items())
    table = Table("What is transferred", head, rows, texts=2)
    return Section(TITLE, (Paragraph(LEGEND), table))


def _row(names: tuple[str, str], records: Sequence[Record]) -> tuple[Cell, ...]:
    tested = interval([record.test_accuracy for record in records])
    return (
        *map(cell, names),
        cell(percent(tested), count(tested.n, len(records))),
        cell(records[0].num_classes),
        cell(whole(fmean(record.n_train for record in records))),
        cell(whole(fmean(record.epochs for record in records))),
        cell(amount(fmean(record.fit_seconds for record in records))),
    )
