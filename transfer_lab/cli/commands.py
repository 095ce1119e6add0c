"""What each command does, step by step. Imports nothing heavy before it is needed."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from transfer_lab.cli.plan import Planned
from transfer_lab.cli.status import Status, outdated_lines
from transfer_lab.cli.tables import cut, room, table
from transfer_lab.experiment import plan as planning
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.published import unknown_weights
from transfer_lab.experiment.spec import Cell
from transfer_lab.grid import similarity as comparing
from transfer_lab.grid import train as grid
from transfer_lab.grid.progress import Waiting
from transfer_lab.reporting import looks
from transfer_lab.reporting.trackers.tracker import Trackers
from transfer_lab.store.outdated import outdated
from transfer_lab.store.records import RecordStore
from transfer_lab.system import host
from transfer_lab.system.files import DiskFullError
from transfer_lab.system.output import plain
from transfer_lab.system.pulse import tell
from transfer_lab.system.workers import Workers

if TYPE_CHECKING:
    from transfer_lab.reporting.study import Study
    from transfer_lab.similarity.climbed import Climbed

OUT, ERR = Console(highlight=False), Console(stderr=True, highlight=False)
INTERRUPTED = 130


@dataclass(frozen=True)
class Look:
    """How something is shown: with every detail, with lines of any length, or as JSON."""

    verbose: bool = False
    wide: bool = False
    json: bool = False


def plan(
    path: Path,
    overrides: list[str],
    runs: Path,
    *,
    look: Look,
    workers: Workers,
    download: bool = False,
) -> None:
    """Print the grid: cells, distinct runs, what is stored, and what training the rest takes;
    refuses what a run would refuse."""
    file = _loaded(path, overrides, download=download)
    planned = Planned(file.experiment, _store(runs))
    if planned.work.runs:  # otherwise a run would refuse nothing, and torch takes seconds to import
        with Waiting(ERR, "loading torch"):
            from transfer_lab.grid.preflight import preflight

            file.refuse(preflight(file.experiment, download=download))
            tell("estimating time, memory and disk")
            planned.ask(workers)
    if look.json:
        _say(json.dumps(planned.content(), indent=2))
        return
    width = room(OUT, wide=look.wide)
    if look.verbose:
        from transfer_lab.cli.freeze_table import frozen_maps

        for stages in frozen_maps(file.experiment, width):
            _say(stages)
        for line in planned.listing(wide=width is None):
            _say(cut(line, width))
    _say(planned.text(width))


def run(
    path: Path,
    overrides: list[str],
    runs: Path,
    reports: Path,
    *,
    workers: Workers,
    download: bool = False,
) -> int:
    """Train what is missing and write the report; returns the exit code."""
    file = _loaded(path, overrides, download=download)
    grid.check_writable(runs, reports)
    store, cells = _store(runs), planning.plan(file.experiment)
    command = grid.command_for(file, runs, reports)
    again = grid.command_for(file, runs, reports, workers) + (" --download" if download else "")
    trackers = Trackers(file.experiment, cells, store, _warn)
    due = looks.due(file.experiment, cells, store, _say)
    known = (file, cells, store, trackers, workers, VOICE)
    try:
        with _stopping_at_signals():
            summary = grid.train_missing(*known, looks=due, download=download)
    except KeyboardInterrupt:
        _warn(f"\nstopped; finished runs are stored. To go on: {again}")
        return INTERRUPTED
    except DiskFullError as error:
        _warn(f"stopped: {error}. Finished runs are stored. Make room, then go on: {again}")
        return 1
    if file.experiment.keep:
        from transfer_lab.advice.keeping import keep_models

        keep_models(file, cells, store, _say, _warn)
    _write_report(file, cells, store, reports, command)
    trackers.summarise(partial(_study, file, cells, store, command))
    trackers.close()  # last, so that a tracker out of reach delays nothing
    if summary.failed:
        _warn(
            f"{len(summary.failed)} runs failed and {len(summary.blocked)} could not start; the "
            f"report names them. To try them again: {again}",
        )
    return 1 if summary.failed else 0


def report(path: Path, overrides: list[str], runs: Path, reports: Path) -> None:
    """Write the report on what is stored."""
    file = load_experiment(path, overrides)
    _tell_unknown(file)
    grid.check_writable(reports)
    cells, store = planning.plan(file.experiment), _store(runs)
    command = grid.command_for(file, runs, reports)
    _write_report(file, cells, store, reports, command)
    missing = planning.runs_of(cell for cell in cells if store.get(cell.run.id) is None)
    for line in outdated_lines(outdated(missing.values(), store), runs):
        _say(line)


def latex(path: Path, overrides: list[str], runs: Path, reports: Path) -> None:
    """Write the main tables of the report as LaTeX, beside it."""
    file = load_experiment(path, overrides)
    grid.check_writable(reports)
    from transfer_lab.reporting.collect import write_tables

    cells = planning.plan(file.experiment)
    for written in write_tables(file.experiment, cells, _store(runs), reports):
        _say(f"table: {written}")


def status(path: Path, overrides: list[str], runs: Path, look: Look) -> None:
    """Print counts by scenario and regime, and every failure with its reason. Raises ConfigError
    where there is no store."""
    file = load_experiment(path, overrides)
    _tell_unknown(file)
    found = Status(file.experiment, _store(runs))
    if look.json:
        _say(json.dumps(found.content(), indent=2))
    else:
        _say(found.text(room(OUT, wide=look.wide)))


def similarity(
    path: Path,
    overrides: list[str],
    runs: Path,
    reports: Path,
    *,
    jobs: int | None,
    threads: int,
    ladders: bool = False,
) -> int:
    """Measure what is not stored of source and target, and print all of it; the exit code."""
    file = load_experiment(path, overrides)
    grid.check_writable(runs, *([reports] if ladders else []))
    store = _store(runs)
    similarities = comparing.SimilarityJobs(file.experiment, store, _say, _warn)
    try:
        with _stopping_at_signals():
            climbed = similarities.work(jobs or host.cores(), threads, ladders=ladders)
    except KeyboardInterrupt:
        _warn("\nstopped; what was measured is stored, and the same command goes on")
        return INTERRUPTED
    if ladders:
        _draw_ladders(climbed, reports / file.experiment.name / "ladders.png")
    found = comparing.rows(file.experiment, store)
    _say(table(found, comparing.HEAD, room(OUT), keys=2))
    return 1 if comparing.pending(file.experiment, store).jobs else 0


def _loaded(path: Path, overrides: list[str], *, download: bool = False) -> ExperimentFile:
    """The experiment; what it names and is not here is fetched, or said to be missing."""
    file = load_experiment(path, overrides)
    return grid.with_weights(file) if download else file


def _tell_unknown(file: ExperimentFile) -> None:
    """Why runs may be missing that are stored."""
    for name in unknown_weights(file.experiment):
        _warn(
            f"{file.source.path}: backbones.{name}: the published weights are not on this machine, "
            "and what is stored is known by their content: name it, as pretrained: {imagenet: "
            "SHA256}"
        )


def _write_report(
    file: ExperimentFile, cells: tuple[Cell, ...], store: RecordStore, reports: Path, command: str
) -> None:
    from transfer_lab.reporting.collect import write_report

    page = write_report(file.experiment, cells, store, reports, command)
    _say(f"report: {page} and {page.with_name('report.md')}")


def _study(
    file: ExperimentFile, cells: tuple[Cell, ...], store: RecordStore, command: str
) -> Study:
    from transfer_lab.reporting.collect import study

    return study(file.experiment, cells, store, command)


def _draw_ladders(climbed: list[Climbed], picture: Path) -> None:
    from transfer_lab.reporting.figures.ladders import summary, write_picture

    if not climbed:
        _warn("no ladder could be climbed; nothing is drawn")
        return
    write_picture(climbed, picture)
    _say(summary(climbed))
    _say(f"ladders: {picture}")


def _store(runs: Path) -> RecordStore:
    return RecordStore(runs, warn=_warn)


def _say(text: str) -> None:
    VOICE.say(text)


def _warn(text: str) -> None:
    ERR.print(plain(text), markup=False, soft_wrap=True)


@contextlib.contextmanager
def _stopping_at_signals() -> Iterator[None]:
    """Within this SIGINT and SIGTERM interrupt once; the second one ends the process there and
    then, of which no finished run knows anything."""
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(*_: object) -> None:
        for number in known:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in known:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, before in known.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, before)


VOICE = grid.Voice(OUT, _warn)
