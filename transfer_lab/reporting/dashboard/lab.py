"""What the dashboard looks at: the experiments that are offered or running, and their studies."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer_lab.experiment.budget import under
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.dashboard.loading import (
    ExperimentCache,
    Planned,
    Version,
    WatchedStore,
)
from transfer_lab.reporting.dashboard.selection import Selection
from transfer_lab.reporting.gallery import Gallery
from transfer_lab.reporting.looks import looked_at
from transfer_lab.reporting.sections.cards import Answers
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.similarity.thumbnails import thumbnails
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.running import RunningGrid, running

_SECONDS_BETWEEN_LOOKS = 0.8
_STUDIES = 12
"""That are kept at a time: the seeds that somebody filters by make one each."""

Offered = Callable[[], Sequence[Path]]


@dataclass(frozen=True)
class Shown:
    """One of the studies that are looked at: of an experiment, under one of its budgets."""

    experiment: str
    budget: str | None
    planned: Planned
    study: Study

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.experiment}{under(self.budget)}"


@dataclass(frozen=True)
class Training:
    """A grid that is running, and under which name its experiment is looked at; None where it
    cannot be read from here: then `refused` says why."""

    grid: RunningGrid
    name: str | None
    refused: str = ""


class Lab:
    """Experiments from files and of running grids, over one store. Whoever asks holds `lock`."""

    def __init__(self, offered: Offered, overrides: Iterable[str], runs: Path):
        self.store, self.lock = WatchedStore(runs), threading.RLock()
        self._offered, self._cache = offered, ExperimentCache(overrides)
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._known: dict[str, Planned] = {}
        self._loaded: dict[str, Planned | str] = {}
        self._as_run: dict[str, Planned] = {}
        self._training: tuple[Training, ...] = ()
        self.refused: dict[str, str] = {}
        self._versions: dict[str, tuple[float, tuple[Version | None, ...]]] = {}
        self._answers: dict[int, Answers] = {}
        self._studies: dict[tuple[str, frozenset[int]], tuple[tuple[object, ...], Study]] = {}

    def known(self) -> dict[str, Planned]:
        """All that can be looked at, by name: what runs first, then what lies in files."""
        self._look()
        return self._known

    def training(self) -> tuple[Training, ...]:
        """The grids that are running on the store."""
        self._look()
        return self._training

    def version(self, name: str) -> tuple[Version | None, ...]:
        """Changes with any record of the experiment."""
        planned = self.known()[name]
        now = time.monotonic()
        known = self._versions.get(name)
        if known is None or now - known[0] > _SECONDS_BETWEEN_LOOKS:
            known = self._versions[name] = (now, self.store.versions(planned.runs))
        return known[1]

    def begun(self, name: str) -> bool:
        """Whether anything is stored of it."""
        trained = set(self.known()[name].trained)
        found = zip(self.known()[name].runs, self.version(name), strict=True)
        return any(run_id in trained for run_id, one in found if one)

    def newest(self, name: str) -> int:
        """When the last record of it was written, in nanoseconds; 0 without any."""
        return max((one[0] for one in self.version(name) if one), default=0)

    def default(self) -> str | None:
        """What is looked at first: what is running, else what was worked on last."""
        for one in self.training():
            if one.name:
                return one.name
        return max(self.known(), key=self.newest, default=None)

    def study(self, name: str, seeds: frozenset[int] = frozenset()) -> Study:
        """The report's view of an experiment, of some seeds or of all: every number comes from
        here."""
        planned = self.known()[name]
        seen = (self.version(name), planned.trained)
        known = self._studies.pop((name, seeds), None)
        if known is None or known[0] != seen:
            known = (seen, self._made(planned, seeds))
        self._studies[name, seeds] = known  # last: that which was not asked for longest goes first
        _keep_newest(self._studies)
        return known[1]

    def answers(self, study: Study) -> Answers:
        """What was decided in a study: computed once, whatever is looked at of it."""
        known = self._answers.pop(id(study), None) or Answers(study)  # which keeps the study alive
        self._answers[id(study)] = known
        _keep_newest(self._answers)
        return known

    def gallery(self, planned: Planned) -> Gallery:
        """What the domains of an experiment look like, as far as the store holds that."""
        return Gallery(thumbnails(planned.experiment, self.store), self.store.root / IMAGES)

    def token(self, name: str) -> str:
        """A word that changes with any record of the experiment."""
        return hashlib.sha256(repr(self.version(name)).encode()).hexdigest()[:12]

    def shown(self, selection: Selection) -> list[Shown]:
        """The studies that are looked at: of each experiment one for every budget."""
        found = []
        for name in selection.experiments:
            planned = self.known()[name]
            study = self.study(name, selection.seeds)
            found += [] if study.frame.empty else [Shown(name, None, planned, study)]
            found += [Shown(name, *entry) for entry in _further(planned, study)]
        return [one for one in found if selection.has_any(one.study)]

    def _made(self, planned: Planned, seeds: frozenset[int]) -> Study:
        table, course = looked_at(
            planned.experiment, planned.cells, self.store, self.store.predictions
        )
        if seeds:
            table = table[table["seed"].isin(seeds)]
        stored = StoredResults(table, course=course, predictions=self.store.predictions)
        # Experiments stand side by side: scores are accuracies, whatever leads in a report.
        return Study.of(planned.experiment.model_copy(update={"measure": "accuracy"}), stored)

    def _look(self) -> None:
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._known, self.refused = self._files()
        self._known |= self._as_run
        self._training = tuple(map(self._joined, running(self.store.root)))
        self._looked = time.monotonic()

    def _files(self) -> tuple[dict[str, Planned], dict[str, str]]:
        found: dict[str, Planned] = {}
        refused: dict[str, str] = {}
        for path in self._offered():
            one = self._cache.get(path)
            if isinstance(one, str):
                refused[str(path)] = one
            else:
                found[_free(one.experiment.name, str(path), found)] = one
        return found, refused

    def _joined(self, grid: RunningGrid) -> Training:
        """The grid under the name of the experiment with the same plan; else under one of its own,
        which stays on offer once the grid has ended."""
        if grid.name not in self._loaded:
            self._loaded[grid.name] = _planned(grid)
        planned = self._loaded[grid.name]
        if isinstance(planned, str):
            return Training(grid, None, planned)
        for name, other in self._known.items():
            if other.trained == planned.trained:
                return Training(grid, name)
        set_to = " ".join(f"--set {assignment}" for assignment in grid.overrides)
        name = _free(f"{grid.experiment} {set_to or 'as it runs'}", grid.name, self._known)
        self._as_run[name] = self._known[name] = planned
        return Training(grid, name)


def _keep_newest(kept: dict[Any, Any]) -> None:
    while len(kept) > _STUDIES:
        del kept[next(iter(kept))]


def _further(planned: Planned, study: Study) -> Iterator[tuple[str, Planned, Study]]:
    for budget, one in study.further.items():
        yield budget, planned, one


def _planned(grid: RunningGrid) -> Planned | str:
    try:
        return Planned.of(grid.load())
    except ConfigError as error:
        return str(error)


def _free(name: str, place: str, taken: Mapping[str, object]) -> str:
    """The name, with its place where another has the name already."""
    return name if name not in taken else f"{name} ({place})"
