"""What a store holds of an experiment's cells, gathered for the report."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from transfer_lab.experiment.plan import searches_of
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.reporting.gallery import Gallery
from transfer_lab.reporting.looks import looked_at
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.reporting.report import write, write_latex
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.similarity.overlap import counted
from transfer_lab.similarity.pairs import results
from transfer_lab.similarity.thumbnails import thumbnails
from transfer_lab.store.curves import Curve, read_curves
from transfer_lab.store.layout import CURVE, IMAGES, MODEL, STAGE_DRIFT, TRIALS
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.store.trials import Trial, TrialsError

if TYPE_CHECKING:
    import pandas as pd


def write_report(
    experiment: Experiment,
    cells: tuple[Cell, ...],
    store: RecordStore,
    reports: Path,
    command: str,
) -> Path:
    """Write the report on what is stored, finished or not; returns the page's path."""
    return write(experiment, stored(experiment, cells, store), reports / experiment.name, command)


def write_tables(
    experiment: Experiment, cells: tuple[Cell, ...], store: RecordStore, reports: Path
) -> tuple[Path, ...]:
    """Write the main tables of the report as LaTeX, beside it; returns the files."""
    predictions = Predictions.of_store(store)
    table, course = looked_at(experiment, cells, store, predictions)
    known = StoredResults(table, predictions=predictions, course=course)
    return write_latex(experiment, known, reports / experiment.name)


def study(
    experiment: Experiment, cells: tuple[Cell, ...], store: RecordStore, command: str
) -> Study:
    """The report's view of what is stored."""
    return Study.of(experiment, stored(experiment, cells, store), command)


def stored(experiment: Experiment, cells: tuple[Cell, ...], store: RecordStore) -> StoredResults:
    """All that a store holds of the cells."""
    predictions = Predictions.of_store(store)
    table, course = looked_at(experiment, cells, store, predictions)
    return StoredResults(
        frame=table,
        course=course,
        curves=curves(table, store),
        trials=left_behind(table, store, TRIALS),
        searches=(found := searches(experiment, store)),
        validated={run_id: record.n_val or 0 for run_id in found if (record := store.get(run_id))},
        predictions=predictions,
        similarities=results(experiment, store),
        overlaps=counted(experiment, store),
        changes=left_behind(table, store, STAGE_DRIFT),
        sources=source_records(table, store),
        models=models(experiment, table, store),
        gallery=Gallery(thumbnails(experiment, store), store.root / IMAGES),
        left_out=store.left_out,
    )


def source_records(table: pd.DataFrame, store: RecordStore) -> dict[str, Record]:
    """The finished source runs that cells start from, by id."""
    found = {init: store.get(init) for init in table["init_id"].dropna().unique()}
    return {init: record for init, record in found.items() if record and record.status == "done"}


def searches(experiment: Experiment, store: RecordStore) -> dict[str, tuple[Trial, ...]]:
    """What the finished searches for the whole grid tried, by their ids; a damaged one is named,
    and counts as absent."""
    found = {}
    arms = searches_of(experiment).values()
    for run_id, run in {run.id: run for runs in arms for run in runs.values()}.items():
        record = store.get(run_id)
        if record and record.status == "done":
            try:
                found[run_id] = store.trials(run)
            except TrialsError as problem:
                store.warn(f"{problem}; the report goes without it")
    return found


def models(experiment: Experiment, table: pd.DataFrame, store: RecordStore) -> dict[str, str]:
    """The folders of models that were kept, by run id; none where the experiment keeps none."""
    done = table.loc[table["status"] == "done", "run_id"].unique() if experiment.keep else ()
    return store.files(done, MODEL)


def curves(table: pd.DataFrame, store: RecordStore) -> dict[str, Curve]:
    """The training curve of every finished run that left one, by run id."""
    done = table.loc[table["status"] == "done", "run_id"].unique()
    return curves_of(done, store)


def curves_of(run_ids: Iterable[str], store: RecordStore) -> dict[str, Curve]:
    """The training curve of every run that left one, by run id; a damaged one is named, and counts
    as absent."""

    def leave_out(run_id: str, reason: str) -> None:
        store.leave_out(store.file(run_id, CURVE), reason)

    return read_curves(store.contents(run_ids, CURVE), leave_out)


def left_behind(table: pd.DataFrame, store: RecordStore, name: str) -> dict[str, pd.DataFrame]:
    """The table of that name of every finished run that left one, by run id; a damaged one is
    named, and counts as absent."""

    found = {}
    done = table.loc[table["status"] == "done", "run_id"].unique()
    for run_id, content in store.contents(done, name):
        try:
            found[run_id] = read_exactly(io.BytesIO(content))
        except ValueError as problem:
            store.leave_out(store.file(run_id, name), str(problem).partition("\n")[0])
    return found


def read_exactly(table: str | IO[bytes]) -> pd.DataFrame:
    """The table of a CSV file, every number to the last digit."""
    import pandas as pd

    if int(pd.__version__.partition(".")[0]) >= 3:
        return pd.read_csv(table)
    return pd.read_csv(table, float_precision="round_trip")
