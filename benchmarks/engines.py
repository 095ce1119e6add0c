"""Ray against local: the same grid of runs of about a second, in turns, start-up told apart.

    python benchmarks/engines.py [--repeats 7] [--jobs 2] [--runs 12] [--epochs 20]

Prints one row an engine: seconds until a worker has answered its first call, and median seconds of
the grid once all workers run; then the median of Ray's grids in proportion to the local ones beside
them. The CNN is trained from scratch on scikit-learn's digits, into an empty store every time;
`--epochs` sets how long a run is. With RAY_ADDRESS, Ray runs on that cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from tabulate import tabulate

from transfer_lab import host
from transfer_lab.config import ExperimentFile, load_experiment
from transfer_lab.engines import start
from transfer_lab.folders import IMAGES
from transfer_lab.grid import _execute, _preflight
from transfer_lab.machine import Workers
from transfer_lab.plan import plan
from transfer_lab.records import RecordStore
from transfer_lab.runner import run_grid, todo

ENGINES = ("local", "ray")
EXPERIMENT = """\
name: engines
image_size: 20
scenarios:
  large_similar: {{source: latin, target: digits, per_class: 80}}
backbones: [cnn]
regimes: [from_scratch]
seeds: {seeds}
fit: {{epochs: {epochs}, batch_size: 64}}
"""


class Silence:
    """A watch that says nothing."""

    def started(self, run):
        """Nothing."""

    def ended(self, run, record):
        """A run that did not succeed makes the whole timing void."""
        if record.status != "done":
            raise RuntimeError(f"{run.title}: {record.error}")


class Bench:
    """One engine, started once, and the seconds of its grids."""

    def __init__(self, name: str, jobs: int, runs: int, folder: Path):
        self.name, self.folder, self.grids = name, folder, []
        begun = time.perf_counter()
        self.engine = start(Workers(jobs, engine=name), runs=runs, store=folder, warn=print)
        try:
            self.engine.submit(time.sleep, 0).result()
            self.start_up = time.perf_counter() - begun
        except BaseException:
            self.engine.kill()
            raise

    def train(self, file: ExperimentFile) -> None:
        """Train the grid into an empty store, its images made before."""
        cells, slots = plan(file.experiment), self.engine.slots
        store = RecordStore(tempfile.mkdtemp(dir=self.folder))
        file.refuse(
            self.engine.submit(_preflight, file.experiment, store.root / IMAGES, False).result()
        )
        train = partial(_execute, str(store.root), Workers(), slots, host.commit())
        begun = time.perf_counter()
        summary = run_grid(todo(cells, store), store, self.engine, train, Silence())
        self.grids.append(time.perf_counter() - begun)
        print(f"{self.name}: {len(summary.done)} runs in {self.grids[-1]:.2f} s", flush=True)


def main() -> None:
    """Measure both engines in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=host.cores())
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=20)
    asked = parser.parse_args()
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "engines.yaml"
        path.write_text(EXPERIMENT.format(seeds=list(range(asked.runs)), epochs=asked.epochs))
        benches = []
        for name in ENGINES:
            bench = Bench(name, asked.jobs, asked.runs, folder)
            ending.callback(bench.engine.kill)
            benches.append(bench)
            bench.train(load_experiment(path, []))  # not counted: all workers have begun by then
            bench.grids.clear()
        for repeat in range(asked.repeats):
            for bench in benches if repeat % 2 else reversed(benches):
                bench.train(load_experiment(path, []))
    print(table(benches, asked))


def table(benches: list[Bench], asked: argparse.Namespace) -> str:
    """One row an engine, and Ray's grids in proportion to the local ones beside them."""
    rows = []
    for bench in benches:
        grid = statistics.median(bench.grids)
        rows.append((bench.name, bench.start_up, grid, grid * bench.engine.slots / asked.runs))
    local, ray = (bench.grids for bench in benches)
    ratios = [mine / other for mine, other in zip(ray, local, strict=True)]
    return "\n".join(
        [
            f"\n{host.host()}, {asked.jobs} jobs, {asked.runs} runs, {asked.repeats} repeats",
            tabulate(rows, ("engine", "start-up s", "grid s", "s a run"), floatfmt=".2f"),
            f"ray / local, grid: median {statistics.median(ratios):.3f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
        ]
    )


if __name__ == "__main__":
    main()
