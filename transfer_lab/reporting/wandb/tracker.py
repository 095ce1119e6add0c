"""Weights & Biases: a copy for people, never the store. Off the path of every run."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.experiment.spec import Cell, Tracking
from transfer_lab.reporting.wandb.copies import copy_cell, copy_summary, place_of
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import write_atomically

if TYPE_CHECKING:
    from transfer_lab.reporting.study import Study

_LAST_WAIT_S = 120


class Tracker:
    """Copies finished cells to W&B from a thread of its own, each once, and then their summary.

    The first error switches it off with one warning; results and reports do not notice.
    """

    def __init__(
        self,
        tracking: Tracking,
        cells: Iterable[Cell],
        store: RecordStore,
        warn: Callable[[str], None],
    ):
        self.tracking, self.store, self.warn = tracking, store, warn
        self._cells: dict[str, list[Cell]] = {}
        for cell in cells:
            self._cells.setdefault(cell.run.id, []).append(cell)
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._off = threading.Event()
        self._thread: threading.Thread | None = None
        if tracking.mode != "disabled":
            self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
            self._thread.start()
            for run_id in self._cells:
                self.offer(run_id)

    def offer(self, run_id: str) -> None:
        """Copy the cells of this run if it is finished and they were not copied before."""
        if run_id in self._cells:
            self._put(partial(self._copy, run_id))

    def summarise(self, study: Callable[[], Study]) -> None:
        """Copy the summary of what is stored, unless it is as it was copied before."""
        self._put(partial(self._summarise, study))

    def close(self) -> None:
        """Wait, within bounds, for what was offered."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(_LAST_WAIT_S)
            if self._thread.is_alive():
                self.warn("W&B is slow: some copies were not sent; the next `run` sends them")

    def abandon(self) -> None:
        """Begin nothing new and wait for nothing; the next `run` sends the rest."""
        self._off.set()
        self._queue.put(None)

    def _put(self, job: Callable[[], None]) -> None:
        if self._thread and not self._off.is_set():
            self._queue.put(job)

    def _work(self) -> None:
        while not self._off.is_set() and (job := self._queue.get()) is not None:
            try:
                job()
            except Exception as error:  # whatever W&B raises, a tracker must never fail a run
                first_line = str(error).strip().splitlines()[:1]
                self.warn(
                    f"W&B: {type(error).__name__}: {''.join(first_line)}; "
                    "tracking is off, results are stored"
                )
                self._off.set()

    def _copy(self, run_id: str) -> None:
        cells = self._cells[run_id]
        marker = self.store.file(run_id, f"wandb-{cells[0].experiment}.json")
        copied = _read(marker).get("cells", {})
        record = self.store.get(run_id)
        if record is None or record.status != "done":
            return
        for cell in cells:
            place = place_of(cell)
            if place not in copied:
                copied[place] = copy_cell(self.tracking, cell, record, self.store)
                _write(marker, {"mode": self.tracking.mode, "cells": copied})

    def _summarise(self, study: Callable[[], Study]) -> None:
        found = study()
        marker = self.store.root / f"wandb-summary-{found.experiment.name}.json"
        content = hashlib.sha256(found.cells.to_csv().encode(errors="replace")).hexdigest()
        if _read(marker).get("content") == content:
            return
        url = copy_summary(self.tracking, found, self.store)
        _write(marker, {"mode": self.tracking.mode, "url": url, "content": content})


def _read(marker: Path) -> dict:
    """What was noted when something was copied; nothing if it was not, or cannot be read."""
    try:
        note = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write(marker: Path, note: Mapping[str, object]) -> None:
    write_atomically(marker, lambda handle: handle.write(json.dumps(note).encode()))
