"""The source runs: how good the networks are that everything transferred starts from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from transfer_lab.reporting.blocks import Cell, Note, Section, Table, cell
from transfer_lab.reporting.study import Study, interval
from transfer_lab.reporting.wording import amount, count, percent, whole
from transfer_lab.store.records import Record

TITLE = "Source runs"
LEAD = "How good the networks are that everything transferred starts from."
LEGEND = (
    "The lab's own networks that transfer starts from, tested on the source's own test set; where "
    "every seed has a source run of its own, means over them with a 95 % t-interval. A weak source "
    "run says little of what a strong one would give."
)


WITHOUT_LABELS = "learnt without labels"
UNLABELLED = (
    "A source run that has learnt without labels knows no classes and is not tested: its stages "
    "alone are transferred. Where its task has right answers, how many of the source's validation "
    "images it got right is said in place of an accuracy on classes."
)
BETWEEN = (
    "Where domains lie between (source → domain), the row is that of the last source run, tested "
    "on the last domain: it began with the weights of the run on the domain before."
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
    told = [LEGEND]
    if any(_untested(records) for records in groups.values()):
        told.append(UNLABELLED)
    if any(place.via for place in study.experiment.scenarios.values()):
        told.append(BETWEEN)
    return Section(TITLE, (table, Note(" ".join(told))), LEAD)


def _row(names: tuple[str, str], records: Sequence[Record]) -> tuple[Cell, ...]:
    return (
        *map(cell, names),
        _tested(records),
        cell(records[0].num_classes),
        cell(whole(fmean(record.n_train for record in records))),
        cell(whole(fmean(record.epochs for record in records))),
        cell(amount(fmean(record.fit_seconds for record in records))),
    )


def _tested(records: Sequence[Record]) -> Cell:
    if _untested(records):
        right = interval([r.val_accuracy for r in records if r.val_accuracy])
        task = f"; {percent(right)} % of its task right" if right else ""
        return cell("–", WITHOUT_LABELS + task)
    tested = interval([r.test_accuracy for r in records if r.test_accuracy is not None])
    return cell(percent(tested), count(tested.n, len(records)))


def _untested(records: Sequence[Record]) -> bool:
    return all(record.test_accuracy is None for record in records)
