"""A finished run's model, as it ended: from the weights that it left, or trained once more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import TransferModule
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.store.layout import ACTIVATIONS, IMAGES
from transfer_lab.store.records import Record, RecordStore
from transfer_lab.training.building import build_domain, build_regime, draw
from transfer_lab.training.fit import fit_and_test, quiet
from transfer_lab.training.metrics import test_metrics


@dataclass(frozen=True)
class Again:
    """A run's regime in eval mode with all stages in its forward, its domain as drawn, and the test
    metrics that it has now, by the names of a record's fields."""

    regime: TransferModule
    domain: ImageDomain
    metrics: dict[str, float]


def train_again(run: Run, record: Record, store: RecordStore) -> Again:
    """Train a finished run once more as its record says that it was, and leave that record alone.

    On the machine that it ran on it ends as it did. Raises what goes wrong, as `train` does.
    """
    quiet()
    domain = build_domain(run, store.root / IMAGES)
    final = _final(run, record)
    if final is not run:
        draw(domain, final)
    regime = build_regime(final, domain, store)
    rows = FeatureCache(store.root / ACTIVATIONS)
    with _threads(record.threads):
        fit_and_test(regime, domain, final.fit, rows=rows, precision=record.precision or "fp32")
    regime.merge()
    metrics = test_metrics(torch.cat(regime.test_outputs), domain.section_labels("test"))
    regime.entry = 0
    return Again(regime.cpu().eval(), domain, metrics)


def _final(run: Run, record: Record) -> Run:
    """The untuned run with the options that were chosen for it."""
    if record.chosen_options is None:
        return run
    options = json.loads(record.chosen_options)
    return run.trial(options) if run.searches else run.refit(options)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """As many threads as the run had: sums depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
