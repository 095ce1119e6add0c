"""Heads trained in one pass end where each would have ended alone."""

from __future__ import annotations

import pytest
import torch

from tests.toys import Leaky, drawn
from transfer_lab.fitting import Ledger, fit_and_validate, fit_heads
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.regimes.mlp_probe import MLPProbe
from transfer_lab.spec import Fit
from transfer_lab.together import HeadsTogether, differ_in_rate_alone

RATES = (0.001, 0.01, 0.1)
FIT = Fit(epochs=13, batch_size=8)


def probe(lr: float, **options) -> LinearProbe:
    torch.manual_seed(0)
    return LinearProbe(Leaky(), 4, lr=lr, **options)


@pytest.mark.parametrize("recipe", ["adamw_cosine", "keras_sgd", "keras_adam"])
def test_every_head_ends_bit_for_bit_where_it_ends_alone(recipe):
    together = [probe(lr, recipe=recipe) for lr in RATES]
    curves, whole = fit_heads(together, drawn(), FIT)
    assert whole.clock.seconds > 0
    for lr, regime, curve in zip(RATES, together, curves, strict=True):
        alone, ledger = probe(lr, recipe=recipe), Ledger()
        fit_and_validate(alone, drawn(), FIT, ledger)
        assert torch.equal(regime.head.weight, alone.head.weight)
        assert torch.equal(regime.head.bias, alone.head.bias)
        for ours, theirs in zip(curve.rows, ledger.curve.rows, strict=True):
            assert ours | {"fit_seconds": 0} == theirs | {"fit_seconds": 0}
    assert not torch.equal(together[0].head.weight, together[1].head.weight)


def test_a_head_that_diverges_leaves_the_others_alone():
    mad = probe(1e38, recipe="keras_sgd")
    sound = probe(0.01, recipe="keras_sgd")
    curves, _ = fit_heads([mad, sound], drawn(), FIT)
    alone, ledger = probe(0.01, recipe="keras_sgd"), Ledger()
    fit_and_validate(alone, drawn(), FIT, ledger)
    assert torch.equal(sound.head.weight, alone.head.weight)
    assert curves[1].last["val_loss"] == ledger.curve.last["val_loss"]
    assert len(curves[0].rows) < len(curves[1].rows) == FIT.epochs


def test_members_share_one_backbone():
    members = [probe(lr) for lr in RATES]
    together = HeadsTogether(members)
    backbones = {id(member.backbone) for member in together.members}
    assert len(backbones) == 1


@pytest.mark.parametrize(
    ("regimes", "exact"),
    [
        ([probe(lr) for lr in RATES], True),
        ([probe(0.1, stage=1), probe(0.2, stage=1)], True),
        ([probe(0.1, stage=1), probe(0.1, stage=2)], False),
        ([probe(0.1, weight_decay=0.1), probe(0.1, weight_decay=0.2)], False),
        ([probe(0.1), probe(0.1, recipe="keras_sgd")], False),
        ([FullFinetune(Leaky(), 4)] * 2, False),
        ([LPFT(Leaky(), 4)] * 2, False),
        ([MLPProbe(Leaky(), 4, units=(8,), activations=("relu",), dropout=0.5)] * 2, False),
    ],
)
def test_only_linear_heads_that_differ_in_their_rates_are_trained_together(regimes, exact):
    assert differ_in_rate_alone(regimes) == exact
