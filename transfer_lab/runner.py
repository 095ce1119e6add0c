"""Order, skip, isolate: cells -> records on disk. Knows nothing of training."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from transfer_lab.leases import Leases
from transfer_lab.plan import parents_of, runs_of
from transfer_lab.record_store import Record, RecordStore
from transfer_lab.spec import Cell, Run

_PATIENCE = 1.0
"""Seconds between looks at what runs elsewhere."""


class Engine(Protocol):
    """Where runs execute, `slots` at a time."""

    slots: int

    def submit(self, call: Callable[..., object], *args: object) -> Future:
        """Run `call(*args)` and give a future of its result."""


class Watch(Protocol):
    """Someone to tell how the grid goes."""

    def started(self, run: Run) -> None:
        """A run has been handed to the engine."""

    def ended(self, run: Run, record: Record) -> None:
        """A run's record, done or failed, is on disk."""


@dataclass
class Todo:
    """What a grid still needs: its runs by id, parents first, and which must leave weights."""

    runs: dict[str, Run]
    parents: frozenset[str]
    total: int


@dataclass
class Summary:
    """How a grid ended: ids of the runs that were trained, that another process trained meanwhile,
    that failed, that were blocked."""

    done: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


def todo(cells: Iterable[Cell], store: RecordStore) -> Todo:
    """Runs without a finished record, and the source runs that those start from.

    A source run that only finished runs started from is not needed again.
    """
    cells = tuple(cells)
    targets = {cell.run.id: cell.run for cell in cells}
    open_targets = {
        run_id for run_id, run in targets.items() if not store.is_done(run, with_weights=False)
    }
    lineages = runs_of(cell for cell in cells if cell.run.id in open_targets)
    parents = parents_of(lineages.values())
    needed = {
        run_id: run
        for run_id, run in lineages.items()
        if run_id in open_targets or not store.is_done(run, with_weights=True)
    }
    return Todo(needed, parents, total=len(runs_of(cells)))


def run_grid(
    work: Todo,
    store: RecordStore,
    engine: Engine,
    train: Callable[[Run, bool], Record],
    watch: Watch,
) -> Summary:
    """Train everything in `work`: parents first, then the longest; a failure stops no other run.

    `train(run, keep_weights)` is executed by the engine and stores the record itself. What another
    process is training on the same store is left to it, and taken over should it die.
    """
    with Leases(store.root) as leases:
        grid = _Grid(work, store, engine, train, watch, leases)
        while grid.goes_on:
            grid.hand_out()
            grid.collect()
    return grid.summary


class _Grid:
    """What is ready, what runs here, and what runs elsewhere."""

    def __init__(
        self,
        work: Todo,
        store: RecordStore,
        engine: Engine,
        train: Callable[[Run, bool], Record],
        watch: Watch,
        leases: Leases,
    ):
        self._work, self._store, self._engine = work, store, engine
        self._train, self._watch, self._leases = train, watch, leases
        self.summary = Summary()
        self._children: dict[str, list[Run]] = defaultdict(list)
        self._ready = _Queue(work.parents)
        self._running: dict[Future, Run] = {}
        self._elsewhere: list[Run] = []
        self._told = False
        for run in work.runs.values():
            if run.parent and run.parent.id in work.runs:
                self._children[run.parent.id].append(run)
            else:
                self._ready.push(run)

    @property
    def goes_on(self) -> bool:
        """Whether anything is left."""
        return bool(self._ready or self._running or self._elsewhere)

    def hand_out(self) -> None:
        """Give the engine as many runs as it has slots."""
        while self._ready and len(self._running) < self._engine.slots:
            run = self._ready.pop()
            keep_weights = run.id in self._work.parents
            if not self._leases.take(run.id):
                self._elsewhere.append(run)
            elif self._store.is_done(run, with_weights=keep_weights):
                self.summary.elsewhere.append(run.id)
                self._end(run, self._store.get(run.id))
            else:
                self._running[self._engine.submit(self._train, run, keep_weights)] = run
                self._watch.started(run)

    def collect(self) -> None:
        """Wait for a run to end, here or, looking now and then, elsewhere."""
        if self._running:
            patience = _PATIENCE if self._elsewhere else None
            finished, _ = wait(self._running, patience, return_when=FIRST_COMPLETED)
            for future in finished:
                run = self._running.pop(future)
                record = _record(future, run, self._store)
                if record.status == "done":
                    self.summary.done.append(run.id)
                self._end(run, record)
        elif self._elsewhere:
            self._tell()
            time.sleep(_PATIENCE)
        for run in self._elsewhere:
            self._ready.push(run)
        self._elsewhere.clear()

    def _end(self, run: Run, record: Record) -> None:
        self._leases.give_back(run.id)
        if record.status == "done":
            for child in self._children[run.id]:
                self._ready.push(child)
        else:
            self.summary.failed.append(run.id)
            self.summary.blocked += [child.id for child in self._children[run.id]]
        self._watch.ended(run, record)

    def _tell(self) -> None:
        if not self._told:
            self._store.warn(
                f"another process trains {len(self._elsewhere)} of these runs on the same store; "
                "waiting for it (Ctrl-C ends this call alone)"
            )
        self._told = True


class _Queue:
    """Parents first, since others wait for them; then the longest, so that the end is not one
    long run; then in the order of the plan."""

    def __init__(self, parents: frozenset[str]):
        self._parents, self._heap, self._order = parents, [], itertools.count()

    def push(self, run: Run) -> None:
        images = math.inf if run.per_class == "all" else run.per_class
        urgency = (run.id not in self._parents, -images, next(self._order))
        heapq.heappush(self._heap, (urgency, run))

    def pop(self) -> Run:
        return heapq.heappop(self._heap)[1]

    def __len__(self) -> int:
        return len(self._heap)


def _record(future: Future, run: Run, store: RecordStore) -> Record:
    error = future.exception()
    if error is None:
        return future.result()
    kind = "io" if isinstance(error, OSError) else "crash"
    record = Record.failure(run, kind, f"{type(error).__name__}: {error}")
    try:
        store.put(record)
    except OSError as problem:  # the grid goes on; the next call tries this run again
        store.warn(f"{store.folder(run.id)}: the failure cannot be stored ({problem})")
    return record
