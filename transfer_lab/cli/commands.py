"""What each command does, step by step. Imports nothing heavy before it is needed."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from tabulate import tabulate

from transfer_lab.experiment import plan as planning
from transfer_lab.experiment.budget import MAIN, under
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.grid import similarity as comparing
from transfer_lab.grid import train as grid
from transfer_lab.grid.scheduler import todo
from transfer_lab.reporting.wandb.tracker import Tracker
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import State, states
from transfer_lab.system import host
from transfer_lab.system.workers import Workers

if TYPE_CHECKING:
    from transfer_lab.reporting.study import Study
    from transfer_lab.similarity.climbed import Climbed

OUT, ERR = Console(highlight=False), Console(stderr=True, highlight=False)
INTERRUPTED = 130
_MANY = 12
"""More values of an axis than these are not listed one by one."""


def plan(
    path: Path, overrides: list[str], runs: Path, *, verbose: bool, download: bool = False
) -> None:
    """Print the grid: cells, distinct runs, what is stored; refuses what a run would refuse."""
    file = load_experiment(path, overrides)
    cells = planning.plan(file.experiment)
    work = todo(cells, _store(runs))
    if work.runs:  # otherwise a run would refuse nothing, and torch takes seconds to import
        from transfer_lab.grid.preflight import preflight

        file.refuse(preflight(file.experiment, download=download))
    if verbose:
        from transfer_lab.cli.freeze_table import frozen_maps

        for table in frozen_maps(file.experiment):
            _say(table)
        for cell in cells:
            state = "to train" if cell.run.id in work.runs else "stored"
            place = f"{cell.scenario:17} {cell.run.title}{under(cell.budget)}"
            _say(f"{cell.run.id}  {state:8}  {place}")
    _say(_grid_text(file.experiment))
    _say(
        f"{len(cells)} cells, {work.total} distinct runs; {len(work.runs)} to train, "
        f"{work.total - len(work.runs)} stored or not needed"
    )


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
    file = load_experiment(path, overrides)
    grid.check_writable(runs, reports)
    store, cells = _store(runs), planning.plan(file.experiment)
    command = grid.command_for(file, runs, reports)
    tracker = Tracker(file.experiment.wandb, cells, store, _warn)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        summary = grid.train_missing(file, cells, store, tracker, workers, VOICE, download=download)
    except KeyboardInterrupt:
        again = command + (" --engine ray" if workers.engine == "ray" else "")
        _warn(f"\nstopped; finished runs are stored. To go on: {again}")
        return INTERRUPTED
    _write_report(file, cells, store, reports, command)
    tracker.summarise(partial(_study, file, cells, store, command))
    tracker.close()  # last, so that a W&B out of reach delays nothing
    if summary.failed:
        _warn(
            f"{len(summary.failed)} runs failed and {len(summary.blocked)} could not start; the "
            f"report names them. To try them again: {command}",
        )
    return 1 if summary.failed else 0


def report(path: Path, overrides: list[str], runs: Path, reports: Path) -> None:
    """Write the report on what is stored."""
    file = load_experiment(path, overrides)
    grid.check_writable(reports)
    cells = planning.plan(file.experiment)
    command = grid.command_for(file, runs, reports)
    _write_report(file, cells, _store(runs), reports, command)


def latex(path: Path, overrides: list[str], runs: Path, reports: Path) -> None:
    """Write the main tables of the report as LaTeX, beside it."""
    file = load_experiment(path, overrides)
    grid.check_writable(reports)
    from transfer_lab.reporting.collect import write_tables

    cells = planning.plan(file.experiment)
    for written in write_tables(file.experiment, cells, _store(runs), reports):
        _say(f"table: {written}")


def status(path: Path, overrides: list[str], runs: Path) -> None:
    """Print counts by scenario and regime, and every failure with its reason."""
    file = load_experiment(path, overrides)
    found = tuple(states(planning.plan(file.experiment), _store(runs)))
    counts = Counter(state.status for _, state in found)
    _say(f"{counts['done']} of {len(found)} cells done " + _others(counts))
    _say(_status_text(found))
    failed: dict[str, tuple[Cell, str | None]] = {}
    for cell, state in found:
        if state.status == "failed":
            failed.setdefault(cell.run.id, (cell, state.error))
    for run_id, (cell, error) in failed.items():
        _say(
            f"failed {run_id}: {cell.scenario} {cell.backbone} {cell.regime} seed {cell.seed}"
            f"{under(cell.budget)}: {error}",
        )


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
    desk = comparing.SimilarityJobs(file.experiment, store, _say, _warn)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        climbed = desk.work(jobs or host.cores(), threads, ladders=ladders)
    except KeyboardInterrupt:
        _warn("\nstopped; what was measured is stored, and the same command goes on")
        return INTERRUPTED
    if ladders:
        _draw_ladders(climbed, reports / file.experiment.name / "ladders.png")
    _say(comparing.table(file.experiment, store))
    return 1 if comparing.pending(file.experiment, store).jobs else 0


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
    ERR.print(text, markup=False, soft_wrap=True)


VOICE = grid.Voice(OUT, _warn)


def _others(counts: Counter) -> str:
    parts = [f"{counts[s]} {s}" for s in ("failed", "blocked", "missing") if counts[s]]
    return f"({', '.join(parts)})" if parts else ""


def _grid_text(experiment: Experiment) -> str:
    rows = [
        (name, place.source, place.target, place.per_class)
        for name, place in experiment.scenarios.items()
    ]
    axes = {
        "backbones": [choice.label for choice in experiment.backbones.values()],
        "regimes": experiment.regimes,
        "seeds": experiment.seeds,
    }
    return "\n".join(
        [
            tabulate(rows, headers=("scenario", "source", "target", "images per class")),
            *(f"x {name}: {_listed(values)}" for name, values in axes.items()),
            *_budgets_text(experiment),
        ]
    )


def _listed(values: Iterable[object]) -> str:
    """All of them, or of many the first and the last."""
    texts = [str(value) for value in values]
    if len(texts) <= _MANY:
        return ", ".join(texts)
    return f"{', '.join(texts[:3])}, ..., {texts[-1]} ({len(texts):,} in all)"


def _budgets_text(experiment: Experiment) -> list[str]:
    """The budgets under which the grid is planned, where there are several."""
    if not experiment.budgets:
        return []
    named = {MAIN: experiment.fit} | experiment.budgets
    return [f"x budgets: {', '.join(named)}", *(f"    {n}: {f.length}" for n, f in named.items())]


def _status_text(found: Iterable[tuple[Cell, State]]) -> str:
    counts: dict[str, dict[str, Counter]] = {}
    for cell, state in found:
        regime = counts.setdefault(cell.regime + under(cell.budget), {})
        regime.setdefault(cell.scenario, Counter())[state.status] += 1
    rows = [
        {"regime": name} | {s: f"{n['done']}/{n.total()}" for s, n in scenarios.items()}
        for name, scenarios in counts.items()
    ]
    return tabulate(rows, headers="keys")
