"""An experiment and its store: train what is missing.

The command line prints what these functions do, and the library returns it: one path for both.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.classes import IMPORTING
from transfer_lab.experiment.foreign import foreign_code
from transfer_lab.experiment.loading import ExperimentFile, checked
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.published import unknown_weights
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError, Given
from transfer_lab.grid import similarity as comparing
from transfer_lab.grid.announcing import Announcement
from transfer_lab.grid.engines import EngineError, start
from transfer_lab.grid.engines.errors import WorkerCrashError, WorkerHungError
from transfer_lab.grid.progress import GridProgress, moves
from transfer_lab.grid.scheduler import Engine, Summary, Todo, run_grid, todo
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.files import REPORTS, RUNS, unwritable
from transfer_lab.system.output import plain
from transfer_lab.system.pulse import beating, heard, tell
from transfer_lab.system.workers import Workers

_SECONDS_OF_AN_IMPORT = 120.0
"""Of somebody's code: the largest libraries take half a minute on a slow disk."""
_SECONDS_BETWEEN_LOOKS = 1.0


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
        self.console.print(plain(text), markup=False, soft_wrap=True)


def with_weights(file: ExperimentFile) -> ExperimentFile:
    """The experiment, once the published weights that it names and that are not here were fetched:
    its runs are known by what they hold. Raises ConfigError."""
    if not unknown_weights(file.experiment):
        return file
    try:
        engine = start(Workers(1), 1, RUNS, lambda _: None)
    except EngineError as error:
        raise ConfigError([str(error)]) from error
    try:
        file.refuse(engine.submit(_fetch_weights, file.experiment).result())
    finally:
        engine.kill()
    return checked(file.source)


def train_missing(
    file: ExperimentFile,
    cells: tuple[Cell, ...],
    store: RecordStore,
    copies: Copies,
    workers: Workers,
    voice: Voice,
    *,
    looks: Iterable[Sequence[Cell]] | None = None,
    download: bool = False,
) -> Summary:
    """Train every run without a finished record, then measure the similarities that are missing;
    raises ConfigError before any training.

    `looks`: those of the cells that are to be trained, look after look; the next is asked for once
    one is trained, and the workers are kept. Preflight happens in a worker, since it needs torch
    and the parent does not. An interrupt ends the workers and is raised again; finished runs are
    stored.
    """
    workers = workers.unless_told(file.experiment.precision)
    crew = _Crew(file, cells, store, copies, workers, voice, download)
    asked = 0
    try:
        for due in (cells,) if looks is None else looks:
            asked += len(due)
            crew.train(due)
    except BaseException:
        crew.leave()
        raise
    crew.close()
    if not crew.has_worked:
        needed = "" if asked == len(cells) else " that are needed"
        voice.say(f"all {asked} cells{needed} are stored; nothing to train")
        crew.similarities.work(1, workers.threads)
    return crew.summary


class _Crew:
    """The workers of one call, begun when there is something to train, and what they have done."""

    def __init__(
        self,
        file: ExperimentFile,
        cells: tuple[Cell, ...],
        store: RecordStore,
        copies: Copies,
        workers: Workers,
        voice: Voice,
        download: bool,
    ):
        self._file, self._store, self._copies = file, store, copies
        self._workers, self._voice, self._download = workers, voice, download
        self._all, self._names = todo(cells, store), run_names(file.experiment, cells)
        self._engine: _Closing | None = None
        self._costs: dict[str, float] = {}
        self.similarities = comparing.SimilarityJobs(file.experiment, store, voice.say, voice.warn)
        self.summary = Summary()

    @property
    def has_worked(self) -> bool:
        """Whether anything was to be trained."""
        return self._engine is not None

    def train(self, cells: Sequence[Cell]) -> None:
        """Train what is missing of the cells; similarities are measured after the first that
        are."""
        work = todo(cells, self._store)
        if not work.runs:
            return
        begin = self._engine is None
        starting = "; starting workers ..." if begin else ""
        self._voice.say(f"{_many(work.runs, 'run')} to train for {_many(cells, 'cell')}{starting}")
        with (
            GridProgress(self._voice.console, work.runs, self._names) as progress,
            Announcement(self._store.root, self._file, progress),
        ):
            try:
                engine = self._engine or self._begin(progress)
                if self._voice.has_bar:  # which a line from elsewhere would tear
                    self._store.warn = self._copies.warn = progress.say
                if begin:
                    self._make_ready(engine, progress)
                progress.train(self._costs, engine.slots)
                self._run(work, engine, progress)
                if begin:
                    progress.phase("similarities")
                    self.similarities.measure(engine)
            except EngineError as error:
                self.leave()
                raise ConfigError([str(error)]) from error
            except BaseException:
                self.leave()  # before the folder goes in which workers tell how far they are
                raise
            finally:
                self._store.warn = self._copies.warn = self._voice.warn

    def close(self) -> None:
        """End the workers once they are done."""
        if self._engine:
            self._engine.close()

    def leave(self) -> None:
        """End the workers now."""
        if self._engine:
            self._engine.kill()
            self._engine = None

    def _begin(self, progress: GridProgress) -> _Closing:
        progress.phase("starting workers: torch is loaded")
        root, warn = self._store.root, self._store
        runs = len(self._all.runs)  # of later looks, too
        self._engine = start(self._workers, runs, root, lambda text: warn.warn(text))
        return self._engine

    def _make_ready(self, engine: Engine, progress: GridProgress) -> None:
        """Preflight, and what each run should cost beside the others, in a worker; raises
        ConfigError."""
        images = self._store.root.absolute() / IMAGES  # a worker may stand elsewhere
        asked = (self._file.experiment, images, self._download, self._all.runs, progress.ready)
        chosen = _choices(self._file.experiment)
        code = foreign_code(*chosen)
        checking = (
            engine.submit(_preflight, *asked)
            if code is None
            else engine.submit_apart(f"all of {code}", _preflight, *asked)
        )
        try:
            problems, self._costs = _answer(checking, progress.ready)
        except WorkerHungError as error:
            raise ConfigError([_hung(progress.ready, error)]) from error
        except WorkerCrashError as error:
            raise ConfigError([_died(progress.ready)]) from error
        self._file.refuse(problems)

    def _run(self, work: Todo, engine: Engine, progress: GridProgress) -> None:
        train = partial(_execute, str(self._store.root.absolute()), self._workers, engine.slots)
        train = partial(train, host.commit(), pulses=progress.pulses)
        both = _Both(progress, self._copies)
        self.summary.add(run_grid(work, self._store, engine, train, both))


def _choices(experiment: Experiment) -> list[Choice]:
    """All that an experiment chooses by name."""
    groups = (experiment.domains, experiment.backbones, experiment.regimes)
    return [choice for group in groups for choice in group.values()]


def _answer(checking: Future, ready: Path | None) -> Any:
    """What the worker says that checks an experiment; raises ConfigError where it does not come
    back from importing somebody's code."""
    before, since = None, time.monotonic()
    while not wait([checking], _SECONDS_BETWEEN_LOOKS).done:
        beat, now = heard(ready), time.monotonic()
        if beat != before:
            before, since = beat, now
        elif beat and beat.doing.startswith(IMPORTING) and now - since > _SECONDS_OF_AN_IMPORT:
            raise ConfigError(
                [
                    f"{beat.doing} takes more than {_SECONDS_OF_AN_IMPORT:g} s: whatever it waits "
                    "for or computes at its top level, move into the class; nothing was trained"
                ]
            )
    return checking.result()


def _died(ready: Path | None) -> str:
    """What is said where the worker died that checks an experiment: at what it was."""
    beat = heard(ready)
    doing = f"while {beat.doing}" if beat else "before it had begun"
    return (
        f"the worker that checks the experiment died {doing}: it was killed, as where memory is "
        "short, or code of one's own has ended the process"
    )


def _hung(ready: Path | None, error: WorkerHungError) -> str:
    """What is said where that worker has ceased to do anything."""
    beat = heard(ready)
    doing = beat.doing if beat else "the check of the experiment"
    return (
        f"{doing} did not come to an end: {error}. Code of one's own waits there for something "
        "that does not come, as a lock, a server or standard input; nothing was trained"
    )


def _many(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


class _Closing(Engine, Protocol):
    """An engine that can be ended."""

    def close(self) -> None:
        """Wait for what runs, then end the workers."""

    def kill(self) -> None:
        """End the workers now."""


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


def _fetch_weights(experiment: Experiment) -> list[tuple[tuple[str, ...], str]]:
    """Runs in a worker."""
    from transfer_lab.grid.fetching import fetch_weights

    return fetch_weights(experiment)


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
