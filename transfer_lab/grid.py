"""An experiment and its store: train what is missing, read what is there, write the report.

The command line prints what these functions do, and the library returns it: one path for both.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from transfer_lab import comparing, host
from transfer_lab.changes import FILE as CHANGES
from transfer_lab.config import ExperimentFile
from transfer_lab.curves import Curve, read_curves
from transfer_lab.engines import EngineError, start
from transfer_lab.folders import IMAGES, REPORTS, RUNS, unwritable
from transfer_lab.machine import Workers
from transfer_lab.outcomes import frame
from transfer_lab.overlaps import counted
from transfer_lab.progress import GridProgress
from transfer_lab.record_store import Record, RecordStore
from transfer_lab.runner import Summary, run_grid, todo
from transfer_lab.spec import Cell, Experiment, Run
from transfer_lab.tracking import Tracker
from transfer_lab.trials import FILE as TRIALS
from transfer_lab.yaml_source import ConfigError, Given

if TYPE_CHECKING:
    import pandas as pd

    from transfer_lab.reporting.study import Study

CURVE = "metrics.csv"


@dataclass(frozen=True)
class Voice:
    """Where progress is shown, and who is told of what does not stop the grid."""

    console: Console
    warn: Callable[[str], None]

    @property
    def has_bar(self) -> bool:
        """Whether progress is a bar in a terminal."""
        return self.console.is_terminal and not self.console.quiet

    def say(self, text: str) -> None:
        """A line of progress."""
        self.console.print(text, markup=False, soft_wrap=True)


def train_missing(
    file: ExperimentFile,
    cells: tuple[Cell, ...],
    store: RecordStore,
    tracker: Tracker,
    workers: Workers,
    voice: Voice,
    *,
    download: bool = False,
) -> Summary:
    """Train every run without a finished record, then measure the similarities that are missing;
    raises ConfigError before any training.

    Preflight happens in a worker, since it needs torch and the parent does not. An interrupt ends
    the workers and is raised again; finished runs are stored.
    """
    work, desk = todo(cells, store), comparing.Desk(file.experiment, store, voice.say, voice.warn)
    if not work.runs:
        voice.say(f"all {len(cells)} cells are stored; nothing to train")
        desk.work(1, workers.threads)
        return Summary()
    voice.say(f"{len(work.runs)} runs to train for {len(cells)} cells; starting workers ...")
    try:
        engine = start(workers, len(work.runs), store.root, lambda text: store.warn(text))
    except EngineError as error:
        raise ConfigError([str(error)]) from error
    try:
        root = store.root.absolute()  # a worker may stand elsewhere
        file.refuse(engine.submit(_preflight, file.experiment, root / IMAGES, download).result())
        with GridProgress(voice.console, len(work.runs)) as progress:
            if voice.has_bar:  # which a line from elsewhere would tear
                store.warn = tracker.warn = progress.say
            train = partial(_execute, str(root), workers, engine.slots, host.commit())
            summary = run_grid(work, store, engine, train, _Both(progress, tracker))
        desk.measure(engine)
    except EngineError as error:
        engine.kill()
        raise ConfigError([str(error)]) from error
    except BaseException:
        engine.kill()
        raise
    finally:
        store.warn = tracker.warn = voice.warn
    engine.close()
    return summary


def write_report(
    file: ExperimentFile, cells: tuple[Cell, ...], store: RecordStore, reports: Path, command: str
) -> Path:
    """Write the report on what is stored, finished or not; returns the page's path."""
    from transfer_lab.reporting import write
    from transfer_lab.reporting.predictions import beside

    table = frame(cells, store)
    return write(
        file.experiment,
        table,
        curves(table, store),
        reports / file.experiment.name,
        command=command,
        predictions=beside(store),
        **_beside_records(file.experiment, table, store),
    )


def study(file: ExperimentFile, cells: tuple[Cell, ...], store: RecordStore, command: str) -> Study:
    """The report's view of what is stored."""
    from transfer_lab.reporting.predictions import Predictions, beside
    from transfer_lab.reporting.study import Study

    table = frame(cells, store)
    return Study.of(
        file.experiment,
        table,
        curves(table, store),
        command,
        predictions=Predictions(beside(store)),
        **_beside_records(file.experiment, table, store),
    )


def _beside_records(
    experiment: Experiment, table: pd.DataFrame, store: RecordStore
) -> dict[str, Mapping[str, object]]:
    """What a report says beyond the cells' records and curves."""
    return {
        "trials": left_behind(table, store, TRIALS),
        "similarities": comparing.results(experiment, store),
        "overlaps": counted(experiment, store),
        "changes": left_behind(table, store, CHANGES),
        "sources": source_records(table, store),
    }


def source_records(table: pd.DataFrame, store: RecordStore) -> dict[str, Record]:
    """The finished source runs that cells start from, by id."""
    found = {init: store.get(init) for init in table["init_id"].dropna().unique()}
    return {init: record for init, record in found.items() if record and record.status == "done"}


def curves(table: pd.DataFrame, store: RecordStore) -> dict[str, Curve]:
    """The training curve of every finished run that left one, by run id."""
    done = table.loc[table["status"] == "done", "run_id"].unique()
    return read_curves(store.files(done, CURVE))


def left_behind(table: pd.DataFrame, store: RecordStore, name: str) -> dict[str, pd.DataFrame]:
    """The table of that name of every finished run that left one, by run id; a damaged one is
    named, and counts as absent."""
    import pandas as pd

    found = {}
    done = table.loc[table["status"] == "done", "run_id"].unique()
    for run_id, path in store.files(done, name).items():
        try:
            found[run_id] = pd.read_csv(path)
        except (OSError, ValueError) as problem:
            reason = str(problem).partition("\n")[0]
            store.warn(f"{path}: cannot be read ({reason}); the report goes without it")
    return found


def command_for(file: ExperimentFile, runs: Path, reports: Path) -> str:
    """The command that goes on with this experiment in these folders."""
    if isinstance(file.source, Given):
        return f"transfer_lab.run({file.experiment.name}, runs={str(runs)!r})  # given in Python"
    words = ["transfer-lab", "run", str(file.source.path)]
    for assignment in file.source.overrides.values():
        words += ["--set", assignment]
    for option, folder, default in (("--runs", runs, RUNS), ("--reports", reports, REPORTS)):
        words += [option, str(folder)] if folder != default else []
    return shlex.join(words)


def check_writable(*folders: Path) -> None:
    """Raise ConfigError naming every folder that cannot be written to."""
    if problems := unwritable(folders):
        raise ConfigError(problems)


class _Both:
    """The progress bar and the tracker, as one watch."""

    def __init__(self, progress: GridProgress, tracker: Tracker):
        self.progress, self.tracker = progress, tracker

    def started(self, run: Run) -> None:
        self.progress.started(run)

    def ended(self, run: Run, record: Record) -> None:
        self.progress.ended(run, record)
        self.tracker.offer(run.id)


def _preflight(
    experiment: Experiment, cache: Path, download: bool
) -> list[tuple[tuple[str, ...], str]]:
    """Runs in a worker."""
    from transfer_lab.preflight import preflight

    return preflight(experiment, cache, download=download)


def _execute(
    root: str,
    workers: Workers,
    concurrency: int,
    commit: str | None,
    runs: Sequence[Run],
    keep_weights: bool,
) -> list[Record]:
    """Runs in a worker."""
    from transfer_lab.execution import execute_all
    from transfer_lab.training import Setting

    setting = Setting(workers.threads, concurrency, commit, workers.precision)
    return execute_all(runs, Path(root), setting, keep_weights)
