"""The checks that people run on classes of their own find what is wrong, and say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.own_code import BACKBONE, DOMAIN, REGIME
from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.testing import ContractError, check_backbone, check_domain, check_regime


def written(text: str, name: str) -> type:
    namespace: dict[str, object] = {"__name__": "written"}
    exec(text, namespace)
    return namespace[name]


STRIPES = written(DOMAIN, "Stripes")
TWO_LAYERS = written(BACKBONE, "TwoLayers")


@pytest.mark.parametrize("name", ["TuneFirst", "Guess", "Probe"])
def test_regimes_that_keep_the_contract_pass_without_an_option_given(name):
    check_regime(written(REGIME, name))


def test_a_domain_and_a_backbone_that_keep_it_pass_too():
    check_domain(STRIPES, per_class=8)
    check_backbone(TWO_LAYERS)


class Thaws(FullFinetune):
    """Freezes the first stage, and lets it learn after all."""

    def phases(self):
        return (Phase((0,), self.lr, self.backbone_lr),)

    def begin(self, phase, **more):
        super().begin(phase, **more)
        self.backbone.stages[0].requires_grad_(True)

    def parameter_groups(self):
        groups = super().parameter_groups()
        return [*groups, {"params": list(self.backbone.stages[0].parameters()), "lr": 0.1}]


class Moves(FullFinetune):
    """Freezes the second stage, whose running statistics go on moving."""

    def phases(self):
        return (Phase((1,), self.lr, self.backbone_lr),)

    def train(self, mode=True):
        return nn.Module.train(self, mode)


class Sleeps(FullFinetune):
    """Learns nothing."""

    def loss(self, logits, labels):
        return super().loss(logits, labels) * 0


class Draws(FullFinetune):
    """Depends on more than its seed."""

    count = 0

    def phases(self):
        Draws.count += 1
        return (Phase((), self.lr * Draws.count, self.backbone_lr),)


class Overspends(FullFinetune):
    """Wants more than the budget."""

    def phases(self):
        return (Phase((), self.lr, self.backbone_lr, share=0.8),) * 2


class Beyond(FullFinetune):
    """Freezes what is not there."""

    def phases(self):
        return (Phase((3,), self.lr, self.backbone_lr),)


class Unsaid(LinearProbe):
    """Does not say that a head is all that learns."""


class Undocumented(FullFinetune):
    __doc__ = None


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Thaws, "a frozen parameter has a gradient"),
        (Moves, "a frozen stage is in training mode"),
        (Sleeps, "it learns a separable toy: after 25 epochs"),
        (Draws, "two fits with one seed answer differently"),
        (Overspends, "the shares of its phases add up to 1.6"),
        (Beyond, "there is no stage 3"),
        (Unsaid, "head_alone is False, but should be True"),
        (Undocumented, "it has no docstring"),
    ],
)
def test_a_regime_that_breaks_it_is_told_how(cls, message):
    with pytest.raises(ContractError, match=f"{cls.__name__} breaks") as caught:
        check_regime(cls)
    assert message in str(caught.value)


def _images(self, part):
    return super(type(self), self).image_blocks("train")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("image_blocks", _images, "the test set holds images of the training pool"),
        ("classes", ("a", "b", "c"), "labels are not 0 to 2"),
        ("classes", ("a", "a"), "two classes have the same name"),
        ("identity", property(lambda self: {"at": id(self)}), "its `identity` is another one"),
        (
            "image_blocks",
            lambda self, part: iter([np.zeros((16, 3, 5, 5), np.uint8)]),
            "ValueError",
        ),
        (
            "image_blocks",
            lambda self, part: iter(
                [np.random.randint(0, 256, (16, 3, *[self.image_size] * 2), np.uint8)]
            ),
            "its train images are others",
        ),
    ],
)
def test_a_domain_that_breaks_it_is_told_how(name, value, message):
    broken = type("Broken", (STRIPES,), {name: value, "__doc__": "Broken."})
    with pytest.raises(ContractError, match="Broken breaks") as caught:
        check_domain(broken, per_class=8)
    assert message in str(caught.value)


class Outside(Backbone):
    """Has a parameter outside of its stages."""

    def __init__(self, image_size: int):
        super().__init__([nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, 4))], 4)
        self.scale = nn.Parameter(torch.ones(4))


class Miscounts(Backbone):
    """Announces other features than it has."""

    def __init__(self, image_size: int):
        super().__init__([nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, 4))], 5)


class Centred(nn.Module):
    """Takes from each image the mean of its batch."""

    def forward(self, inputs):
        return inputs - inputs.mean(0)


class Companions(Backbone):
    """Looks at an image's companions."""

    def __init__(self, image_size: int):
        layers = (nn.Flatten(), nn.Linear(3 * image_size**2, 4), Centred())
        super().__init__([nn.Sequential(*layers)], 4)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Outside, "a parameter or buffer is in no stage"),
        (Miscounts, "features of 3 images are (3, 4), not (3, 5)"),
        (Companions, "stored output of 1 differs from the live one"),
    ],
)
def test_a_backbone_that_breaks_it_is_told_how(cls, message):
    with pytest.raises(ContractError, match=f"{cls.__name__} breaks") as caught:
        check_backbone(cls)
    assert message in str(caught.value)


def test_an_option_that_cannot_be_guessed_is_asked_for():
    class Named(FullFinetune):
        """Needs a name."""

        def __init__(self, backbone, num_classes, *, name: str):
            super().__init__(backbone, num_classes)

    with pytest.raises(ContractError, match="needs the option 'name': give it a value here"):
        check_regime(Named)
    check_options = pytest.raises(ContractError, match="option 'nam': unknown option")
    with check_options:
        check_regime(Named, nam="x", name="y")
