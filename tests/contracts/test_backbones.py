"""What must hold for every registered backbone, present and future."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from tests.toys import drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.cnn import pooling_for
from transfer_lab.backbones.counting import macs_per_image, parameter_count
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.backbones.vgg16 import VGG16
from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Architecture
from transfer_lab.store import feature_cache as rows
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.testing import BACKBONE_CHECKS, BackboneCase
from transfer_lab.training.frozen_features import FrozenFeatures, prefix_key

SMALL = {
    "mlp": {"width": 16},
    "mlp_published": {"width": 16},
    "cnn": {"filters": 4},
    "cnn_published": {"filters": 4, "dense": 8, "dropout": 0.5},
    "vgg16": {"width": 0.05, "batch_norm": True},
    "minilm": {"layers": 2, "width": 32},
    "tfidf": {"features": 64},
    "torchvision": {"name": "mobilenet_v3_small"},
    "timm": {"name": "test_resnet"},
}
CPU = torch.device("cpu")


def case(name: str, **options) -> BackboneCase:
    return BackboneCase(BACKBONES.load(name), SMALL.get(name, {}) | options)


def build(name: str, image_size: int = 16, **options) -> Backbone:
    return case(name, **options).build(image_size)


@pytest.mark.parametrize("check", BACKBONE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_keeps_the_contract(name, check):
    check(case(name))


def images(count: int, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", ["vgg16", "torchvision", "timm"])
def test_batch_normalisation_after_a_convolution_is_folded_into_it(name):
    backbone = build(name, 32).eval()
    ready = FrozenPrefix(backbone, len(backbone.stages), CPU)
    norms = [m for m in ready._backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not norms
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())


@pytest.mark.parametrize(("size", "batch"), [(20, 128), (64, 128), (96, 56), (224, 10), (512, 8)])
def test_large_images_are_taken_few_at_a_time(size, batch):
    assert FrozenPrefix(build("mlp").eval(), 1, CPU).batch_size(size) == batch


def test_outputs_of_another_precision_are_stored_under_another_key():
    backbone = build("cnn").eval()
    assert prefix_key(backbone, 1, "fp32") != prefix_key(backbone, 1, "bf16")


def test_without_room_the_prefix_runs_live_and_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MEMORY_LIMIT", 10)
    backbone, domain = build("cnn", 12).eval(), drawn()
    data = FrozenFeatures(domain, backbone, 2, FeatureCache(tmp_path, limit=10))
    data.setup("fit")
    data.setup("test")
    for section in ("val", "test"):
        pairs = zip(getattr(data, f"{section}_dataloader")(), domain.loader(section), strict=True)
        for (outputs, _), (inputs, _) in pairs:
            torch.testing.assert_close(outputs, backbone(inputs, stop=2))
    assert next(iter(data.train_dataloader()))[0].shape[1:] == outputs.shape[1:]


def test_equal_tensors_under_other_options_are_another_prefix():
    keys = set()
    for dropout in (0.0, 0.5):
        choice = Architecture(kind="mlp", options={"width": 8, "dropout": dropout})
        torch.manual_seed(0)
        keys.add(prefix_key(build_backbone(choice, 12), 2))
    assert len(keys) == 2


def test_a_tensor_in_two_stages_is_refused():
    shared = torch.nn.Linear(4, 4)
    with pytest.raises(ValueError, match="stage 2 shares a parameter"):
        Backbone([shared, torch.nn.Sequential(shared)], 4)


def test_no_stage_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one stage"):
        Backbone([], 4)


def test_the_mlp_of_the_articles_has_their_parameters():
    with torch.device("meta"):
        mlp = BACKBONES.load("mlp")(224)
    assert parameter_count(mlp) == 224 * 224 * 3 * 500 + 500 + 2 * (500 * 500 + 500)


def test_the_cnn_of_the_articles_pools_by_four_and_has_their_convolutions():
    with torch.device("meta"):
        cnn = BACKBONES.load("cnn")(224)
    assert parameter_count(cnn) == (3 * 25 + 1) * 32 + 2 * (32 * 25 + 1) * 32
    assert cnn.num_features == 3 * 3 * 32
    assert macs_per_image(cnn, 224) == 224**2 * 75 * 32 + (56**2 + 14**2) * 800 * 32


def test_the_cnn_computes_and_learns_as_with_its_relu_before_the_pooling():
    torch.manual_seed(0)
    cnn = BACKBONES.load("cnn")(20)
    blocks = [
        nn.Sequential(stage[0], nn.ReLU(), nn.MaxPool2d(pooling_for(20)), *stage[3:])
        for stage in cnn.stages
    ]
    inputs = cnn.prepare(images(8, 20))
    articles, ours = nn.Sequential(*blocks)(inputs), nn.Sequential(*cnn.stages)(inputs)
    assert torch.equal(ours, articles)
    weights = torch.randn_like(ours)
    expected, found = (
        torch.autograd.grad((outputs * weights).sum(), list(cnn.parameters()))
        for outputs in (articles, ours)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_networks_of_the_same_class_and_different_layers_have_shapes_of_their_own():
    small, large = (BACKBONES.load("mlp")(16, width=width, depth=2) for width in (8, 24))
    for _ in range(2):
        assert [b.output_shape(16, 1) for b in (small, large)] == [(8,), (24,)]
    assert small.structure(1) != large.structure(1)
    assert small.output_shape(16, 0) != small.output_shape(16)


@pytest.mark.parametrize(("size", "pool"), [(224, 4), (128, 4), (64, 3), (54, 3), (32, 2), (8, 1)])
def test_pooling_leaves_at_least_two_pixels(size, pool):
    assert pooling_for(size) == pool
    assert size // pool**3 >= 2


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg16_is_torchvisions_without_the_last_layer(batch_norm):
    """Shapes and order of every tensor, on the meta device: no memory is needed."""
    with torch.device("meta"):
        ours = VGG16(224, batch_norm=batch_norm)
        theirs = (torchvision.models.vgg16_bn if batch_norm else torchvision.models.vgg16)()
    expected = [tuple(t.shape) for t in theirs.state_dict().values()][:-2]
    assert [tuple(t.shape) for t in ours.state_dict().values()] == expected


def test_vgg16_computes_what_torchvisions_convolutions_compute():
    torch.manual_seed(0)
    ours = VGG16(64, top="pooled", batch_norm=True).eval()
    features = torchvision.models.vgg16_bn(weights=None, num_classes=2).features.eval()
    weights = dict(zip(features.state_dict(), ours.state_dict().values(), strict=True))
    features.load_state_dict(weights)
    inputs = images(2, 64)
    expected = features(ours.prepare(inputs)).mean((2, 3))
    torch.testing.assert_close(ours(inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_narrower_vgg16_has_fewer_channels_in_every_layer():
    with torch.device("meta"):
        full, narrow = VGG16(32), VGG16(32, width=0.25)
    assert len(narrow.state_dict()) == len(full.state_dict())
    assert narrow.num_features == full.num_features // 4
    assert parameter_count(narrow) < parameter_count(full) / 10


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("width", value) for value in (0, -1, 5)),
        *(("grid", value) for value in (0, 8)),
        *(("dropout", value) for value in (-0.1, 1.0)),
        *(("cut", value) for value in (0, 1, 20)),
    ],
)
def test_a_vgg16_that_would_be_no_network_is_refused(option, value):
    with pytest.raises(ValueError, match=option):
        VGG16(32, **{"width": 0.05, option: value})


@pytest.mark.parametrize(("top", "features"), [("pooled", 26), ("flat", 26 * 4), ("dense", 205)])
def test_vgg16s_tops_give_as_many_features_as_their_names_say(top, features):
    assert VGG16(64, width=0.05, top=top, grid=2).num_features == features


@pytest.mark.parametrize("cut", range(2, 20))
def test_a_cut_ends_a_stage_after_so_many_layers_of_keras(cut):
    with torch.device("meta"):
        vgg16 = VGG16(32, width=0.05, cut=cut)
    assert cut in vgg16.keras_layers
    assert len(vgg16.stages) == 6 + (cut not in (4, 7, 11, 15, 19))
