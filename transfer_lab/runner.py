"""Order, skip, isolate: cells -> records on disk. Knows nothing of training."""

from __future__ import annotations

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
    waiting = {i: run for i, run in work.runs.items() if run.init and run.init.id in work.runs}
    ready = [run for run_id, run in work.runs.items() if run_id not in waiting]
    running: dict[Future, Run] = {}
    while ready or running:
        ready.sort(key=lambda run: _urgency(run, work.parents))
        while ready and len(running) < engine.slots:
            run = ready.pop()
            running[engine.submit(train, run, run.id in work.parents)] = run
            watch.started(run)
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            run = running.pop(future)
            record = _record(future, run, store)
            (summary.done if record.status == "done" else summary.failed).append(run.id)
            children = [child for child in waiting.values() if child.init.id == run.id]
            for child in children:
                del waiting[child.id]
            if record.status == "done":
                ready += children
            else:
                summary.blocked += [child.id for child in children]
            watch.ended(run, record)
    return summary


def _record(future: Future, run: Run, store: RecordStore) -> Record:
    error = future.exception()
    if error is None:
        return future.result()
    kind = "io" if isinstance(error, OSError) else "crash"
    record = Record.failure(run, kind, f"{type(error).__name__}: {error}")
    store.put(record)
    return record


def _urgency(run: Run, parents: frozenset[str]) -> tuple[bool, float]:
    """Parents first, since others wait for them; then the longest, so that the end is not one
    long run."""
    images = float("inf") if run.per_class == "all" else run.per_class
    return run.id in parents, images
