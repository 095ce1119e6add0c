"""Weights between runs: bit for bit, verified, and refused with the reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.toys import Leaky
from transfer_lab.backbones.mlp import MLP
from transfer_lab.backbones.weights import load_head, load_stages, save_weights
from transfer_lab.system.files import WeightsError


def seeded(seed: int) -> Leaky:
    torch.manual_seed(seed)
    return Leaky()


def test_a_saved_backbone_comes_back_bit_for_bit_buffers_included(tmp_path):
    source, target = seeded(0), seeded(1)
    source(torch.randint(0, 255, (8, 3, 12, 12), dtype=torch.uint8))
    digest = save_weights(source, tmp_path / "w.safetensors")
    load_stages(target, range(3), tmp_path / "w.safetensors", digest)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_only_the_stages_asked_for_are_loaded(tmp_path):
    source, target = seeded(0), seeded(1)
    untouched = target.stages[1][0].weight.clone()
    digest = save_weights(source, tmp_path / "w.safetensors")
    load_stages(target, range(1), tmp_path / "w.safetensors", digest)
    assert torch.equal(target.stages[0][0].weight, source.stages[0][0].weight)
    assert torch.equal(target.stages[1][0].weight, untouched)


def test_equal_weights_have_equal_hashes(tmp_path):
    digests = {save_weights(seeded(0), tmp_path / name) for name in ("a", "b")}
    assert len(digests) == 1


def test_a_channels_last_backbone_is_saved_as_the_same_file(tmp_path):
    plain = save_weights(seeded(0), tmp_path / "a")
    last = seeded(0).to(memory_format=torch.channels_last)
    assert save_weights(last, tmp_path / "b") == plain


def test_a_damaged_file_is_refused_and_changes_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    digest = save_weights(seeded(0), path)
    for damaged in (path.read_bytes()[:-1], b"version https://git-lfs...", b""):
        path.write_bytes(damaged)
        target = seeded(1)
        before = {k: v.clone() for k, v in target.state_dict().items()}
        with pytest.raises(WeightsError, match=r"w\.safetensors.*SHA-256"):
            load_stages(target, range(3), path, digest)
        assert all(torch.equal(before[k], v) for k, v in target.state_dict().items())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.safetensors"):
        load_stages(seeded(0), range(3), tmp_path / "absent.safetensors", "0" * 64)


def test_another_architecture_is_refused_with_the_keys_that_do_not_fit(tmp_path):
    path = tmp_path / "w.safetensors"
    digest = save_weights(MLP(12, width=8), path)
    with pytest.raises(WeightsError, match=r"0\.0\.weight.*2\.1\.weight"):
        load_stages(seeded(0), range(3), path, digest)


def test_the_head_is_kept_beside_the_stages_and_is_in_no_stages_way(tmp_path):
    source, target, head = seeded(0), seeded(1), nn.Linear(32, 4)
    digest = save_weights(source, tmp_path / "w.safetensors", head)
    weight, bias = load_head(tmp_path / "w.safetensors", digest)
    assert torch.equal(weight, head.weight) and torch.equal(bias, head.bias)
    load_stages(target, range(3), tmp_path / "w.safetensors", digest)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_a_file_without_a_head_is_named(tmp_path):
    digest = save_weights(seeded(0), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors: holds no linear head"):
        load_head(tmp_path / "w.safetensors", digest)
