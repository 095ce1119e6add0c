"""What joins domain, backbone and regime keeps them apart where they must not touch."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.store.layout import CURVE, PREDICTIONS
from transfer_lab.store.records import RecordStore
from transfer_lab.system import pulse
from transfer_lab.training.building import build_domain, build_regime
from transfer_lab.training.run import Setting, train

SMALL = {"letters": "ABCD", "train_per_class": 10, "test_per_class": 4}
REGIMES = (Choice(kind="from_scratch"), Choice(kind="random_features"), Choice(kind="majority"))
BACKBONES = (
    Architecture(kind="mlp", options={"width": 8}),
    Architecture(kind="cnn", options={"filters": 4}),
)


def run(**changes) -> Run:
    content = {
        "domain": Choice(kind="latin", options=SMALL),
        "image_size": 12,
        "per_class": 6,
        "backbone": BACKBONES[0],
        "regime": REGIMES[0],
        "fit": Fit(epochs=1, batch_size=8),
        "seed": 3,
    }
    return Run(**content | changes)


def test_split_and_batch_order_depend_on_neither_regime_nor_backbone():
    seen = []
    for regime, backbone in product(REGIMES, BACKBONES):
        domain = build_domain(run(regime=regime, backbone=backbone), None)
        order = torch.cat([labels for _, labels in domain.train_dataloader()])
        seen.append((*domain.split, order.numpy()))
    for other in seen[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(seen[0], other, strict=True))


def test_a_regime_starts_from_the_random_weights_of_its_seed_alone(tmp_path):
    """Regimes that share a seed share what is random: their difference is the regime's."""
    store, weights = RecordStore(tmp_path), []
    for regime, per_class, seed in ((0, 6, 3), (1, 4, 3), (0, 6, 4)):
        made = run(regime=REGIMES[regime], per_class=per_class, seed=seed)
        module = build_regime(made, build_domain(made, None), store)
        weights.append(torch.cat([p.flatten() for p in module.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("tune", [None, ({"lr": 0.1}, {"lr": 0.01})])
def test_being_followed_changes_no_number(tmp_path, monkeypatch, tune):
    monkeypatch.setattr(pulse, "_SECONDS_BETWEEN", 0.0)
    wanted = run(tune=tune, fit=Fit(epochs=12, batch_size=8))
    alone, followed = RecordStore(tmp_path / "alone"), RecordStore(tmp_path / "followed")
    records = [train(wanted, alone, Setting())]
    with pulse.beating(tmp_path / "beat"):
        records.append(train(wanted, followed, Setting()))
    assert pulse.heard(tmp_path / "beat").doing == "testing"
    assert pulse.heard(tmp_path / "beat").share > 0.9
    assert records[0].test_log_loss == records[1].test_log_loss
    assert records[0].steps == records[1].steps
    curves = [store.file(wanted.id, CURVE).read_text().splitlines() for store in (alone, followed)]
    numbers = [[line.rpartition(",")[0] for line in curve] for curve in curves]
    assert numbers[0] == numbers[1]
    answers = [np.load(store.file(wanted.id, PREDICTIONS)) for store in (alone, followed)]
    assert all(np.array_equal(answers[0][name], answers[1][name]) for name in answers[0])


def test_a_record_says_how_far_its_subset_overlaps_with_another_seeds(tmp_path):
    """6 of 10 images of every class, validation included."""
    assert train(run(), RecordStore(tmp_path), Setting()).subset_overlap == 0.6
