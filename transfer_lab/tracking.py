"""Weights & Biases: a copy for people, never the store. Off the path of every run."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from transfer_lab.records import Record, RecordStore, write_atomically
from transfer_lab.spec import Cell, Tracking

_INIT_TIMEOUT_S = 15
_LAST_WAIT_S = 120


class Tracker:
    """Copies finished runs to W&B from a thread of its own, each once.

    The first error switches it off with one warning; results and reports do not notice. One W&B
    run a trained run: group = experiment, job_type = regime, tags = scenarios and backbone,
    config = the run, history = its curve, summary = its record.
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
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._off = threading.Event()
        self._thread: threading.Thread | None = None
        if tracking.mode != "disabled":
            self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
            self._thread.start()
            for run_id in self._cells:
                self.offer(run_id)

    def offer(self, run_id: str) -> None:
        """Copy this run if it is finished, belongs to a cell, and was not copied before."""
        if self._thread and not self._off.is_set() and run_id in self._cells:
            self._queue.put(run_id)

    def close(self) -> None:
        """Wait, within bounds, for what was offered."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(_LAST_WAIT_S)
            if self._thread.is_alive():
                self.warn("W&B is slow: some copies were not sent; the next `run` sends them")

    def _work(self) -> None:
        while (run_id := self._queue.get()) is not None:
            try:
                self._copy(run_id)
            except Exception as error:  # whatever W&B raises, a tracker must never fail a run
                first_line = str(error).strip().splitlines()[:1]
                self.warn(
                    f"W&B: {type(error).__name__}: {''.join(first_line)}; "
                    "tracking is off, results are stored"
                )
                self._off.set()
                return

    def _copy(self, run_id: str) -> None:
        cells = self._cells[run_id]
        marker = self.store.file(run_id, f"wandb-{cells[0].experiment}.json")
        record = self.store.get(run_id)
        if marker.exists() or record is None or record.status != "done":
            return
        url = _send(self.tracking, cells, record, self.store)
        note = json.dumps({"mode": self.tracking.mode, "url": url}).encode()
        write_atomically(marker, lambda handle: handle.write(note))


def _send(tracking: Tracking, cells: list[Cell], record: Record, store: RecordStore) -> str | None:
    import wandb

    cell = cells[0]
    os.environ.setdefault("WANDB_SILENT", "true")
    run = wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        mode=tracking.mode,
        dir=str(store.root),
        id=f"{record.run_id}-{cell.experiment}",
        name=f"{cell.regime}-{cell.run.backbone.kind}-{cell.run.per_class}-s{cell.seed}",
        group=cell.experiment,
        job_type=cell.regime,
        tags=sorted({c.scenario for c in cells} | {cell.run.backbone.kind}),
        config=cell.run.model_dump(mode="json"),
        settings=wandb.Settings(init_timeout=_INIT_TIMEOUT_S, console="off", disable_git=True),
    )
    try:
        for row in _curve(store.file(record.run_id, "metrics.csv")):
            run.log(row, step=int(row["epoch"]))
        run.summary.update(record.model_dump(exclude_none=True))
        return run.url
    finally:
        run.finish()


def _curve(path: Path) -> list[Mapping[str, float]]:
    import pandas as pd

    if not path.exists():
        return []
    return [row.dropna().to_dict() for _, row in pd.read_csv(path).iterrows()]
