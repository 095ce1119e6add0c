"""How long a grid will take, and what memory and disk: counted work at measured rates."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.data.base import ImageDomain
from transfer_lab.data.build import build_domain
from transfer_lab.data.splits import split_sizes
from transfer_lab.experiment.choices import regime_entry
from transfer_lab.experiment.one_pass import is_in_one_pass, peers
from transfer_lab.experiment.spec import Run
from transfer_lab.grid.calibration import Rates, calibrated
from transfer_lab.grid.operations import Method, Network, method, network
from transfer_lab.grid.scheduler import Todo
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.system import host
from transfer_lab.system.device import device, precision
from transfer_lab.system.workers import Workers
from transfer_lab.training.fit import epochs_for, phase_epochs

_ASSUMED = 2e10
"""Multiply-accumulates a second where nothing was measured; only proportions count then."""
_HEAD_STEP = 1e-3
_VALIDATIONS = 10
_RUN_SECONDS = 0.25
"""Of a run beside its fit: data are drawn, a network is built, files are written."""
_START_SECONDS = 7.0
"""Until the workers have loaded torch."""
_IN_ONE_PASS = 0.4
"""Part of its seconds that a run takes which is fitted in one pass with others."""
_RUN_BYTES = 64_000
"""Of a run on disk: record, curve, predictions."""
_WORKER_MB = 1000
"""Of a worker that has loaded torch and holds small images."""
_SPREAD = {True: (0.75, 1.5), False: (0.6, 1.6)}
"""Of the seconds: where stored runs say what such runs take, and where a calibration does."""


class Estimate(NamedTuple):
    """From so many to so many seconds on so many workers, memory and disk in MB, and what it
    rests on: that many stored runs, or seconds of calibration."""

    low_seconds: float
    high_seconds: float
    workers: int
    memory_mb: float
    disk_mb: float
    stored_runs: int
    calibration_seconds: float


class _Domain(NamedTuple):
    """Images per class of the pool, and the number of test images."""

    counts: np.ndarray
    test: int


@dataclass
class Work:
    """The runs of a grid as counted operations.

    Raises what domains and networks raise that preflight would refuse.
    """

    runs: Mapping[str, Run]
    _domains: dict[str, tuple[ImageDomain, _Domain]] = field(default_factory=dict)
    _networks: dict[str, Network] = field(default_factory=dict)
    _methods: dict[tuple[str, str], Method] = field(default_factory=dict)

    def domain(self, run: Run) -> _Domain:
        """What the run's images are drawn from."""
        return self._domain(run)[1]

    def network(self, run: Run) -> Network:
        """The run's backbone."""
        key = run.backbone.canonical
        if key not in self._networks:
            self._networks[key] = network(run.backbone, run.image_size)
        return self._networks[key]

    def method(self, run: Run) -> Method:
        """What the run's regime does; of a tuned one, with the first of its trials."""
        tried = next((search.tune for search in run.searches), run.tune)
        options = run.regime.options | (dict(tried[0]) if tried else {})
        regime = run.regime.with_options(options)
        key = (run.backbone.canonical, regime.canonical)
        if key not in self._methods:
            with torch.device("meta"):
                backbone = build_backbone(run.backbone, run.image_size)
            self._methods[key] = method(regime, backbone)
        return self._methods[key]

    def images(self, run: Run, *, refit: bool = False) -> tuple[int, int]:
        """Training and validation images of the run, or of the fit after its trials."""
        fraction = 0.0 if refit else run.fit.val_fraction
        return split_sizes(self.domain(run).counts, run.per_class, fraction)

    def image_seconds(self) -> float:
        """What making all images should take, from the first of each domain."""
        return sum(_making(domain, found) for domain, found in self._domains.values())

    def _domain(self, run: Run) -> tuple[ImageDomain, _Domain]:
        folds = run.fold[0] if run.fold else None
        key = f"{run.domain.canonical} {folds}"
        if key not in self._domains:
            domain = build_domain(run.domain, run.image_size)
            counts = np.bincount(domain.labels("train"), minlength=domain.num_classes)
            test = len(domain.labels("test"))
            if folds:  # about as many as each leaves
                counts += np.bincount(domain.labels("test"), minlength=domain.num_classes)
                test = int(counts.sum()) // folds
                counts -= -(-counts // folds)
            self._domains[key] = domain, _Domain(counts, test)
        return self._domains[key]


def costs(work: Work, rate: Callable[[Run], Rates] | None = None) -> dict[str, float]:
    """Seconds that each run should take, but for what it shares; at an assumed rate without one,
    when only their proportions mean anything."""
    rate = rate or (lambda run: assumed(work.network(run)))
    return {
        run_id: _RUN_SECONDS
        + fit_seconds(work, run, rate(run))
        + _test_seconds(work, run, rate(run))
        for run_id, run in work.runs.items()
    }


def assumed(counted: Network) -> Rates:
    """Rates of a network of which nothing was measured."""
    forward = counted.total / _ASSUMED
    return Rates(3 * forward, forward, _HEAD_STEP)


def fit_seconds(work: Work, run: Run, rates: Rates) -> float:
    """Seconds of all fits of a run; of trials in one pass about those of one."""
    if not run.tune:
        return _one_fit(work, run, rates, *work.images(run))
    trials = 1 if is_in_one_pass(run) else len(run.tune)
    tried = trials * _one_fit(work, run, rates, *work.images(run))
    if run.purpose == "search":
        return tried
    return tried + _one_fit(work, run, rates, *work.images(run, refit=True))


def _one_fit(work: Work, run: Run, rates: Rates, n_train: int, n_val: int) -> float:
    counted, does, fit = work.network(run), work.method(run), run.fit
    if not does.phases or not regime_entry(run.regime).spends_budget:
        return 0.0
    total = 0.0
    steps_an_epoch = -(-n_train // fit.batch_size)
    for phase, epochs in phase_epochs(does.phases, epochs_for(fit, n_train)):
        live = _live(counted, does, phase.prefix)
        frozen = 0.0 if fit.augment is None else _share(counted, 0, phase.prefix)
        images = n_train * rates.train * live + n_train * rates.forward * frozen
        validation = min(_VALIDATIONS, epochs) * n_val * rates.forward * (live + frozen)
        # A stream gives a batch at every step.
        images *= 1 + len(run.streams)
        total += epochs * (steps_an_epoch * rates.head_step + images) + validation
    return total


def _test_seconds(work: Work, run: Run, rates: Rates) -> float:
    phases = work.method(run).phases
    if not phases or run.purpose == "search":
        return 0.0
    live = _live(work.network(run), work.method(run), phases[-1].prefix)
    return work.domain(run).test * rates.forward * live


def _live(counted: Network, does: Method, prefix: int) -> float:
    """The part of a backbone's operations that is computed at every step."""
    return _share(counted, prefix, does.depth)


def _share(counted: Network, start: int, stop: int) -> float:
    return sum(counted.macs[start:stop]) / max(1, counted.total)


class _Prefixes:
    """Frozen outputs that are computed once for all runs that need them."""

    def __init__(self, work: Work, runs: Iterable[Run]):
        self._work = work
        self._images: dict[tuple, dict[int, int]] = defaultdict(dict)
        self._runs: dict[tuple, Run] = {}
        for run in runs:
            for prefix in {phase.prefix for phase in work.method(run).phases} - {0}:
                start = run.init_id or f"random {run.seed}"
                key = (run.domain.canonical, run.backbone.canonical, start, prefix)
                seen = self._images[key]
                seen[run.seed] = max(seen.get(run.seed, 0), sum(work.images(run)))
                self._runs.setdefault(key, run)

    def _each(self) -> Iterable[tuple[Run, int, int]]:
        for key, seen in self._images.items():
            run, found = self._runs[key], self._work.domain(self._runs[key])
            yield run, key[-1], min(int(found.counts.sum()), sum(seen.values())) + found.test

    def seconds(self, rate: Callable[[Run], Rates]) -> float:
        """What computing them takes."""
        return sum(
            images * rate(run).forward * _share(self._work.network(run), 0, prefix)
            for run, prefix, images in self._each()
        )

    def numbers(self) -> list[int]:
        """How many numbers each set of outputs has."""
        return [
            images * self._work.network(run).outputs[prefix - 1]
            for run, prefix, images in self._each()
        ]


def estimate(
    todo: Todo, known: Mapping[str, Run], store: RecordStore, workers: Workers
) -> Estimate:
    """What training `todo` should take; `known`: all runs of the experiment, of which the stored
    ones tell how fast such runs are here."""
    runs = list(todo.runs.values())
    jobs = min(workers.jobs or host.cores(), len(runs))
    number = precision(workers.precision)
    done = _told(known, store, workers.threads, number)
    work, measured = Work(todo.runs), Work({run.id: run for run, _ in done})
    ratios = _ratios(measured, done)
    start = time.perf_counter()
    rates = {
        run.backbone.canonical: assumed(work.network(run))
        if _kind(run) in ratios and _all_told(runs, run, ratios)
        else calibrated(
            run.backbone, work.network(run), run.image_size, run.fit.batch_size, workers.threads,
            number, store.root,
        )
        for run in {run.backbone.canonical: run for run in runs}.values()
    }  # fmt: skip
    took = time.perf_counter() - start

    def rate(run: Run) -> Rates:
        return rates[run.backbone.canonical]

    prefixes = _Prefixes(work, runs)
    share = 1 / jobs if device().type == "cpu" else 1.0  # workers take turns on a GPU
    seconds = sum(_run_seconds(work, run, rate(run), ratios) for run in runs)
    seconds += prefixes.seconds(rate) + (
        0 if (store.root / IMAGES).is_dir() else work.image_seconds()
    )
    longest = max(_run_seconds(work, run, rate(run), ratios) for run in runs)
    whole = _START_SECONDS + max(seconds * share, longest)
    low, high = _SPREAD[bool(ratios)]
    return Estimate(
        low_seconds=low * whole,
        high_seconds=high * whole,
        workers=jobs,
        memory_mb=jobs * _memory_mb(work, runs, prefixes, done),
        disk_mb=_disk_mb(work, todo, prefixes, store.root),
        stored_runs=len(done),
        calibration_seconds=took,
    )


def _run_seconds(
    work: Work, run: Run, rates: Rates, ratios: Mapping[tuple[str, str], float]
) -> float:
    fitting = fit_seconds(work, run, rates) * ratios.get(_kind(run), 1.0)
    alone = _RUN_SECONDS + fitting + _test_seconds(work, run, rates)
    return alone * (1.0 if peers(run) is None else _IN_ONE_PASS)


def _kind(run: Run) -> tuple[str, str]:
    return run.backbone.canonical, run.regime.canonical


def _all_told(runs: Iterable[Run], like: Run, ratios: Mapping[tuple[str, str], float]) -> bool:
    """Whether stored runs tell of everything that is to be trained with this backbone."""
    same = [run for run in runs if run.backbone.canonical == like.backbone.canonical]
    return all(_kind(run) in ratios for run in same)


def _told(
    known: Mapping[str, Run], store: RecordStore, threads: int, number: str
) -> list[tuple[Run, Record]]:
    """Runs of the experiment that were trained on this machine, in these circumstances."""
    here = ("done", host.host(), threads, number)
    records = ((run, store.get(run_id)) for run_id, run in known.items())
    return [
        (run, record)
        for run, record in records
        if record and (record.status, record.host, record.threads, record.precision) == here
    ]


def _ratios(work: Work, done: Iterable[tuple[Run, Record]]) -> dict[tuple[str, str], float]:
    """By kind of run, seconds that were measured for a second at the assumed rate."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run, record in done:
        expected = fit_seconds(work, run, assumed(work.network(run)))
        if expected:
            spent = (record.fit_seconds or 0.0) + (record.tune_seconds or 0.0)
            seen[_kind(run)].append(spent / expected)
        else:
            seen[_kind(run)].append(1.0)
    return {kind: statistics.median(values) for kind, values in seen.items()}


def _making(domain: ImageDomain, found: _Domain) -> float:
    start = time.perf_counter()
    block = next(iter(domain.image_blocks("train")))
    an_image = (time.perf_counter() - start) / max(1, len(block))
    return an_image * (int(found.counts.sum()) + found.test)


def _memory_mb(
    work: Work, runs: Iterable[Run], prefixes: _Prefixes, done: list[tuple[Run, Record]]
) -> float:
    """Of one worker at its most: as stored runs had it, or as networks and outputs take."""
    told = [record.peak_rss_mb for _, record in done if record.peak_rss_mb]
    if told:
        return max(told)
    nets = max(
        4
        * (
            4 * work.network(run).parameters
            + 2 * run.fit.batch_size * work.network(run).activations
        )
        for run in runs
    )
    return _WORKER_MB + (nets + 4 * max(prefixes.numbers(), default=0)) / 1e6


def _disk_mb(work: Work, todo: Todo, prefixes: _Prefixes, root: Path) -> float:
    size = next(iter(todo.runs.values())).image_size
    domains = {run.domain.canonical: work.domain(run) for run in todo.runs.values()}
    images = sum(int(found.counts.sum()) + found.test for found in domains.values())
    weights = sum(
        4 * work.network(run).parameters for i, run in todo.runs.items() if i in todo.parents
    )
    stored = 0 if (root / IMAGES).is_dir() else 3 * size**2 * images
    return (stored + 4 * sum(prefixes.numbers()) + weights + _RUN_BYTES * len(todo.runs)) / 1e6
