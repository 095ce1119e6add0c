"""Experiments and what is stored of them, read anew only where something has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.looks import frame
from transfer_lab.reporting.predictions import Outcome, Predictions, beside
from transfer_lab.reporting.study import measured
from transfer_lab.store.layout import CURVE, RECORD
from transfer_lab.store.records import Record, RecordStore

if TYPE_CHECKING:
    import pandas as pd


Version = tuple[int, int]
"""Of a file: it has changed where this has."""


class WatchedPredictions(Predictions):
    """Predictions that are read again only where a run's file, or its accuracy, has changed."""

    def __init__(self, store: RecordStore):
        super().__init__(beside(store))
        self._read_of: dict[str, tuple[Version | None, float]] = {}

    def of(self, run_id: str, accuracy: float) -> Outcome | None:
        """As for a report."""
        read_of = (_version(self._locate(run_id)), accuracy)
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

    def get(self, run_id: str) -> Record | None:
        """As for every store."""
        version = _version(self.file(run_id, RECORD))
        if version is None:
            return None
        known = self._read.get(run_id)
        if known is None or known[0] != version:
            known = self._read[run_id] = (version, super().get(run_id))
        return known[1]

    def curve(self, run_id: str) -> pd.DataFrame | None:
        """The learning curve of a run, or None where there is none."""
        import pandas as pd

        try:
            return pd.read_csv(self.file(run_id, CURVE))
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Planned:
    """An experiment and its cells."""

    experiment: Experiment
    cells: tuple[Cell, ...]

    def table(self, store: RecordStore) -> pd.DataFrame:
        """One row a cell, as in records.csv, with numbers as numbers."""
        return measured(frame([(self.experiment, self.cells)], store))


class ExperimentCache:
    """Experiment files, each read once until it changes; one that is refused says why."""

    def __init__(self):
        self._read: dict[Path, tuple[Version | None, Planned | str]] = {}

    def get(self, path: Path) -> Planned | str:
        """The experiment, or the problems with it."""
        version = _version(path)
        known = self._read.get(path)
        if known is None or known[0] != version:
            known = self._read[path] = (version, _planned(path))
        return known[1]


def _version(path: Path) -> Version | None:
    try:
        file = path.stat()
    except OSError:
        return None
    return file.st_mtime_ns, file.st_size


def _planned(path: Path) -> Planned | str:
    try:
        experiment = load_experiment(path).experiment
    except ConfigError as error:
        return str(error)
    return Planned(experiment, plan(experiment))
