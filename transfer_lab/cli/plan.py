"""What an experiment would run, and what that would take: for people, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from transfer_lab.cli.status import backbone_keys, outdated_lines
from transfer_lab.cli.tables import table, wrapped
from transfer_lab.experiment.budget import MAIN, under
from transfer_lab.experiment.looks import Looks
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.experiment.taxonomy import possible, words
from transfer_lab.grid.scheduler import todo
from transfer_lab.grid.time_left import spoken
from transfer_lab.reporting.looks import beyond, course
from transfer_lab.store.outdated import outdated
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import NOT_NEEDED, WAITING
from transfer_lab.system import host
from transfer_lab.system.workers import Workers

if TYPE_CHECKING:
    from transfer_lab.grid.estimate import Estimate

SCHEMA = 1
_BUSY = 0.7
_MANY = 12
"""More values of an axis than these are not listed one by one."""


class Planned:
    """An experiment's cells, what of them is to be trained, and, once asked for, the estimate.

    `work` is what is to be trained in any case, `most` with every seed that may still be needed.
    """

    def __init__(self, experiment: Experiment, store: RecordStore):
        self.experiment, self.store = experiment, store
        self.cells = plan(experiment)
        self.runs = runs_of(self.cells)
        found = course(experiment, self.cells, store)
        self.beyond = beyond(experiment, self.cells, found) if found else [None] * len(self.cells)
        self.asked, self.waiting = self._cells_that_are(None), self._cells_that_are(WAITING)
        self.work = todo(self.asked, store)
        self.most = todo((*self.asked, *self.waiting), store) if self.waiting else self.work
        self.searches = sum(run.purpose == "search" for run in self.runs.values())
        self.estimate: Estimate | None = None
        self.estimate_at_most: Estimate | None = None
        self.no_estimate: str | None = None
        missing = [self.runs[i] for i in self.work.runs if i in self.runs]
        self.outdated = outdated(missing, store)

    def ask(self, workers: Workers) -> None:
        """Estimate what training takes, or note why that fails: then it fails of somebody's own
        code, or of memory, and the plan stands all the same. Needs torch."""
        from transfer_lab.grid.estimate import estimate

        workers = workers.unless_told(self.experiment.precision)
        try:
            self.estimate = estimate(self.work, self.runs, self.store, workers)
            if self.waiting:
                self.estimate_at_most = estimate(self.most, self.runs, self.store, workers)
        except Exception as error:
            self.no_estimate = _reason(error)

    def text(self, width: int | None) -> str:
        """The grid, how much of it is to be trained, and what that takes."""
        parts = [
            _grid(self.experiment, width),
            self._counted(),
            *outdated_lines(self.outdated, self.store.root),
        ]
        if self.estimate:
            parts.append(wrapped("to train", told(self.estimate, self.estimate_at_most), width))
        if self.no_estimate:
            parts.append(wrapped("time cannot be estimated", self.no_estimate, width))
        return "\n".join(parts)

    def _counted(self) -> str:
        left, looks = len(self.work.runs), self.experiment.looks
        stored = f"{self.work.total - left} stored or not needed"
        if looks is None:
            cells = f"{len(self.cells)} cells, {self.work.total} distinct runs{self._searches()}"
            return f"{cells}; {left} to train, {stored}"
        later = len(self.most.runs) - left
        perhaps = f", at most {later} more" if later else ""
        return (
            f"{_range(looks.start, looks.at_most)} seeds: "
            f"{_range(self.work.total, self.most.total)} runs{self._searches()} for "
            f"{_range(len(self.asked), len(self.asked) + len(self.waiting))} cells; "
            f"{left} to train{perhaps}, {stored}"
        )

    def _cells_that_are(self, state: str | None) -> tuple[Cell, ...]:
        return tuple(c for c, known in zip(self.cells, self.beyond, strict=True) if known == state)

    def listing(self, *, wide: bool) -> Iterator[str]:
        """A line a cell, in the experiment's own names; with its run's id where there is room."""
        keys = backbone_keys(self.experiment)
        rows = [
            (cell.scenario, keys[cell.backbone], cell.regime + under(cell.budget))
            for cell in self.cells
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        broad = 8 if self.experiment.looks is None else len(NOT_NEEDED)
        for number, (cell, row) in enumerate(zip(self.cells, rows, strict=True)):
            place = "  ".join(f"{text:{w}}" for text, w in zip(row, widths, strict=True))
            run_id = f"  {cell.run.id}" if wide else ""
            yield f"{self._state(number):{broad}}  {place}  {cell.unit}{run_id}"

    def content(self) -> dict[str, object]:
        """The same as data: what `--json` prints. Keys are added, never renamed, under a schema."""
        keys = backbone_keys(self.experiment)
        left = len(self.work.runs)
        return {
            "schema": SCHEMA,
            "experiment": self.experiment.name,
            "runs_folder": str(self.store.root),
            "runs": {
                "total": self.work.total,
                "to_train": left,
                "stored_or_not_needed": self.work.total - left,
                "searches": self.searches,
                "at_most_later": len(self.most.runs) - left,
            },
            "older_protocols": {str(old.protocol): old.records for old in self.outdated},
            "estimate": self.estimate and self.estimate._asdict(),
            "estimate_at_most": self.estimate_at_most and self.estimate_at_most._asdict(),
            "no_estimate": self.no_estimate,
            "taxonomy": {
                name: [one._asdict() for one in possible(self.experiment, name)]
                for name in self.experiment.scenarios
            },
            "cells": [
                {
                    "scenario": cell.scenario,
                    "backbone": keys[cell.backbone],
                    "regime": cell.regime,
                    "budget": cell.budget,
                    "seed": cell.seed,
                    "fold": cell.fold,
                    "run_id": cell.run.id,
                    "state": self._state(number),
                }
                for number, cell in enumerate(self.cells)
            ],
        }

    def _searches(self) -> str:
        """How many of the runs only find the options of the others."""
        how = self.experiment.search
        return f" ({self.searches} of them searches at seed {how.seed})" if how else ""

    def _state(self, number: int) -> str:
        run, other = self.cells[number].run, self.beyond[number]
        if other and not self.store.is_done(run, with_weights=False):
            return other
        return "to train" if run.id in self.work.runs else "stored"


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _reason(error: Exception) -> str:
    """Kind and first line of an error, on which torch may write many."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def told(found: Estimate, at_most: Estimate | None = None) -> str:
    """One sentence: how long on how many workers, memory, disk, and what it rests on; and how long
    with every seed that may be needed."""
    low, high = spoken(found.low_seconds), spoken(found.high_seconds)
    if low.partition(" ")[2] == high.partition(" ")[2]:
        low = low.partition(" ")[0]
    many = "1 worker" if found.workers == 1 else f"{found.workers} workers"
    ground = []
    if found.stored_runs:
        ground.append(f"{found.stored_runs} stored run{'s' if found.stored_runs > 1 else ''}")
    if found.calibration_seconds > 0.1 or not ground:
        ground.append(f"a calibration of {max(1, round(found.calibration_seconds))} s")
    most = f" (with every seed {spoken(at_most.high_seconds)} at most)" if at_most else ""
    return (
        f"about {low} to {high}{most} on {many}, {_gigabytes(found.memory_mb)} of memory, "
        f"{_gigabytes(found.disk_mb)} on disk; from {' and '.join(ground)}{_beside()}"
    )


def _beside() -> str:
    """What the estimate cannot know: other programs on the same processors."""
    load = host.busy()
    if load < _BUSY:
        return ""
    return f"; other programs keep this machine busy now ({load:.1f} for each core): longer then"


def _gigabytes(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 100 else f"{max(1, round(megabytes))} MB"


def _grid(experiment: Experiment, width: int | None) -> str:
    rows = [
        (name, place.path or "–", place.target, place.per_class)
        for name, place in experiment.scenarios.items()
    ]
    axes = {
        "backbones": [choice.label for choice in experiment.backbones.values()],
        "regimes": experiment.regimes,
        "seeds": experiment.seeds if experiment.looks is None else _looks(experiment.looks),
    }
    return "\n".join(
        [
            table(rows, ("scenario", "source", "target", "images per class"), width),
            *(wrapped(f"x {name}", _listed(values), width) for name, values in axes.items()),
            *_budgets(experiment),
            *(wrapped(*named, width) for named in _taxonomies(experiment).items()),
        ]
    )


def _looks(looks: Looks) -> list[str]:
    """'3', '5', 'then 8, until nothing is more than 2 points better'."""
    *some, last = map(str, looks.counts)
    until = f"until nothing is more than {looks.until:g} points better than what leads"
    return [*some, f"{'then ' if some else ''}{last}, {until}"]


def _taxonomies(experiment: Experiment) -> dict[str, str]:
    """What texts call the scenarios, by the names of those that they call the same."""
    called: dict[str, list[str]] = {}
    for scenario in experiment.scenarios:
        if names := possible(experiment, scenario):
            called.setdefault(words(names), []).append(scenario)
    alike = len(called) == 1
    return {
        "taxonomy" if alike else f"taxonomy of {_listed(scenarios)}": text
        for text, scenarios in called.items()
    }


def _listed(values: Iterable[object]) -> str:
    """All of them, or of many the first and the last."""
    texts = [str(value) for value in values]
    if len(texts) <= _MANY:
        return ", ".join(texts)
    return f"{', '.join(texts[:3])}, ..., {texts[-1]} ({len(texts):,} in all)"


def _budgets(experiment: Experiment) -> list[str]:
    """The budgets under which the grid is planned, where there are several."""
    if not experiment.budgets:
        return []
    named = {MAIN: experiment.fit} | experiment.budgets
    return [f"x budgets: {', '.join(named)}", *(f"    {n}: {f.length}" for n, f in named.items())]
