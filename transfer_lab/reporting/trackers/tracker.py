"""Trackers: copies for people, never the store. Off the path of every run."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from transfer_lab.experiment.spec import Cell, Experiment
from transfer_lab.reporting.trackers.beside import LightningTracker, Loggers, NotInstalledError
from transfer_lab.reporting.trackers.copies import Copy, copy_of, place_of
from transfer_lab.reporting.trackers.wandb import WeightsAndBiases
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import write_atomically

if TYPE_CHECKING:
    from transfer_lab.reporting.study import Study

_LAST_WAIT_S = 120


class Target(Protocol):
    """Where copies go. `name` is in the notes of what was copied, with all that `note` holds;
    `title` is for people; `sums_up`: whether there is a summary of an experiment."""

    name: str
    title: str
    sums_up: bool
    note: Mapping[str, str]

    def holds(self, noted: str | None) -> bool:
        """Whether a copy of which that was noted is still there."""

    def copy(self, copy: Copy) -> str | None:
        """Write one cell; returns what is noted of it."""

    def summarise(self, study: Study) -> str | None:
        """Write, or renew, the summary of an experiment; returns what is noted of it."""


class Trackers:
    """All that an experiment names, each beside the grid and the others. One that cannot be had is
    named in a warning, and the rest goes on."""

    def __init__(
        self,
        experiment: Experiment,
        cells: Iterable[Cell],
        store: RecordStore,
        warn: Callable[[str], None],
    ):
        self.warn, cells = warn, tuple(cells)
        self._loggers = Loggers()
        names = {choice.label: name for name, choice in experiment.backbones.items()}
        self._each = [
            Tracker(target, cells, store, self._say, names)
            for target in self._targets(experiment, store)
        ]

    def offer(self, run_id: str) -> None:
        """Copy the cells of this run if it is finished and they were not copied before."""
        for tracker in self._each:
            tracker.offer(run_id)

    def summarise(self, study: Callable[[], Study]) -> None:
        """Copy the summary of what is stored, unless it is as it was copied before."""
        for tracker in self._each:
            tracker.summarise(study)

    def close(self) -> None:
        """Wait, within bounds for all together, for what was offered."""
        end = time.monotonic() + _LAST_WAIT_S
        for tracker in self._each:
            tracker.finish()
        for tracker in self._each:
            tracker.close(max(0.0, end - time.monotonic()))
        self._loggers.close()

    def abandon(self) -> None:
        """Begin nothing new and wait for nothing; the next `run` sends the rest."""
        for tracker in self._each:
            tracker.abandon()
        self._loggers.abandon()

    def _say(self, text: str) -> None:
        self.warn(text)  # which is another while a bar of progress is shown

    def _targets(self, experiment: Experiment, store: RecordStore) -> Iterator[Target]:
        if experiment.tracking.mode != "disabled":
            yield WeightsAndBiases(experiment.tracking, store)
        for name in dict.fromkeys(experiment.trackers):
            if name == "wandb":
                continue
            try:
                yield LightningTracker(name, store.root, self._loggers)
            except NotInstalledError as error:
                self.warn(f"{error}; nothing is copied there, results are stored")


class Tracker:
    """Copies finished cells to one target from a thread of its own, each once, and then their
    summary.

    `names`: what the experiment calls backbones, by their labels. The first error switches it off
    with one warning; results and reports do not notice.
    """

    def __init__(
        self,
        target: Target,
        cells: Iterable[Cell],
        store: RecordStore,
        warn: Callable[[str], None],
        names: Mapping[str, str],
    ):
        self.target, self.store, self.warn = target, store, warn
        self._names = names
        self._cells: dict[str, list[Cell]] = {}
        for cell in cells:
            self._cells.setdefault(cell.run.id, []).append(cell)
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._work, name=target.name, daemon=True)
        self._thread.start()
        for run_id in self._cells:
            self.offer(run_id)

    def offer(self, run_id: str) -> None:
        """Copy the cells of this run if it is finished and they were not copied before."""
        if run_id in self._cells:
            self._put(partial(self._copy, run_id))

    def summarise(self, study: Callable[[], Study]) -> None:
        """Copy the summary of what is stored, unless it is as it was copied before."""
        if self.target.sums_up:
            self._put(partial(self._summarise, study))

    def finish(self) -> None:
        """End once what was offered is copied."""
        self._queue.put(None)

    def close(self, seconds: float = _LAST_WAIT_S) -> None:
        """Wait so long for what was offered."""
        self.finish()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._off.set()
            self.warn(
                f"{self.target.title} is slow: some copies were not sent; the next `run` sends them"
            )

    def abandon(self) -> None:
        """Begin nothing new and wait for nothing; the next `run` sends the rest."""
        self._off.set()
        self._queue.put(None)

    def _put(self, job: Callable[[], None]) -> None:
        if not self._off.is_set():
            self._queue.put(job)

    def _work(self) -> None:
        while not self._off.is_set() and (job := self._queue.get()) is not None:
            try:
                job()
            except Exception as error:  # whatever a target raises, a tracker must never fail a run
                if self._off.is_set():  # closed or abandoned in the middle of it
                    return
                first_line = str(error).strip().splitlines()[:1]
                self.warn(
                    f"{self.target.title}: {type(error).__name__}: {''.join(first_line)}; "
                    "tracking is off, results are stored"
                )
                self._off.set()

    def _copy(self, run_id: str) -> None:
        cells = self._cells[run_id]
        marker = self.store.file(run_id, f"{self.target.name}-{cells[0].experiment}.json")
        noted = _read(marker).get("cells", {})
        copied = {place: note for place, note in noted.items() if self.target.holds(note)}
        record = self.store.get(run_id)
        if record is None or record.status != "done":
            return
        for cell in cells:
            place = place_of(cell)
            if place not in copied:
                name = self._names.get(cell.backbone, cell.backbone)
                copied[place] = self.target.copy(copy_of(cell, name, record, self.store))
                _write(marker, {**self.target.note, "cells": copied})

    def _summarise(self, study: Callable[[], Study]) -> None:
        found = study()
        marker = self.store.root / f"{self.target.name}-summary-{found.experiment.name}.json"
        content = hashlib.sha256(found.cells.to_csv().encode(errors="replace")).hexdigest()
        if _read(marker).get("content") == content:
            return
        url = self.target.summarise(found)
        _write(marker, {**self.target.note, "url": url, "content": content})


def _read(marker: Path) -> dict:
    """What was noted when something was copied; nothing if it was not, or cannot be read."""
    try:
        note = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write(marker: Path, note: Mapping[str, object]) -> None:
    write_atomically(marker, lambda handle: handle.write(json.dumps(note).encode()))
