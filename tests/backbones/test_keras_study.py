"""The arms of the study as published, the recipes of its listings, and the signs of failure."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.cnn import CNN
from transfer_lab.backbones.counting import parameter_count
from transfer_lab.backbones.keras_study import PublishedCNN, PublishedMLP
from transfer_lab.backbones.mlp import MLP
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.mlp_probe import MLPProbe
from transfer_lab.regimes.optim import RECIPES
from transfer_lab.training.fit import fit_and_test

BYTES = torch.arange(3 * 12 * 12, dtype=torch.uint8).view(1, 3, 12, 12)


@pytest.mark.parametrize("cls", [PublishedMLP, PublishedCNN])
def test_pixels_go_in_raw(cls):
    assert torch.equal(cls(12).prepare(BYTES), BYTES.float())


def test_the_published_mlp_starts_uniform():
    weights = PublishedMLP(12).stages[1][0].weight.detach()
    assert weights.abs().max() <= 0.05
    assert weights.std() == pytest.approx(0.05 / 3**0.5, rel=0.02)


def test_the_articles_cnn_has_its_73232_parameters():
    """3 blocks of 32 filters with padding, 64 dense units, 16 classes, at 224 pixels."""
    with torch.device("meta"):
        cnn = CNN(224, dense=64, dropout=0.5)
        head = nn.Linear(cnn.num_features, 16)
    assert parameter_count(cnn) + parameter_count(head) == 73_232


def test_the_articles_mlp_has_its_75_million_parameters():
    with torch.device("meta"):
        mlp = MLP(224, dropout=0.5)
        head = nn.Linear(mlp.num_features, 16)
    assert parameter_count(mlp) + parameter_count(head) == 75_773_516


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
@pytest.mark.parametrize("cls", [MLP, CNN])
def test_a_dropout_that_leaves_nothing_is_refused(cls, dropout):
    with pytest.raises(ValueError, match="dropout"):
        cls(12, dropout=dropout)


def steps(recipe: str, count: int, lr: float = 0.1) -> list[float]:
    """Rates in use over a fit."""
    parameter = nn.Parameter(torch.zeros(1))
    groups = [{"params": [parameter], "lr": lr}]
    optimizer, schedule = RECIPES[recipe](groups, 0.01, count)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        parameter.grad = torch.ones(1)
        optimizer.step()
        schedule.step()
    return rates


def test_keras_sgd_decays_as_kerass_does():
    assert steps("keras_sgd", 3, lr=1e-3) == pytest.approx(
        [1e-3 / (1 + 1e-6 * step) for step in range(3)], rel=1e-9
    )


def test_keras_sgd_is_nesterovs():
    """First step of Keras 2: v = -lr g; w += momentum v - lr g."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer, _ = RECIPES["keras_sgd"]([{"params": [parameter], "lr": 0.1}], 0.5, 10)
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(0.9 * -0.1 - 0.1)


def test_keras_adam_keeps_its_rate_and_the_labs_own_ends_at_zero():
    assert set(steps("keras_adam", 5)) == {0.1}
    own = steps("adamw_cosine", 100)
    assert max(own) == pytest.approx(0.1, rel=0.05)
    assert own[-1] < 0.001


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_learns_a_separable_toy(recipe):
    torch.manual_seed(0)
    rate = {"keras_sgd": 0.02}.get(recipe, 0.003)
    regime = FromScratch(Leaky(), 4, lr=rate, recipe=recipe)
    domain = drawn(Blocks(), per_class=16)
    fit_and_test(regime, domain, Fit(epochs=30, batch_size=8))
    right = torch.cat(regime.test_outputs).argmax(1) == domain.section_labels("test")
    assert right.float().mean() > 0.9


def test_the_listings_head_has_its_layers():
    probe = MLPProbe(Leaky(), 10)
    sizes = [(m.in_features, m.out_features) for m in probe.head if isinstance(m, nn.Linear)]
    assert sizes == [(32, 1000), (1000, 500), (500, 150), (150, 10)]
    kinds = [type(m).__name__ for m in probe.head if isinstance(m, nn.ReLU | nn.Sigmoid)]
    assert kinds == ["ReLU", "Sigmoid", "Sigmoid"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": [4]}, "for each of the 1 hidden layers"),
        ({"units": [4], "activations": ["swish"]}, "relu, sigmoid, tanh"),
        ({"units": [0], "activations": ["relu"]}, "units"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_a_head_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MLPProbe(Leaky(), 4, **options)


@pytest.mark.parametrize("dying", [0, 4, 8])
def test_units_that_never_fire_are_counted(dying):
    """Of the first stage's eight channels so many can never fire, and the others always do."""
    torch.manual_seed(0)
    network = Leaky()
    for stage in network.stages[:2]:
        norm = stage[1]
        with torch.no_grad():
            norm.weight.zero_()
            norm.bias.fill_(1.0)
    with torch.no_grad():
        network.stages[0][1].bias[:dying] = -1.0
        network.stages[2][1].weight.zero_()
        network.stages[2][1].bias.fill_(1.0)
    regime = FromScratch(network, 4, lr=1e-9)
    found = fit_and_test(regime, drawn(), Fit(epochs=1, batch_size=8))
    assert found.dead_units == pytest.approx(dying / (8 + 8 + 32), abs=1e-6)
