"""Experiments and what is stored of them, read anew only where something has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.study import measured
from transfer_lab.store.layout import CURVE, RECORD
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.store.results import frame

if TYPE_CHECKING:
    import pandas as pd


class WatchedStore(RecordStore):
    """A store that reads a record again only if its file has changed."""

    def __init__(self, root: Path | str):
        super().__init__(root)
        self._read: dict[str, tuple[tuple[int, int], Record | None]] = {}

    def get(self, run_id: str) -> Record | None:
        """As for every store."""
        try:
            file = self.file(run_id, RECORD).stat()
        except OSError:
            return None
        version = (file.st_mtime_ns, file.st_size)
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
        return measured(frame(self.cells, store))


class ExperimentCache:
    """Experiment files, each read once until it changes; one that is refused says why."""

    def __init__(self):
        self._read: dict[Path, tuple[int, Planned | str]] = {}

    def get(self, path: Path) -> Planned | str:
        """The experiment, or the problems with it."""
        try:
            version = path.stat().st_mtime_ns
        except OSError:
            version = 0
        known = self._read.get(path)
        if known is None or known[0] != version:
            known = self._read[path] = (version, _planned(path))
        return known[1]


def _planned(path: Path) -> Planned | str:
    try:
        experiment = load_experiment(path).experiment
    except ConfigError as error:
        return str(error)
    return Planned(experiment, plan(experiment))
