"""Heads trained in one pass end where each would have ended alone."""

from __future__ import annotations

import pytest
import torch

from tests.toys import Leaky, drawn
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.lp_ft import LPFT
from transfer_lab.regimes.mlp_probe import MLPProbe
from transfer_lab.store import feature_cache as rows
from transfer_lab.training import frozen_features as activations
from transfer_lab.training.fit import FitResult, fit_and_test, fit_and_validate
from transfer_lab.training.heads import (
    Heads,
    MultiHeadModule,
    differ_in_rate_alone,
    fit_and_test_heads,
    fit_heads,
)

RATES = (0.001, 0.01, 0.1)
FIT = Fit(epochs=13, batch_size=8)


def probe(lr: float, **options) -> LinearProbe:
    torch.manual_seed(0)
    return LinearProbe(Leaky(), 4, lr=lr, **options)


def same(ours: LinearProbe, theirs: LinearProbe) -> bool:
    """Whether the heads are equal to the last bit."""
    mine, other = ours.head.state_dict(), theirs.head.state_dict()
    return all(torch.equal(mine[name], other[name]) for name in mine)


def rows_of(result: FitResult) -> list[dict]:
    return [row | {"fit_seconds": 0} for row in result.curve.rows]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("recipe", ["adamw_cosine", "keras_sgd", "keras_adam"])
def test_every_head_ends_bit_for_bit_where_it_ends_alone(recipe, precision):
    together = [probe(lr, recipe=recipe) for lr in RATES]
    ((_, results),) = fit_heads([Heads(drawn(), together)], FIT, precision=precision)
    for lr, regime, result in zip(RATES, together, results, strict=True):
        alone, apart = probe(lr, recipe=recipe), FitResult()
        fit_and_validate(alone, drawn(), FIT, apart, precision=precision)
        assert same(regime, alone)
        assert rows_of(result) == rows_of(apart)
        assert result.trainable_params == apart.trainable_params
        assert result.clock.seconds > 0
    assert not same(together[0], together[1])


@pytest.mark.parametrize("val_fraction", [0.25, 0])
def test_heads_of_several_seeds_and_rates_end_and_answer_as_each_does_alone(val_fraction):
    places = [(seed, RATES[:count]) for seed, count in ((0, 2), (1, 2), (5, 3))]

    def domain(seed):
        return drawn(seed=seed, val_fraction=val_fraction)

    groups = [Heads(domain(seed), [probe(lr) for lr in rates]) for seed, rates in places]
    found = fit_and_test_heads(groups, FIT)
    assert len({id(r.backbone) for heads in groups for r in heads.regimes}) == 1
    for (seed, rates), heads, results in zip(places, groups, found, strict=True):
        for lr, regime, result in zip(rates, heads.regimes, results, strict=True):
            alone = probe(lr)
            apart = fit_and_test(alone, domain(seed), FIT)
            assert same(regime, alone)
            assert torch.equal(torch.cat(regime.test_outputs), torch.cat(alone.test_outputs))
            assert rows_of(result) == rows_of(apart)
            assert result.features.keys() == apart.features.keys()
            assert result.dead_units == apart.dead_units
    assert not same(groups[0].regimes[0], groups[1].regimes[0])


def test_groups_share_what_is_made_of_the_frozen_stages(monkeypatch):
    made = []
    for name in ("FrozenPrefix", "prefix_key"):
        make = getattr(activations, name)
        monkeypatch.setattr(
            activations, name, lambda *given, n=name, m=make: (made.append(n), m(*given))[1]
        )
    fit_and_test_heads([Heads(drawn(seed=s), [probe(0.1)]) for s in range(3)], FIT)
    assert sorted(made) == ["FrozenPrefix", "prefix_key"]


def test_what_would_not_be_as_alone_is_refused(monkeypatch):
    groups = [Heads(drawn(seed=seed), [probe(0.1)]) for seed in (0, 1)]
    with pytest.raises(ValueError, match="with patience"):
        fit_heads(groups, FIT.model_copy(update={"patience": 2}))
    monkeypatch.setattr(rows, "MEMORY_LIMIT", 0)
    with pytest.raises(ValueError, match="without stored outputs"):
        fit_heads(groups, FIT)
    (alone,) = fit_heads([Heads(drawn(), [probe(lr) for lr in RATES])], FIT)  # one prefix for all
    assert all(result.curve.last["epoch"] == FIT.epochs for result in alone.results)


def test_every_head_has_the_seconds_of_the_whole_pass():
    groups = [Heads(drawn(seed=seed), [probe(0.01)]) for seed in (0, 1)]
    (first,), (second,) = (fitted.results for fitted in fit_heads(groups, FIT))
    assert first.clock.seconds == second.clock.seconds > 0
    assert first.curve.last["fit_seconds"] <= first.clock.seconds


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_a_head_that_diverges_leaves_the_others_alone(seeds):
    mad = probe(1e38, recipe="keras_sgd")
    sound = probe(0.01, recipe="keras_sgd")
    groups = [Heads(drawn(seed=seed), [r]) for seed, r in zip(seeds, (mad, sound), strict=True)]
    (lost,), (kept,) = fit_and_test_heads(groups, FIT)
    alone, result = probe(0.01, recipe="keras_sgd"), FitResult()
    fit_and_validate(alone, drawn(seed=seeds[1]), FIT, result)
    assert same(sound, alone)
    assert kept.curve.last["val_loss"] == result.curve.last["val_loss"]
    assert (lost.diverged, kept.diverged) == (True, False)
    assert len(lost.curve.rows) < len(kept.curve.rows) == FIT.epochs
    assert not mad.test_outputs and sound.test_outputs


def test_members_share_one_backbone():
    together = MultiHeadModule([[probe(lr) for lr in RATES], [probe(0.1)]])
    backbones = {id(member.backbone) for member in together.members}
    assert len(backbones) == 1


def test_groups_on_different_backbones_end_where_each_would_have_ended_alone():
    """As those of several seeds whose source runs are of their own."""

    def on(shift: float, rate: float):
        regime = probe(rate)
        with torch.no_grad():
            for parameter in regime.backbone.stages.parameters():
                parameter.mul_(1 + shift)
        return regime

    seeds, shifts = (0, 1, 2), (0.0, 0.3, -0.2)
    groups = [
        Heads(drawn(seed=seed), [on(shift, rate) for rate in RATES])
        for seed, shift in zip(seeds, shifts, strict=True)
    ]
    found = fit_and_test_heads(groups, FIT)
    assert len({id(heads.regimes[0].backbone) for heads in groups}) == 3
    for heads, results, seed, shift in zip(groups, found, seeds, shifts, strict=True):
        for rate, regime, result in zip(RATES, heads.regimes, results, strict=True):
            alone = on(shift, rate)
            ((told,),) = fit_and_test_heads([Heads(drawn(seed=seed), [alone])], FIT)
            assert same(regime, alone)
            assert result.curve.last["val_loss"] == told.curve.last["val_loss"]
            assert torch.equal(torch.cat(regime.test_outputs), torch.cat(alone.test_outputs))


def test_heads_on_different_weights_or_numbers_of_images_are_refused():
    other = probe(0.1)
    with torch.no_grad():
        next(other.backbone.stages.buffers()).add_(1)
    with pytest.raises(ValueError, match="different backbones"):
        MultiHeadModule([[probe(0.1), other]])
    assert other.backbone is not probe(0.1).backbone
    groups = [Heads(drawn(per_class=n), [probe(0.1)]) for n in (8, 16)]
    with pytest.raises(ValueError, match="different numbers of images"):
        fit_heads(groups, FIT)


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


@pytest.mark.parametrize(
    "own", ["on_after_backward", "on_train_batch_end", "on_train_start", "training_step", "forward"]
)
def test_a_probe_with_a_hook_or_step_of_its_own_is_trained_alone(own):
    def method(self, *given):
        return getattr(super(cls, self), own)(*given)

    cls = type("Own", (LinearProbe,), {own: method})
    regimes = [cls(Leaky(), 4, lr=lr) for lr in RATES]
    assert not differ_in_rate_alone(regimes)
    plain = type("Plain", (LinearProbe,), {"observe": lambda self, labels: None})
    assert differ_in_rate_alone([plain(Leaky(), 4, lr=lr) for lr in RATES])
    on_the_object = [probe(lr) for lr in RATES]
    assert differ_in_rate_alone(on_the_object)
    setattr(on_the_object[1], own, getattr(on_the_object[1], own))
    assert not differ_in_rate_alone(on_the_object)
