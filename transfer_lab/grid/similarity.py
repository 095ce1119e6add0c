"""Measure what an experiment's comparisons lack, in worker processes. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.experiment.choices import Spec
from transfer_lab.experiment.foreign import foreign_code
from transfer_lab.experiment.names import run_names
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Experiment, Run
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.engines import EngineError
from transfer_lab.grid.scheduler import Engine
from transfer_lab.similarity.overlap import Counted, Overlap, Pair, overlap_store, pairs
from transfer_lab.similarity.pairs import (
    Compared,
    Comparison,
    Named,
    comparison_store,
    comparisons,
    results,
    waits_for,
)
from transfer_lab.similarity.thumbnails import Depicted, depicted, thumbnail_store
from transfer_lab.store.records import RecordStore

if TYPE_CHECKING:
    from transfer_lab.similarity.climbed import Climbed

Say = Callable[[str], None]


@dataclass
class Pending:
    """Comparisons without a result: those that can be measured, and those whose source run has
    left no weights yet; pairs of domains whose shared images were not counted; and domains of which
    no thumbnails are kept, by name."""

    open: list[Named] = field(default_factory=list)
    waiting: list[tuple[Named, Run]] = field(default_factory=list)
    uncounted: list[Pair] = field(default_factory=list)
    unseen: dict[str, Depicted] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """How much can be done now."""
        return len(self.open) + len(self.uncounted) + len(self.unseen)


def pending(experiment: Experiment, store: RecordStore) -> Pending:
    """What is still to be measured."""
    found, known = Pending(), comparison_store(store)
    for named in comparisons(experiment):
        if known.get(named.comparison.id) is not None:
            continue
        run = waits_for(named.comparison, store)
        if run is None:
            found.open.append(named)
        else:
            found.waiting.append((named, run))
    counts = overlap_store(store)
    found.uncounted = [p for p in pairs(experiment) if counts.get(p.overlap.id) is None]
    taken = thumbnail_store(store)
    found.unseen = {n: d for n, d in depicted(experiment).items() if taken.get(d.id) is None}
    return found


@dataclass(frozen=True)
class SimilarityJobs:
    """Where an experiment's comparisons are measured, and whom to tell."""

    experiment: Experiment
    store: RecordStore
    say: Say
    warn: Say

    def work(self, jobs: int, threads: int, *, ladders: bool = False) -> list[Climbed]:
        """Measure what is missing in worker processes of its own, and climb the ladders if they
        are wanted; returns those. ConfigError if no worker can be started. An interrupt ends the
        workers and is raised again."""
        from transfer_lab.grid.engines.local import LocalEngine

        work = pending(self.experiment, self.store)
        if not work.jobs and not ladders:
            self._tell(work)
            return []
        try:
            engine = LocalEngine(max(1, min(jobs, work.jobs)), threads)
        except EngineError as error:
            raise ConfigError([str(error)]) from error
        try:
            self.measure(engine)
            climbed = self._climb(engine) if ladders else []
        except BaseException:
            engine.kill()
            raise
        engine.close()
        return climbed

    @property
    def _root(self) -> str:
        return str(self.store.root.absolute())  # a worker may stand elsewhere

    def measure(self, engine: Engine) -> None:
        """Measure what is missing; what goes wrong is told, and never raised."""
        try:
            self._measure(engine)
        except Exception as error:
            self.warn(f"similarities were not measured: {type(error).__name__}: {error}")

    def _measure(self, engine: Engine) -> None:
        work = pending(self.experiment, self.store)
        self._tell(work)
        futures: dict[Future, str] = {
            _submitted(engine, _measure, self._root, named.comparison): named.title
            for named in work.open
        }
        for pair in work.uncounted:
            futures[_submitted(engine, _count, self._root, pair.overlap)] = pair.title
        looked = {
            _submitted(engine, _take, self._root, domain): name
            for name, domain in work.unseen.items()
        }
        for number, future in enumerate(as_completed(futures), start=1):
            title, error = futures[future], future.exception()
            if error is None:
                took = f"{future.result().seconds:.1f} s"
                self.say(f"similarity {number} of {len(futures)}: {title} ({took})")
            else:
                self.warn(f"similarity of {title}: {type(error).__name__}: {error}")
        for future, name in looked.items():
            if error := future.exception():
                self.warn(f"thumbnails of {name}: {type(error).__name__}: {error}")

    def _tell(self, work: Pending) -> None:
        names = run_names(self.experiment, plan(self.experiment)) if work.waiting else {}
        for named, run in work.waiting:
            self.warn(
                f"similarity of {named.title}: the {names[run.id]} [{run.id}] has left no weights "
                "yet"
            )

    def _climb(self, engine: Engine) -> list[Climbed]:
        """One set of ladders for each source and space."""
        from transfer_lab.similarity.climbed import Climbed  # it loads numpy

        known: dict[tuple[str, str], Comparison] = {}
        for named in comparisons(self.experiment):
            if named.comparison.source and waits_for(named.comparison, self.store) is None:
                known.setdefault((named.source, named.space), named.comparison)
        found = []
        for (source, space), comparison in known.items():
            self.say(f"ladders of {source}, {space} ...")
            call = _submitted(engine, _climb, self._root, comparison)
            error = call.exception()
            if error is None:
                found += [Climbed(source, space, *ladder) for ladder in call.result()]
            else:
                self.warn(f"ladders of {source}, {space}: {type(error).__name__}: {error}")
        return found


def _submitted(engine: Engine, call: Callable[..., object], root: str, asked: Spec) -> Future:
    code = foreign_code(asked)
    if code is None:
        return engine.submit(call, root, asked)
    return engine.submit_apart(code, call, root, asked)


HEAD = ("source → target", "features", "position", "95 %", "MMD²", "A-distance", "kNN gain")


def rows(experiment: Experiment, store: RecordStore) -> list[list[str]]:
    """The stored results for a terminal in the columns of `HEAD`, one row a comparison."""
    known = results(experiment, store)
    return [_row(named, known.get(named.comparison.id)) for named in comparisons(experiment)]


def _row(named: Named, found: Compared | None) -> list[str]:
    start = [f"{named.source} → {named.target}", named.space]
    if found is None:
        return [*start, "not measured", *[""] * (len(HEAD) - 3)]
    position, interval = "–", "–"
    if found.position:
        value, low, high = found.position
        position, interval = f"{value:.2f}", f"{low:.2f} to {high:.2f}"
    pairs = (found.mmd2, found.proxy_a, found.neighbours_gain)
    return [*start, position, interval, *(_with_error(pair) for pair in pairs)]


def _with_error(pair: tuple[float, float] | None) -> str:
    return "–" if pair is None else f"{pair[0]:.3f} ± {pair[1]:.3f}"


def _climb(root: str, comparison: Comparison) -> list[tuple]:
    """Runs in a worker."""
    from transfer_lab.similarity.ladder_check import climb

    return climb(comparison, RecordStore(Path(root)))


def _measure(root: str, comparison: Comparison) -> Compared:
    """Runs in a worker."""
    from transfer_lab.similarity.measure import measure

    return measure(comparison, RecordStore(Path(root)))


def _count(root: str, overlap: Overlap) -> Counted:
    """Runs in a worker."""
    from transfer_lab.similarity.count_overlap import count

    return count(overlap, RecordStore(Path(root)))


def _take(root: str, domain: Depicted) -> None:
    """Runs in a worker."""
    from transfer_lab.similarity.take_thumbnails import take

    take(domain, RecordStore(Path(root)))
