"""What frozen extraction is compared with computes the same."""

from __future__ import annotations

import pytest
import torch

from benchmarks.frozen_networks import extraction, layer_by_layer
from benchmarks.setting import Setting
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.backbones.timm import Timm


def test_both_sides_compute_the_same():
    torch.manual_seed(0)
    backbone = Timm(32, name="tf_efficientnet_lite0").eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    prefix = FrozenPrefix(backbone, len(backbone.stages), torch.device("cpu"))
    expected = layer_by_layer(backbone)(images)
    assert torch.allclose(prefix(images), expected, atol=1e-5 * float(expected.abs().max()))


def test_the_part_says_what_computes_and_leaves_the_threads_as_they_were(tmp_path):
    threads = torch.get_num_threads()
    result = extraction(Setting(tmp_path, lambda _: None, quick=True, repeats=1))
    assert torch.get_num_threads() == threads
    assert [figure.target.bound for figure in result.figures] == [3, pytest.approx(0.95)]
    assert "onnxruntime" in result.figures[0].note and "by torch" in result.figures[1].note
