"""Order, skip, isolate: cells -> records on disk. Knows nothing of training."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from transfer_lab.experiment.foreign import foreign_code
from transfer_lab.experiment.one_pass import peers
from transfer_lab.experiment.plan import parents_of, runs_of
from transfer_lab.experiment.spec import Cell, Run
from transfer_lab.grid.engines.errors import EngineError, WorkerHungError
from transfer_lab.store.locks import RunLocks
from transfer_lab.store.records import FailureKind, Record, RecordStore
from transfer_lab.system.files import DiskFullError

_PATIENCE = 1.0
"""Seconds between looks at what runs elsewhere."""
_IN_ONE_PASS = 4
"""Runs at most: each is charged the seconds of the whole pass, and more would save little more."""

_TRANSIENT = ("crash", "io")
"""Kinds of failure that may be another time's: a killed process, a disk that failed once."""

Train = Callable[[tuple[Run, ...], bool], Sequence[Record]]


class Engine(Protocol):
    """Where runs execute, `slots` at a time."""

    slots: int

    def submit(self, call: Callable[..., object], *args: object) -> Future:
        """Run `call(*args)` and give a future of its result."""

    def submit_apart(self, code: str, call: Callable[..., object], *args: object) -> Future:
        """The same of what runs foreign code, in a process that has run and will run no other."""


class Watch(Protocol):
    """Someone to tell how the grid goes."""

    def started(self, runs: Sequence[Run]) -> None:
        """A run, or several that are fitted in one pass, has been handed to the engine."""

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

    def add(self, other: Summary) -> None:
        """Count in how the grid went on."""
        self.done += other.done
        self.elsewhere += other.elsewhere
        self.failed += other.failed
        self.blocked += other.blocked


def todo(cells: Iterable[Cell], store: RecordStore) -> Todo:
    """Runs without a finished record, and the source runs and searches that those need.

    One that only finished runs needed is not needed again.
    """
    cells = tuple(cells)
    needed: dict[str, Run] = {}
    looked: set[tuple[str, bool]] = set()

    def look(run: Run, *, with_weights: bool) -> None:
        if run.id in needed or (run.id, with_weights) in looked:
            return
        looked.add((run.id, with_weights))
        if store.is_done(run, with_weights=with_weights):
            return
        for parent in run.drawn_on:
            look(parent, with_weights=True)
        for search in run.searches:
            look(search, with_weights=False)
        needed[run.id] = run

    for cell in cells:
        look(cell.run, with_weights=False)
    return Todo(needed, parents_of(needed.values()), total=len(runs_of(cells)))


def run_grid(
    work: Todo,
    store: RecordStore,
    engine: Engine,
    train: Train,
    watch: Watch,
) -> Summary:
    """Train everything in `work`: parents first, then the longest; a failure stops no other run.

    `train(runs, keep_weights)` is executed by the engine and stores the records itself; it gets
    several runs where they are `peers`. What another process is training on the same store is left
    to it, and taken over should it die. A run that a crash or an I/O error has ended is tried once
    more. Raises EngineError if the engine has no workers any more, and DiskFullError if the store
    has no room: whatever is trained then could not be kept.
    """
    with RunLocks(store.root) as leases:
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
        train: Train,
        watch: Watch,
        leases: RunLocks,
    ):
        self._work, self._store, self._engine = work, store, engine
        self._train, self._watch, self._leases = train, watch, leases
        self.summary = Summary()
        self._children: dict[str, list[Run]] = defaultdict(list)
        self._waits_for: dict[str, set[str]] = {}
        waited_for = (parent.id for run in work.runs.values() for parent in run.parents)
        self._ready = _Queue(frozenset(waited_for))
        self._running: dict[Future, tuple[Run, ...]] = {}
        self._elsewhere: list[Run] = []
        self._told = False
        self._tried_again: set[str] = set()
        for run in work.runs.values():
            first = {parent.id for parent in run.parents if parent.id in work.runs}
            self._waits_for[run.id] = first
            for parent in first:
                self._children[parent].append(run)
            if not first:
                self._ready.push(run)

    @property
    def goes_on(self) -> bool:
        """Whether anything is left."""
        return bool(self._ready or self._running or self._elsewhere)

    def hand_out(self) -> None:
        """Give each free slot of the engine a run, or several that are peers."""
        while self._ready and len(self._running) < self._engine.slots:
            runs = tuple(run for run in self._ready.pop(self._engine.slots) if self._take(run))
            if runs:
                keep_weights = self._leaves_weights(runs[0])
                self._running[self._submit(runs, keep_weights)] = runs
                self._watch.started(runs)

    def _submit(self, runs: tuple[Run, ...], keep_weights: bool) -> Future:
        if code := foreign_code(runs[0]):
            return self._engine.submit_apart(code, self._train, runs, keep_weights)
        return self._engine.submit(self._train, runs, keep_weights)

    def collect(self) -> None:
        """Wait for a run to end, here or, looking now and then, elsewhere."""
        if self._running:
            patience = _PATIENCE if self._elsewhere else None
            finished, _ = wait(self._running, patience, return_when=FIRST_COMPLETED)
            for future in finished:
                self._settle(future, self._running.pop(future))
        elif self._elsewhere:
            self._tell()
            time.sleep(_PATIENCE)
        for run in self._elsewhere:
            self._ready.push(run)
        self._elsewhere.clear()

    def _take(self, run: Run) -> bool:
        """Whether the run is this grid's to train; if not, it is seen to."""
        if not self._leases.take(run.id):
            self._elsewhere.append(run)
        elif self._store.is_done(run, with_weights=self._leaves_weights(run)):
            self.summary.elsewhere.append(run.id)
            self._end(run, self._store.get(run.id))
        else:
            return True
        return False

    def _leaves_weights(self, run: Run) -> bool:
        return run.id in self._work.parents

    def _settle(self, future: Future, runs: tuple[Run, ...]) -> None:
        """End the runs; several of whose process died are tried again one by one, but for those
        that were stored by then."""
        if isinstance(future.exception(), EngineError | DiskFullError):
            raise future.exception()  # no run's doing, and the same with every other
        if future.exception() is None:
            records = future.result()
        elif len(runs) == 1:
            records = [_failure(future.exception(), runs[0], self._store)]
        else:
            stored = [run for run in runs if self._store.is_done(run, with_weights=False)]
            for run in runs:
                if run not in stored:
                    self._try_alone(run)
            runs, records = stored, [self._store.get(run.id) for run in stored]
        for run, record in zip(runs, records, strict=True):
            if record.error_kind in _TRANSIENT and run.id not in self._tried_again:
                self._tried_again.add(run.id)
                self._store.warn(f"{run.title} [{run.id}]: {record.error}; tried once more")
                self._try_alone(run)
                continue
            if record.status == "done":
                self.summary.done.append(run.id)
            self._end(run, record)

    def _try_alone(self, run: Run) -> None:
        self._leases.give_back(run.id)
        self._ready.push(run, alone=True)

    def _end(self, run: Run, record: Record) -> None:
        self._leases.give_back(run.id)
        if record.status == "done":
            for child in self._children[run.id]:
                self._waits_for[child.id].discard(run.id)
                if not self._waits_for[child.id] and child.id not in self.summary.blocked:
                    self._ready.push(child)
        else:
            self.summary.failed.append(run.id)
            self._block(run)
        self._watch.ended(run, record)

    def _block(self, run: Run) -> None:
        """What draws on a run that failed cannot be trained, nor what draws on that."""
        for child in self._children[run.id]:
            if child.id not in self.summary.blocked:
                self.summary.blocked.append(child.id)
                self._block(child)

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
        self._parents, self._order = parents, itertools.count()
        self._heap: list[tuple[tuple[bool, float, int], Run]] = []
        self._groups: dict[str, str | None] = {}
        self._members: dict[str, dict[str, Run]] = defaultdict(dict)

    def push(self, run: Run, *, alone: bool = False) -> None:
        images = math.inf if run.per_class == "all" else run.per_class
        urgency = (run.id not in self._parents, -images, next(self._order))
        heapq.heappush(self._heap, (urgency, run))
        group = None if alone or run.id in self._parents else peers(run)
        self._groups[run.id] = group
        if group:
            self._members[group][run.id] = run

    def pop(self, slots: int) -> list[Run]:
        """The most urgent run with its peers, as long as that leaves the other slots as much."""
        first = heapq.heappop(self._heap)[1]
        while first.id not in self._groups:  # it went with a peer
            first = heapq.heappop(self._heap)[1]
        most = max(1, min(_IN_ONE_PASS, len(self) // slots))
        group = self._members.get(self._groups[first.id], {})
        runs = [first, *(run for run in group.values() if run is not first)][:most]
        for run in runs:
            del self._groups[run.id]
            group.pop(run.id, None)
        if not self._groups:
            self._heap.clear()  # only runs that went with a peer are left
        return runs

    def __len__(self) -> int:
        return len(self._groups)


def _failure(error: BaseException, run: Run, store: RecordStore) -> Record:
    if isinstance(error, WorkerHungError):
        kind: FailureKind = "error"  # it would wait again
    else:
        kind = "io" if isinstance(error, OSError) else "crash"
    record = Record.failure(run, kind, f"{type(error).__name__}: {error}")
    try:
        store.put(record)
    except DiskFullError:
        raise
    except OSError as problem:  # the grid goes on; the next call tries this run again
        store.warn(f"{store.folder(run.id)}: the failure cannot be stored ({problem})")
    return record
