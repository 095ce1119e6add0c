"""Two experiments, a store, and the dashboard over them, as its tests need it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from tests.builders import TINY_YAML, write_tiny
from tests.reporting import invented
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting import collect
from transfer_lab.reporting.dashboard.lab import Lab
from transfer_lab.reporting.dashboard.server import Server
from transfer_lab.reporting.study import Study
from transfer_lab.store.records import RecordStore
from transfer_lab.store.running import RunningGrid, announce

OTHER_YAML = TINY_YAML.replace("name: tiny", "name: other").replace("seeds: [0, 1]", "seeds: [7]")


class Bench:
    """Experiments `tiny` and `other`, a store, and a lab over both."""

    def __init__(self, folder: Path, overrides: tuple[str, ...] = ()):
        self.paths = [write_tiny(folder), folder / "other.yaml"]
        self.paths[1].write_text(OTHER_YAML)
        self.store = RecordStore(folder / "runs")
        self.lab = Lab(lambda: self.paths, overrides, self.store.root)
        self.server = Server(self.lab, "127.0.0.1", 0)

    def cells(self, number: int = 0):
        return plan(load_experiment(self.paths[number]).experiment)

    def finish(self, cells) -> None:
        for cell in cells:
            self.store.put(invented.record(cell))
            path = self.store.file(cell.run.id, "metrics.csv")
            invented.curve(cell).assign(phase=1).to_csv(path, index=False)

    def answer(self, cells, accuracy: float, images: int = 74) -> None:
        """Leave predictions of this accuracy beside finished runs, and records that agree."""
        for run_id, cell in {cell.run.id: cell for cell in cells}.items():
            arrays = invented.predictions(cell, accuracy, images, classes=37)
            np.savez_compressed(self.store.file(run_id, "predictions.npz"), **arrays)
            right = float((arrays["label"] == arrays["predicted"]).mean())
            known = {"test_accuracy": right, "n_test": images}
            self.store.put(self.store.get(run_id).model_copy(update=known))

    def reported(self, number: int = 0) -> Study:
        """The study that the report is written from."""
        file = load_experiment(self.paths[number])
        return collect.study(file.experiment, plan(file.experiment), self.store, "")

    def announce(self, *overrides: str, pulses: Path | None = None, **told) -> RunningGrid:
        """What a grid on `tiny` with these overrides tells of itself."""
        file = load_experiment(self.paths[0], overrides)
        grid = RunningGrid.of(file, "2026-01-01T10:00:00+00:00", pulses)
        announce(self.store.root, grid.model_copy(update=told))
        self.look_again()
        return grid

    def look_again(self) -> None:
        """As if a second had passed."""
        self.lab._looked = -1e9
        self.lab._versions.clear()

    def ask(self, path: str, **query) -> dict:
        """What the page's script is told."""
        self.look_again()
        given = {k: [v] if isinstance(v, str) else [*v] for k, v in query.items()}
        answer = self.server.answer(path, given)
        assert answer.kind == "json"
        return json.loads(answer.content)

    @contextmanager
    def served(self) -> Iterator[int]:
        """The server, answering; its port."""
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self.server.server_address[1]
        finally:
            self.server.shutdown()
            thread.join()


def fetched(port: int, path: str, query: dict | None = None, method: str = "GET", **headers):
    """Status, headers and content of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def table(blocks: list[dict], caption: str) -> dict[str, list[str]]:
    """A table by the first text of each row: the texts of all lines of every other cell."""

    def lines(cell: list) -> str:
        return " ".join(" ".join(filter(None, line[:2])) for line in cell)

    (found,) = (b for b in blocks if b["kind"] == "table" and b["caption"].startswith(caption))
    return {row[0][0][0]: [lines(cell) for cell in row[1:]] for row in found["rows"]}
