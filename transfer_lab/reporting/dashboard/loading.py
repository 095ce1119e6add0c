"""Experiments and what is stored of them, read anew only where something has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.names import RunName, run_names
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.predictions import Outcome, Predictions, beside
from transfer_lab.store.layout import RECORD
from transfer_lab.store.records import Record, RecordStore

Version = tuple[int, int]
"""Of a file: it has changed where this has."""


class WatchedPredictions(Predictions):
    """Predictions that are read again only where a run's file, or its accuracy, has changed."""

    def __init__(self, store: RecordStore):
        super().__init__(*beside(store))
        self._read_of: dict[str, tuple[Version | None, float]] = {}

    def of(self, run_id: str, accuracy: float) -> Outcome | None:
        """As for a report."""
        read_of = (version(self._locate(run_id)), accuracy)
        if self._read_of.get(run_id) != read_of:
            self._known.pop(run_id, None)
            self._read_of[run_id] = read_of
        return super().of(run_id, accuracy)


class WatchedStore(RecordStore):
    """A store that reads a record again only if its file has changed."""

    def __init__(self, root: Path | str):
        super().__init__(root)
        self._read: dict[str, tuple[Version, Record | None]] = {}
        self.predictions = WatchedPredictions(self)

    def versions(self, run_ids: Iterable[str]) -> tuple[Version | None, ...]:
        """Those of the records of these runs."""
        return tuple([version(f"{self.root}/{run_id}/{RECORD}") for run_id in run_ids])

    def get(self, run_id: str) -> Record | None:
        """As for every store."""
        found = version(f"{self.root}/{run_id}/{RECORD}")
        if found is None:
            return None
        known = self._read.get(run_id)
        if known is None or known[0] != found:
            known = self._read[run_id] = (found, super().get(run_id))
        return known[1]


@dataclass(frozen=True)
class Planned:
    """An experiment and its cells."""

    file: ExperimentFile
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, file: ExperimentFile) -> Planned:
        """The experiment of a file, and its plan."""
        return cls(file, plan(file.experiment))

    @property
    def experiment(self) -> Experiment:
        """What the file holds."""
        return self.file.experiment

    @property
    def overrides(self) -> tuple[str, ...]:
        """What `--set` has made of it."""
        return tuple(self.file.source.overrides.values())

    @cached_property
    def runs(self) -> dict[str, Run]:
        """All runs by id, those that others start from included."""
        found: dict[str, Run] = {}
        for cell in self.cells:
            for run in (cell.run, *cell.run.ancestors):
                found.setdefault(run.id, run)
        return found

    @cached_property
    def names(self) -> dict[str, RunName]:
        """What people call them."""
        return run_names(self.experiment, self.cells)

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The ids of the cells' runs: by these two plans are the same or not."""
        return tuple(cell.run.id for cell in self.cells)


class ExperimentCache:
    """Experiment files, each read once until it changes; one that is refused says why."""

    def __init__(self, overrides: Iterable[str] = ()):
        self._overrides = tuple(overrides)
        self._read: dict[Path, tuple[Version | None, Planned | str]] = {}

    def get(self, path: Path) -> Planned | str:
        """The experiment, or the problems with it."""
        found = version(path)
        known = self._read.get(path)
        if known is None or known[0] != found:
            known = self._read[path] = (found, self._planned(path))
        return known[1]

    def _planned(self, path: Path) -> Planned | str:
        try:
            return Planned.of(load_experiment(path, self._overrides))
        except ConfigError as error:
            return str(error)


def version(path: Path | str) -> Version | None:
    """That of a file; None where there is none."""
    try:
        file = os.stat(path)
    except OSError:
        return None
    return file.st_mtime_ns, file.st_size
