"""A backbone that answers the same image otherwise at a second look is named in preflight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.grid.preflight import preflight
from transfer_lab.testing import BACKBONE_CHECKS, BackboneCase, ContractError
from transfer_lab.training.contracts.backbones import (
    two_passes_over_the_same_images_give_the_same_features,
)

OWN = '''\
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone

CALLS = []


class Layer(nn.Module):
    """A dense layer, and more."""

    def __init__(self, before, after):
        super().__init__()
        self.dense, self.dropout = nn.Linear(before, after), nn.Dropout(0.5)

    def forward(self, inputs):
        hidden = self.dense(inputs.flatten(1))
        return {forward}


class Mine(Backbone):
    """One stage."""

    def __init__(self, image_size: int):
        super().__init__([Layer(3 * image_size**2, 6)], 6)
'''
EXPERIMENT = """\
name: own
image_size: 12
scenarios:
  small_similar: {source: latin, target: digits, per_class: 4}
backbones:
  mine: {module: own.py:Mine}
regimes: [from_scratch, linear_probe]
seeds: [1]
domains:
  latin: {letters: ABC, train_per_class: 6, test_per_class: 4}
fit: {epochs: 1}
pretrain: {epochs: 1}
"""
CHANCE = {
    "noise": "hidden + 0.01 * torch.randn_like(hidden)",
    "noise of numpy": "hidden * float(np.random.rand())",
    "noise of Python": "hidden * random.random()",
    "dropout that does not know its mode": "F.dropout(hidden, 0.5)",
    "dropout in training mode": "self.dropout.train()(hidden)",
    "what it has counted": "hidden + (CALLS.append(1) or len(CALLS))",
    "another order": "hidden[:, torch.randperm(hidden.shape[1], device=hidden.device)]",
    "numbers at one time alone": "hidden / ((CALLS.append(1) or len(CALLS)) % 2)",
}
NO_CHANCE = {
    "dropout": "self.dropout(hidden)",
    "noise in training alone": "hidden + torch.randn_like(hidden) if self.training else hidden",
    "rounding": "hidden + 1e-7 * hidden.detach().abs().max() * torch.rand_like(hidden)",
    "chance that is drawn once": "hidden * torch.rand(6, generator=torch.Generator()"
    ".manual_seed(0)).to(hidden.device)",
    "no numbers": "hidden / 0",
    "nothing": "hidden * 0",
}


def written(folder: Path, forward: str) -> Path:
    """The experiment, with such a backbone beside it."""
    (folder / "own.py").write_text(OWN.replace("{forward}", forward))
    path = folder / "own.yaml"
    path.write_text(EXPERIMENT)
    return path


@pytest.mark.parametrize("what", CHANCE)
def test_a_backbone_of_chance_is_named_with_the_way_out(what, tmp_path):
    ((place, told),) = preflight(load_experiment(written(tmp_path, CHANCE[what])).experiment)
    assert place == ("backbones", "mine")
    assert told.startswith(
        "Mine: two passes of the same images in eval mode gave different answers"
    )
    assert "self.training" in told and "nn.Dropout" in told


@pytest.mark.parametrize("what", NO_CHANCE)
def test_one_that_draws_in_training_alone_is_none(what, tmp_path):
    assert preflight(load_experiment(written(tmp_path, NO_CHANCE[what])).experiment) == []


def test_what_is_drawn_for_it_changes_nothing_that_is_drawn_afterwards(tmp_path):
    asked = load_experiment(written(tmp_path, NO_CHANCE["dropout"])).experiment
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    preflight(asked)
    assert torch.equal(torch.rand(3), expected)


def test_one_that_fails_on_images_is_named_with_what_it_raised(tmp_path):
    forward = "hidden if hidden.is_meta else torch.linalg.inv(hidden)"
    ((place, told),) = preflight(load_experiment(written(tmp_path, forward)).experiment)
    assert place == ("backbones", "mine") and told.startswith("Mine: ") and "Error" in told


def test_the_contract_that_the_labs_own_keep_names_it_too():
    assert two_passes_over_the_same_images_give_the_same_features in BACKBONE_CHECKS
    content: dict[str, type] = {}
    exec(OWN.replace("{forward}", CHANCE["noise"]), content)
    with pytest.raises(ContractError, match="of the largest feature apart in eval mode"):
        two_passes_over_the_same_images_give_the_same_features(BackboneCase(content["Mine"]))
