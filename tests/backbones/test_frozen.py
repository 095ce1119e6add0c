"""Frozen prefixes: what computes them, that it computes the same, and what stored outputs are known
by."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from tests.builders import ENVIRONMENT, ROOT
from transfer_lab.backbones import onnx_runtime
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.cnn import CNN
from transfer_lab.backbones.frozen import FrozenPrefix, computed_by
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.torchvision import Torchvision
from transfer_lab.training.frozen_features import prefix_key

CPU = torch.device("cpu")
SIZE = 32
GROUPED = [(Timm, "tf_efficientnet_lite0"), (Torchvision, "mobilenet_v3_small")]

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(params=GROUPED, ids=lambda kind: kind[1])
def grouped(request) -> Backbone:
    cls, name = request.param
    torch.manual_seed(0)
    backbone = cls(SIZE, name=name)
    for module in backbone.modules():  # as a trained network has them
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return backbone.eval()


@pytest.fixture
def without_onnx(monkeypatch):
    monkeypatch.setattr(onnx_runtime, "versions", lambda: ())


def images(count: int = 5, size: int = SIZE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def whole(backbone: Backbone, precision: str = "fp32") -> FrozenPrefix:
    return FrozenPrefix(backbone, len(backbone.stages), CPU, precision)


def near(found: torch.Tensor, live: torch.Tensor) -> bool:
    return torch.allclose(found, live, rtol=1e-4, atol=1e-5 * float(live.abs().max()))


def test_onnx_runtime_computes_what_torch_does_for_every_stage(grouped, recwarn):
    for stop in range(1, len(grouped.stages) + 1):
        prefix = FrozenPrefix(grouped, stop, CPU)
        found = prefix(images())
        assert near(found, grouped(images(), stop=stop).detach())
        assert found.dtype == torch.float32 and not (found.requires_grad or found.is_inference())
    assert all(prefix._onnx._made.values())
    assert not [warning for warning in recwarn if "torch does" in str(warning.message)]


def test_an_images_outputs_are_the_same_bits_whatever_lies_beside_it(grouped):
    prefix, other = whole(grouped), whole(grouped)
    together = prefix(images(37))
    assert torch.equal(torch.cat([other(image[None]) for image in images(37)]), together)
    assert torch.equal(other(images(37).flip(0)).flip(0), together)


def test_other_image_sizes_are_taken_as_they_come(grouped):
    prefix = whole(grouped)
    for size in (32, 48, 33):
        assert near(prefix(images(3, size)), grouped(images(3, size)).detach())


def test_stored_outputs_are_known_by_what_computed_them(grouped, monkeypatch):
    stop = len(grouped.stages)
    own = prefix_key(grouped, stop)
    assert any("onnxruntime" in part for part in computed_by(grouped, stop, CPU))
    monkeypatch.setattr(onnx_runtime, "versions", lambda: ("onnxruntime 0.0",))
    assert prefix_key(grouped, stop) != own
    monkeypatch.setattr(onnx_runtime, "versions", lambda: ())
    assert prefix_key(grouped, stop) != own
    assert computed_by(grouped, stop, torch.device("cuda"), "fp32") == computed_by(
        grouped, stop, CPU, "bf16"
    )


def test_without_the_package_torch_computes_the_same(grouped, without_onnx):
    prefix = whole(grouped)
    assert prefix._onnx is None
    assert near(prefix(images()), grouped(images()).detach())


def test_bf16_stays_with_torch(grouped):
    prefix = whole(grouped, "bf16")
    assert prefix._onnx is None


@pytest.mark.parametrize(
    "backbone",
    [CNN(SIZE, filters=4), Torchvision(SIZE, name="resnet18")],
    ids=["cnn", "resnet18"],
)
def test_networks_without_grouped_convolutions_are_computed_and_stored_as_ever(
    backbone, monkeypatch
):
    backbone.eval()
    stop = len(backbone.stages)
    assert computed_by(backbone, stop, CPU) == ()
    assert whole(backbone)._onnx is None


def test_activated_normalisation_is_folded_and_known_by_it(without_onnx):
    torch.manual_seed(0)
    backbone = Timm(SIZE, name="tf_efficientnet_lite0").eval()
    left = [m for m in whole(backbone)._backbone.stages.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not left
    assert computed_by(backbone, 1, CPU) != ()


class Twisted(Backbone):
    """A grouped convolution, and an operation that no exporter knows."""

    def __init__(self, image_size: int = SIZE):
        convolution = nn.Conv2d(3, 6, 3, groups=3)
        super().__init__([nn.Sequential(convolution, Bessel(), nn.Flatten())], 6 * 30 * 30)


class Bessel(nn.Module):
    """The Bessel function of every value."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(maps)


def test_what_cannot_be_exported_is_told_and_left_to_torch():
    torch.manual_seed(0)
    backbone = Twisted().eval()
    prefix = whole(backbone)
    with pytest.warns(UserWarning, match="torch does"):
        found = prefix(images())
    assert torch.equal(prefix(images()), found)
    assert near(found, backbone(images()).detach())


def test_an_export_that_computes_something_else_is_left_to_torch(grouped, monkeypatch):
    true = onnx_runtime._Session.__call__
    monkeypatch.setattr(
        onnx_runtime._Session, "__call__", lambda self, given: 1.01 * true(self, given)
    )
    prefix = whole(grouped)
    with pytest.warns(UserWarning, match="are off by"):
        found = prefix(images())
    assert near(found, grouped(images()).detach())


def test_asking_what_computes_loads_no_runtime():
    code = (
        "import sys\n"
        "from transfer_lab.backbones.frozen import FrozenPrefix, computed_by\n"
        "assert not {'onnx', 'onnxruntime'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=ENVIRONMENT)
