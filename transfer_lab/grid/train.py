"""An experiment and its store: train what is missing.

The command line prints what these functions do, and the library returns it: one path for both.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from rich.console import Console

from transfer_lab.experiment.loading import ExperimentFile
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError, Given
from transfer_lab.grid import similarity as comparing
from transfer_lab.grid.engines import EngineError, start
from transfer_lab.grid.progress import GridProgress
from transfer_lab.grid.scheduler import Summary, run_grid, todo
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.files import REPORTS, RUNS, unwritable
from transfer_lab.system.workers import Workers


class Copies(Protocol):
    """Who copies finished runs elsewhere, beside the grid."""

    warn: Callable[[str], None]

    def offer(self, run_id: str) -> None:
        """A run's record is on disk."""


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
    copies: Copies,
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
    work, jobs = (
        todo(cells, store),
        comparing.SimilarityJobs(file.experiment, store, voice.say, voice.warn),
    )
    if not work.runs:
        voice.say(f"all {len(cells)} cells are stored; nothing to train")
        jobs.work(1, workers.threads)
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
                store.warn = copies.warn = progress.say
            train = partial(_execute, str(root), workers, engine.slots, host.commit())
            summary = run_grid(work, store, engine, train, _Both(progress, copies))
        jobs.measure(engine)
    except EngineError as error:
        engine.kill()
        raise ConfigError([str(error)]) from error
    except BaseException:
        engine.kill()
        raise
    finally:
        store.warn = copies.warn = voice.warn
    engine.close()
    return summary


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
    """The progress bar and the copies, as one watch."""

    def __init__(self, progress: GridProgress, copies: Copies):
        self.progress, self.copies = progress, copies

    def started(self, run: Run) -> None:
        self.progress.started(run)

    def ended(self, run: Run, record: Record) -> None:
        self.progress.ended(run, record)
        self.copies.offer(run.id)


def _preflight(
    experiment: Experiment, cache: Path, download: bool
) -> list[tuple[tuple[str, ...], str]]:
    """Runs in a worker."""
    from transfer_lab.grid.preflight import preflight

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
    from transfer_lab.grid.worker import execute_all
    from transfer_lab.training.run import Setting

    setting = Setting(workers.threads, concurrency, commit, workers.precision)
    return execute_all(runs, Path(root), setting, keep_weights)
