"""Ray against local: the same grid of runs of about a second, in turns, start-up told apart.

The CNN is trained from scratch on scikit-learn's digits, into an empty store every time. With
RAY_ADDRESS, Ray runs on that cluster.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Result, Timing, at_most, ratio
from benchmarks.setting import Setting
from transfer_lab.experiment.loading import ExperimentFile, load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines import start
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.grid.train import _execute, _preflight
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.system import host
from transfer_lab.system.workers import Workers

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

    def started(self, runs):
        """Nothing."""

    def ended(self, run, record):
        """A run that did not succeed makes the whole timing void."""
        if record.status != "done":
            raise RuntimeError(f"{run.title}: {record.error}")


class Bench:
    """One engine, started once, and the seconds of its grids."""

    def __init__(self, name: str, jobs: int, runs: int, folder: Path, say: Callable[[str], None]):
        self.name, self.folder, self.say = name, folder, say
        self.grids: list[float] = []
        begun = time.perf_counter()
        self.engine = start(Workers(jobs, engine=name), runs=runs, store=folder, warn=say)
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
        self.say(f"{self.name}: {len(summary.done)} runs in {self.grids[-1]:.2f} s")


def engines(setting: Setting) -> Result:
    """Seconds of a grid on either engine, once all workers run."""
    jobs, runs, epochs = host.cores(), 2 if setting.quick else 12, 2 if setting.quick else 20
    with contextlib.ExitStack() as ending:
        path = setting.folder("experiment") / "engines.yaml"
        path.write_text(EXPERIMENT.format(seeds=list(range(runs)), epochs=epochs))
        benches = []
        for name in ENGINES:
            bench = Bench(name, jobs, runs, setting.folder(name), setting.say)
            ending.callback(bench.engine.kill)
            benches.append(bench)
            bench.train(load_experiment(path))  # not counted: all workers have begun by then
            bench.grids.clear()
        for repeat in range(1 if setting.quick else 2 * setting.repeats + 1):
            for bench in benches if repeat % 2 else reversed(benches):
                bench.train(load_experiment(path))
    local, ray = (Timing(tuple(bench.grids)) for bench in benches)
    slots = benches[0].engine.slots
    figure = Figure(
        cell=f"a grid of {runs} runs on Ray, {jobs} workers",
        value=ratio(ray, local),
        baseline_name="local",
        baseline=local,
        ours=ray,
        target=at_most(1.1),
        note=f"{local.median * slots / runs:.1f} s a run; start-up apart: "
        + ", ".join(f"{bench.name} {bench.start_up:.0f} s" for bench in benches),
    )
    return Result((figure,))
