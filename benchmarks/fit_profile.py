"""Where the time of a fit goes: what multiplies, what only passes over data, and the rest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.ceilings import DTYPES, ceilings
from benchmarks.figures import Detail
from benchmarks.operations import operations
from transfer_lab.experiment.spec import Run
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_domain, build_regime
from transfer_lab.training.fit import FitResult, fit_and_validate

_PRODUCTS = ("convolution", "conv2d", "mm", "linear", "matmul")
_OPTIMIZER = ("adam", "Optimizer")
_EPOCHS = 4
"""A profiler keeps every call."""


@dataclass(frozen=True)
class FitShare:
    """Seconds of a fit on one thread: convolutions and matrix products, operators that pass over
    data (norms, activations, pooling, copies), the optimiser, and all of it; what the products
    compute, and the best rate of one thread."""

    products: float
    passes: float
    optimizer: float
    whole: float
    operations: float
    best: float

    @property
    def row(self) -> tuple[str, ...]:
        """For a table."""
        rest = self.whole - self.products - self.passes - self.optimizer
        parts = (self.products, self.passes, self.optimizer, rest)
        rate = self.operations / self.products
        return (
            f"{self.whole:.2f}",
            *(f"{part / self.whole:.0%}" for part in parts),
            f"{rate / 1e9:.0f}",
            f"{rate / self.best:.0%}",
        )


def fit_profile(runs: Iterable[Run], store: RecordStore, *, quick: bool) -> Detail:
    """A row for each backbone: some epochs of its run with the most operations, fitted again under
    a profiler."""
    longest = _longest(runs, store)
    precision = store.get(longest[0].id).precision
    with _one_thread():
        best = ceilings(DTYPES[precision], quick=quick).operations
        shares = [_share(_shortened(run), store, precision, best) for run in longest]
    rows = zip((run.backbone.label for run in longest), shares, strict=True)
    head = ("backbone", "fit, s", "products", "passes over data", "optimiser", "the rest")
    head += ("GFLOP/s of products", "of the best rate")
    return Detail(
        f"{_EPOCHS} epochs of each backbone's longest fit in the default grid, validations "
        "included, on one thread under a profiler: products are convolutions and matrix products; "
        "passes over data are norms, activations, pooling and copies; the rest is Python, "
        f"Lightning and the profiler; at best {best / 1e9:,.0f} GFLOP/s",
        head,
        tuple((name, *share.row) for name, share in rows),
    )


def _longest(runs: Iterable[Run], store: RecordStore) -> list[Run]:
    most: dict[str, tuple[float, Run]] = {}
    for run in runs:
        known, _ = most.get(run.backbone.label, (-1.0, run))
        if (count := _operations(run, store)) > known:
            most[run.backbone.label] = (count, run)
    return [run for _, run in most.values()]


def _shortened(run: Run) -> Run:
    fit = run.fit.model_copy(update={"epochs": _EPOCHS, "min_steps": 0})
    return run.model_copy(update={"fit": fit})


def _operations(run: Run, store: RecordStore) -> float:
    domain = build_domain(run, store.root / IMAGES)
    counted = operations(build_regime(run, domain, store), domain, run.fit)
    return counted.fit + counted.validation


def _share(run: Run, store: RecordStore, precision: str, best: float) -> FitShare:
    domain = build_domain(run, store.root / IMAGES)
    regime = build_regime(run, domain, store)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        start = time.perf_counter()
        fit_and_validate(regime, domain, run.fit, FitResult(), precision=precision)
        whole = time.perf_counter() - start
    spent: Counter[str] = Counter()
    for event in watched.key_averages():
        spent[kind(event.key)] += event.self_cpu_time_total / 1e6
    parts = (spent[name] for name in ("products", "passes", "optimizer"))
    return FitShare(*parts, whole, _operations(run, store), best)


def kind(name: str) -> str:
    """What an event of the profiler is: products, passes, optimizer or other."""
    if any(word in name for word in _OPTIMIZER):
        return "optimizer"
    if not name.startswith("aten::"):
        return "other"
    return "products" if any(word in name for word in _PRODUCTS) else "passes"


@contextmanager
def _one_thread() -> Iterator[None]:
    """As the grid's workers have it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
