"""Order, skip, isolate: cells -> records on disk. Knows nothing of training."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from transfer_lab.plan import parents_of, runs_of
from transfer_lab.records import Record, RecordStore
from transfer_lab.spec import Cell, Run


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
    """How a grid ended: ids of the runs that were trained, that failed, that were blocked."""

    done: list[str] = field(default_factory=list)
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

    `train(run, keep_weights)` is executed by the engine and stores the record itself.
    """
    summary = Summary()
    children: dict[str, list[Run]] = defaultdict(list)
    ready = _Queue(work.parents)
    for run in work.runs.values():
        if run.parent and run.parent.id in work.runs:
            children[run.parent.id].append(run)
        else:
            ready.push(run)
    running: dict[Future, Run] = {}
    while ready or running:
        while ready and len(running) < engine.slots:
            run = ready.pop()
            running[engine.submit(train, run, run.id in work.parents)] = run
            watch.started(run)
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            run = running.pop(future)
            record = _record(future, run, store)
            if record.status == "done":
                summary.done.append(run.id)
                for child in children[run.id]:
                    ready.push(child)
            else:
                summary.failed.append(run.id)
                summary.blocked += [child.id for child in children[run.id]]
            watch.ended(run, record)
    return summary


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
