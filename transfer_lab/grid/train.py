"""An experiment and its store: train what is missing.

The command line prints what these functions do, and the library returns it: one path for both.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from rich.console import Console

from transfer_lab.experiment.loading import ExperimentFile
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError, Given
from transfer_lab.grid import similarity as comparing
from transfer_lab.grid.announcing import Announcement
from transfer_lab.grid.engines import EngineError, start
from transfer_lab.grid.progress import GridProgress, moves
from transfer_lab.grid.scheduler import Engine, Summary, Todo, run_grid, todo
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.files import REPORTS, RUNS, unwritable
from transfer_lab.system.pulse import beating, tell
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
        return moves(self.console) and not self.console.quiet

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
    work, names = todo(cells, store), run_names(file.experiment, cells)
    jobs = comparing.SimilarityJobs(file.experiment, store, voice.say, voice.warn)
    if not work.runs:
        voice.say(f"all {len(cells)} cells are stored; nothing to train")
        jobs.work(1, workers.threads)
        return Summary()
    voice.say(f"{len(work.runs)} runs to train for {len(cells)} cells; starting workers ...")
    with (
        GridProgress(voice.console, work.runs, names) as progress,
        Announcement(store.root, file, progress),
    ):
        progress.phase("starting workers: torch is loaded")
        try:
            engine = start(workers, len(work.runs), store.root, lambda text: store.warn(text))
        except EngineError as error:
            raise ConfigError([str(error)]) from error
        if voice.has_bar:  # which a line from elsewhere would tear
            store.warn = copies.warn = progress.say
        try:
            _make_ready(file, work, store, engine, progress, download)
            train = partial(_execute, str(store.root.absolute()), workers, engine.slots)
            train = partial(train, host.commit(), pulses=progress.pulses)
            summary = run_grid(work, store, engine, train, _Both(progress, copies))
            progress.phase("similarities")
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


def _make_ready(
    file: ExperimentFile,
    work: Todo,
    store: RecordStore,
    engine: Engine,
    progress: GridProgress,
    download: bool,
) -> None:
    """Preflight, and what each run should cost beside the others, in a worker; raises
    ConfigError."""
    images = store.root.absolute() / IMAGES  # a worker may stand elsewhere
    call = engine.submit(_preflight, file.experiment, images, download, work.runs, progress.ready)
    problems, costs = call.result()
    file.refuse(problems)
    progress.train(costs, engine.slots)


def command_for(
    file: ExperimentFile, runs: Path, reports: Path, workers: Workers | None = None
) -> str:
    """The command that goes on with this experiment in these folders, on these workers."""
    if isinstance(file.source, Given):
        return f"transfer_lab.run({file.experiment.name}, runs={str(runs)!r})  # given in Python"
    words = ["transfer-lab", "run", str(file.source.path)]
    for assignment in file.source.overrides.values():
        words += ["--set", assignment]
    for option, folder, default in (("--runs", runs, RUNS), ("--reports", reports, REPORTS)):
        words += [option, str(folder)] if folder != default else []
    for name, value in (workers or Workers())._asdict().items():
        if value != Workers._field_defaults[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def check_writable(*folders: Path) -> None:
    """Raise ConfigError naming every folder that cannot be written to."""
    if problems := unwritable(folders):
        raise ConfigError(problems)


class _Both:
    """The progress bar and the copies, as one watch."""

    def __init__(self, progress: GridProgress, copies: Copies):
        self.progress, self.copies = progress, copies

    def started(self, runs: Sequence[Run]) -> None:
        self.progress.started(runs)

    def ended(self, run: Run, record: Record) -> None:
        self.progress.ended(run, record)
        self.copies.offer(run.id)


def _preflight(
    experiment: Experiment, cache: Path, download: bool, runs: Mapping[str, Run], told: Path | None
) -> tuple[list[tuple[tuple[str, ...], str]], dict[str, float]]:
    """Runs in a worker."""
    with beating(told):
        from transfer_lab.grid.preflight import preflight

        problems = preflight(experiment, cache, download=download)
        if problems:
            return problems, {}
        tell("counting what there is to compute")
        return [], _costs(runs)


def _costs(runs: Mapping[str, Run]) -> dict[str, float]:
    """What each run should cost beside the others: equally much where somebody's code cannot be
    counted, since it is only the time left that is told by it."""
    from transfer_lab.grid.estimate import Work, costs

    try:
        return costs(Work(runs))
    except Exception:
        return dict.fromkeys(runs, 1.0)


def _execute(
    root: str,
    workers: Workers,
    concurrency: int,
    commit: str | None,
    runs: Sequence[Run],
    keep_weights: bool,
    *,
    pulses: Path | None = None,
) -> list[Record]:
    """Runs in a worker, which tells in a file of that folder how far it is."""
    from transfer_lab.grid.worker import execute_all
    from transfer_lab.training.run import Setting

    setting = Setting(workers.threads, concurrency, commit, workers.precision)
    with beating(pulses and pulses / runs[0].id):
        return execute_all(runs, Path(root), setting, keep_weights)
