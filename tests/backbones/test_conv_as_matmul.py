"""A convolution that learns as a matrix product is the same function, with the same gradients."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import nn

from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.conv_as_matmul import (
    SmallMapConv2d,
    compute_as_convolutions,
    learn_as_products,
)
from transfer_lab.backbones.counting import macs_per_image
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.experiment.choices import Architecture
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.partial_finetune import PartialFinetune

SIZES = tuple(product((1, 2, 3, 4), repeat=2))
KERNELS = ((1, 1), (2, 2), (3, 3), (5, 5), (1, 3))
LAYERS = [
    (kernel, stride, padding, size)
    for kernel, stride, padding, size in product(KERNELS, (1, 2, (2, 1)), (0, 1, 2), SIZES)
    if all(pixels + 2 * padding >= k for pixels, k in zip(size, kernel, strict=True))
]


def layer(*args, **options) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 5, *args, **options).double().to(memory_format=torch.channels_last)


def maps(size: tuple[int, int], channels: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    found = torch.randn(4, channels, *size, dtype=torch.double)
    return found.to(memory_format=torch.channels_last).requires_grad_()


def results(conv: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The output, and the gradients of the input and of every parameter."""
    outputs = conv(inputs)
    torch.manual_seed(2)
    weights = torch.randn_like(outputs)
    wanted = (inputs, *conv.parameters())
    return outputs, *torch.autograd.grad((outputs * weights).sum(), wanted)


def as_product(conv: nn.Conv2d) -> nn.Conv2d:
    learn_as_products(conv)
    return conv


@pytest.fixture
def no_convolution(monkeypatch):
    def refuse(*_):
        raise AssertionError("computed as a convolution")

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", refuse)


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_the_convolution(bias):
    for *args, size in LAYERS:
        expected = results(layer(*args, bias=bias), maps(size))
        found = results(as_product(layer(*args, bias=bias)), maps(size))
        torch.testing.assert_close(found, expected)
        assert found[0].stride() == expected[0].stride() or 1 in found[0].shape[-2:]


@pytest.mark.parametrize(
    ("args", "size"),
    [((3, 1, 1), (2, 2)), ((3, 1, 1), (1, 1)), ((5, 2, 2), (3, 2)), ((2,), (2, 2))],
)
def test_a_map_that_every_window_covers_takes_no_convolution(args, size, no_convolution):
    results(as_product(layer(*args)), maps(size))


@pytest.mark.parametrize(
    ("args", "size"),
    [((3, 1, 1), (3, 3)), ((3, 1, 1), (2, 3)), ((3, 1, 2), (2, 2)), ((1,), (2, 2))],
)
def test_another_map_is_convolved(args, size, no_convolution):
    with pytest.raises(AssertionError, match="as a convolution"):
        as_product(layer(*args))(maps(size))


def test_without_gradients_it_is_the_convolution_itself():
    conv, inputs = layer(3, 1, 1), maps((2, 2))
    with torch.no_grad():
        expected = conv(inputs)
        assert torch.equal(as_product(conv)(inputs), expected)
    conv.requires_grad_(False)
    assert torch.equal(conv(inputs), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 3},
        {"dilation": 2, "padding": 2},
        {"padding": "same"},
        {"padding_mode": "reflect"},
    ],
    ids=str,
)
def test_other_convolutions_are_left_alone(options):
    conv = nn.Conv2d(3, 3, 3, **{"padding": 1} | options)
    assert type(as_product(conv)) is nn.Conv2d


def test_a_class_of_somebody_else_is_left_alone():
    class Standardised(nn.Conv2d):
        pass

    assert type(as_product(Standardised(3, 3, 3))) is Standardised


def test_autocast_gives_what_a_convolution_under_it_gives():
    conv, inputs = layer(3, 1, 1).float(), maps((2, 2)).float()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = conv(inputs), as_product(conv)(inputs)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def test_it_has_the_same_tensors_and_can_be_undone_and_copied():
    conv = layer(3, 1, 1)
    before = {name: id(tensor) for name, tensor in conv.named_parameters()}
    assert type(copy.deepcopy(as_product(conv))) is SmallMapConv2d
    assert {name: id(tensor) for name, tensor in conv.named_parameters()} == before
    compute_as_convolutions(conv)
    assert type(conv) is nn.Conv2d


CHOICES = [
    Architecture(kind="vgg16", options={"width": 0.05, "batch_norm": True, "top": "pooled"}),
    Architecture(kind="torchvision", options={"name": "resnet18"}),
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_stages_that_learn_have_it_and_frozen_ones_are_folded_as_ever(choice):
    backbone = build_backbone(choice, 32)
    regime = PartialFinetune(backbone, 4, k=2)
    regime.begin(regime.phases()[0])
    assert [has_products(stage) for stage in backbone.stages[:2]] == [False, False]
    assert all(has_products(stage) for stage in backbone.stages[2:5])

    everything = FullFinetune(backbone, 4)
    everything.begin(everything.phases()[0])
    assert has_products(backbone.stages[1])
    regime.begin(regime.phases()[0])
    folded = FrozenPrefix(backbone, 2, torch.device("cpu"))
    norms = [m for m in folded._backbone.stages.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not norms


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.kind)
def test_a_whole_network_has_the_same_loss_gradients_and_operations(choice):
    torch.manual_seed(0)
    plain = FullFinetune(build_backbone(choice, 32), 4)
    quick = copy.deepcopy(plain)
    plain.train()
    quick.begin(quick.phases()[0])
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    gradients = []
    for module in (plain, quick):
        module(images).square().sum().backward()
        gradients.append([p.grad for p in module.parameters()])
    for expected, found in zip(*gradients, strict=True):
        assert (found - expected).norm() <= 1e-3 * expected.norm() + 1e-5
    assert macs_per_image(quick, 32) == macs_per_image(plain, 32)


def has_products(stage: nn.Module) -> bool:
    return any(type(module) is SmallMapConv2d for module in stage.modules())
