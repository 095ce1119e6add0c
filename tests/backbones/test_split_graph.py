"""Networks of others, divided into stages: they compute what they computed, or are refused."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from tests.toys import drawn
from transfer_lab.backbones.split_graph import GraphBackbone, without_classifier
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.torchvision import Torchvision
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.training.fit import fit_and_test

IMAGES = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)


class Net(nn.Module):
    """Four convolutions that halve, and an average."""

    def __init__(self):
        super().__init__()
        sizes = (3, 4, 6, 8, 10)
        self.convs = nn.ModuleList(conv(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.convs:
            x = torch.relu(layer(x))
        return x.mean((2, 3))


class Twice(Net):
    """Looks at its images again at the end."""

    def forward(self, x):
        return super().forward(x) + x.mean((2, 3)).repeat(1, 4)[:, :10]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("training", [False, True])
def test_a_divided_network_computes_what_it_computed_before(name, training):
    torch.manual_seed(0)
    whole = without_classifier(torchvision.models.get_model(name, weights=None), 1000)
    divided = Torchvision(64, name=name)
    divided.stages.load_state_dict(divided.translate(whole.state_dict()), strict=False)
    outputs = []
    for network in (whole, divided):
        network.train(training)
        torch.manual_seed(1)  # for dropout
        outputs.append(network(divided.prepare(IMAGES) if network is whole else IMAGES))
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


def test_a_network_of_timm_computes_what_it_computed_before():
    whole = timm.create_model("test_resnet", num_classes=0, drop_rate=0.0).eval()
    divided = Timm(64, name="test_resnet").eval()
    divided.stages.load_state_dict(divided.translate(whole.state_dict()), strict=False)
    torch.testing.assert_close(divided(IMAGES), whole(divided.prepare(IMAGES)))


@pytest.mark.parametrize(
    ("name", "stages"), [("resnet18", 5), ("vgg11", 6), ("densenet121", 5), ("vit_b_16", 4)]
)
def test_stages_end_where_maps_become_smaller_or_hold_equal_parts(name, stages):
    with torch.device("meta"):
        found = Torchvision(64, name=name)
    assert len(found.stages) == stages


def test_the_stages_are_the_same_at_every_image_size():
    first, second = (Torchvision(size, name="resnet18").stages for size in (32, 64))
    assert [s.state_dict().keys() for s in first] == [s.state_dict().keys() for s in second]


def test_an_input_that_is_used_again_later_is_never_lost():
    torch.manual_seed(0)
    net = Twice().eval()
    divided = GraphBackbone(copy.deepcopy(net), 64).eval()
    torch.testing.assert_close(divided(IMAGES), net(divided.prepare(IMAGES)))


def test_a_function_that_was_told_its_mode_is_refused():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, x):
            return drop(self.net(x), self)

    with pytest.raises(ValueError, match="drops units outside of a module"):
        GraphBackbone(Whole(), 64)


def drop(x: torch.Tensor, module: nn.Module) -> torch.Tensor:
    return F.dropout(x, p=0.3, training=module.training)


@pytest.mark.parametrize("name", ["squeezenet1_0", "googlenet"])
def test_what_cannot_be_a_backbone_is_refused_with_the_reason(name):
    with pytest.raises(
        ValueError, match=r"classifier is no linear layer|no classification network"
    ):
        Torchvision(64, name=name)


def test_freezing_by_stage_freezes_a_librarys_network():
    torch.manual_seed(0)
    regime = PartialFinetune(Torchvision(12, name="resnet18"), 4, k=2)
    before = copy.deepcopy(regime.backbone.stages.state_dict())
    fit_and_test(regime, drawn(), Fit(epochs=1, batch_size=8))
    after = regime.backbone.stages.state_dict()
    for key, value in after.items():
        if int(key.partition(".")[0]) < 2:
            assert torch.equal(before[key], value), key
        elif key.endswith("conv1.weight"):
            assert not torch.equal(before[key], value), key


class Bottleneck(nn.Module):
    """One ReLU for maps of two widths, as in ResNet-50."""

    def __init__(self):
        super().__init__()
        self.narrow, self.wide, self.relu = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 9, 1), nn.ReLU()

    def forward(self, x):
        return self.relu(self.wide(self.relu(self.narrow(x)))).mean((2, 3))


def test_a_relu_that_is_used_at_two_widths_does_not_stop_a_run():
    regime = FromScratch(GraphBackbone(Bottleneck(), 12), 4)
    found = fit_and_test(regime, drawn(), Fit(epochs=1, batch_size=8))
    assert 0 <= found.dead_units <= 1
