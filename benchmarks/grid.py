"""The default grid, cold: the lab against the plain script, and two workers against one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.cells import PlainCell, projection
from benchmarks.figures import Figure, Result, Timing, at_least, mean, ratio
from benchmarks.fit_profile import fit_profile
from benchmarks.grid_profile import profile
from benchmarks.kinds import Trained, by_kind, lots_of, projected_grid, projected_regimes, sample
from benchmarks.plain_lightning import WORKERS
from benchmarks.setting import Setting, stopwatch
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Cell, Run
from transfer_lab.stats.intervals import t_interval
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_domain

ROOT = Path(__file__).parents[1]
GRID = ROOT / "benchmarks" / "untuned_grid.yaml"
_QUICK = """\
name: quick
image_size: 12
domains:
  latin: {letters: ABCD, train_per_class: 8, test_per_class: 6}
  cyrillic: {letters: БГДЖ, train_per_class: 8, test_per_class: 6}
scenarios:
  small_similar: {source: latin, target: cyrillic, per_class: 4}
backbones: {mlp: {width: 8, depth: 2}}
regimes: {from_scratch: , linear_probe: , lp_ft: , majority: }
seeds: [0, 1]
fit: {epochs: 2, batch_size: 8}
pretrain: {epochs: 2, batch_size: 8}
"""

_PRETRAINING = "source runs"


def default_grid(setting: Setting) -> Result:
    """`transfer-lab run` with two workers at the beginning, in the middle and at the end, and once
    with one; the plain script between them."""
    path = quick_grid(setting) if setting.quick else GRID
    cells = plan(load_experiment(path).experiment)
    kinds = by_kind(cells)
    chosen = sample(kinds, setting.cells)
    ours = [run_grid(path, 2, setting)]
    store = ours[0][1]
    half = len(chosen) // 2
    workers = _workers(chosen, store, setting)
    trained = _plain(chosen[:half], store, workers, setting)
    one, _ = run_grid(path, 1, setting)
    ours += [] if setting.quick else [run_grid(path, 2, setting)]
    trained |= _plain(chosen[half:], store, workers, setting)
    parents, sources = _parents(cells), _sources(cells, store, workers, setting)
    ours += [] if setting.quick else [run_grid(path, 2, setting)]
    two, store = _middle(ours)
    baseline = projected_grid(kinds, trained, sum(sources))
    lots, plain = lots_of(kinds), projected_regimes(kinds, trained)
    lots[_PRETRAINING], plain[_PRETRAINING] = [[run] for run in parents], sources[0]
    found = profile(lots, plain, store, (baseline.median, two.median), 2, quick=setting.quick)
    gap = t_interval([100 * (t.ours - t.plain) for t in trained.values()])
    count = f"{len(cells)} cells" if not setting.quick else "quick"
    figures = (
        Figure(
            cell=f"the default grid ({count}), cold",
            value=ratio(baseline, two),
            baseline_name="plain Lightning, one after another",
            baseline=baseline,
            ours=two,
            accuracy_baseline=mean([t.plain for t in trained.values()]),
            accuracy_ours=mean([t.ours for t in trained.values()]),
            target=at_least(5),
            note=f"ours: two workers, imports and report included; accuracies over the {gap.n} "
            f"cells that both trained, ours {gap.mean:+.2f} ± {gap.half or 0:.2f} points; plain: "
            f"{_told(workers)}; {found.told}",
        ),
        Figure(
            cell=f"the default grid ({count}), cold, --jobs 2",
            value=ratio(one, two),
            baseline_name="--jobs 1",
            baseline=one,
            ours=two,
            target=at_least(1.5),
        ),
    )
    runs = [lot[0] for some in lots.values() for lot in some]
    return Result(figures, (found.detail, fit_profile(runs, store, quick=setting.quick)))


def quick_grid(setting: Setting) -> Path:
    """A grid of seconds, instead of the default one."""
    path = setting.folder("experiment") / "quick.yaml"
    path.write_text(_QUICK)
    return path


def run_grid(
    path: Path, jobs: int, setting: Setting, options: Sequence[str] = ()
) -> tuple[Timing, RecordStore]:
    """`transfer-lab run` on a fresh store, as people call it."""
    folder = setting.folder("ours")
    runs, reports = folder / "runs", folder / "reports"
    command = [sys.executable, "-m", "transfer_lab", "run", str(path), "--jobs", str(jobs)]
    command += ["--runs", str(runs), "--reports", str(reports), *options]

    def call() -> None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"transfer-lab run failed: {(done.stderr or done.stdout)[-500:]}")

    seconds = stopwatch(call)
    setting.say(f"{' '.join(('ours, --jobs', str(jobs), *options))}: {seconds:.0f} s")
    return Timing((seconds,)), RecordStore(runs)


def _middle(runs: Sequence[tuple[Timing, RecordStore]]) -> tuple[Timing, RecordStore]:
    """The seconds of all of them, and the store of the one that took their median."""
    ordered = sorted(runs, key=lambda run: run[0].median)
    return Timing(tuple(timing.median for timing, _ in runs)), ordered[len(runs) // 2][1]


def _workers(cells: Iterable[Cell], store: RecordStore, setting: Setting) -> dict[str, int]:
    """By size, the number of loader workers with which the plain script is faster."""
    found = {}
    for size, cell in {cell.size: cell for cell in cells}.items():
        seconds = {n: PlainCell.of(cell.run, store, n).run().seconds for n in (0, WORKERS)}
        found[size] = min(seconds, key=seconds.__getitem__)
    setting.say(f"plain: {_told(found)}")
    return found


def _told(workers: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} for {size} cells" for size, count in workers.items())
    return f"the faster of 0 and {WORKERS} loader workers, {told}"


def _plain(
    cells: Sequence[Cell], store: RecordStore, workers: Mapping[str, int], setting: Setting
) -> dict[str, Trained]:
    """The plain script on these cells, from the source runs that the lab has trained."""
    trained = {}
    for cell in cells:
        outcome = PlainCell.of(cell.run, store, workers[cell.size]).run()
        ours = store.get(cell.run.id).test_accuracy
        trained[cell.run.id] = Trained(outcome.seconds, outcome.accuracy, ours)
    total = sum(t.seconds for t in trained.values())
    setting.say(f"plain, {len(trained)} cells: {total:.0f} s")
    return trained


def _parents(cells: Iterable[Cell]) -> list[Run]:
    parents = [run.parent for run in runs_of(cells).values() if run.parent]
    return [*{run.id: run for run in parents}.values()]


def _sources(
    cells: Iterable[Cell], store: RecordStore, workers: Mapping[str, int], setting: Setting
) -> tuple[float, float]:
    """Seconds of all source runs, from an epoch of each, and of making the images once."""
    parents, count = _parents(cells), workers.get("large", 0)  # source domains are large
    training = sum(_source(run, store, count) for run in parents)
    fresh, making = setting.folder("rendered"), 0.0
    domains = {run.domain.model_dump_json(): run for run in runs_of(cells).values()}
    for run in domains.values():
        making += stopwatch(build_domain(run, fresh / IMAGES).prepare_data)
    total = training + making
    setting.say(f"plain, {len(parents)} source runs and the images: {total:.0f} s")
    return training, making


def _source(run: Run, store: RecordStore, workers: int) -> float:
    fit = run.fit.model_copy(update={"epochs": 1, "min_steps": 0})
    cell = PlainCell.of(run.model_copy(update={"fit": fit}), store, workers)
    images = run.fit.epochs * len(cell.data.train)
    tested = len(cell.data.test) + run.fit.epochs * len(cell.data.val)
    return projection(cell.run(), images, tested).median
