"""Weights files that hold something else than weights are refused before any training."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_lab.backbones.mlp import MLP
from transfer_lab.backbones.weights import check_published, load_published, read_state
from transfer_lab.experiment.choices import Weights
from transfer_lab.system.files import WeightsError


def network() -> MLP:
    torch.manual_seed(0)
    return MLP(8, width=4, depth=2)


def weights(path: Path) -> Weights:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Weights(origin="file", sha256=sha256, path=str(path))


def refused(path: Path) -> str:
    target = network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    for refuse in (
        lambda: check_published(target, weights(path)),
        lambda: load_published(target, range(len(target.stages)), weights(path)),
    ):
        with pytest.raises(WeightsError) as told:
            refuse()
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())
    assert str(path) in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5, 30, 60, 100, 200, -300, -100, -22, -1])
def test_a_pth_that_was_cut_off_anywhere_is_refused(cut, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(network().stages.state_dict(), path)
    path.write_bytes(path.read_bytes()[:cut])
    assert "truncated" in refused(path)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_pth_with_a_byte_changed_is_refused_or_a_state_dict(tmp_path_factory, place, change):
    path = tmp_path_factory.mktemp("w") / "w.pth"
    torch.save(network().stages.state_dict(), path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    try:
        read_state(path)
    except WeightsError as error:
        assert str(path) in str(error)


NUMBERS = {
    "bool": lambda t: t.bool(),
    "int8": lambda t: t.to(torch.int8),
    "int32": lambda t: t.int(),
    "complex64": lambda t: t.to(torch.complex64),
    "float8": lambda t: t.to(torch.float8_e4m3fn),
    "meta": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_tensors_of_another_kind_of_numbers_are_refused(kind, tmp_path):
    state = network().stages.state_dict()
    name = next(key for key in state if key.endswith("weight"))
    path = tmp_path / "w.pth"
    torch.save(state | {name: NUMBERS[kind](state[name])}, path)
    told = refused(path)
    assert name in told and "floating point" in told


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precision_are_taken(dtype, tmp_path):
    source, target = network(), network()
    path = tmp_path / "w.pth"
    torch.save({k: v.to(dtype) for k, v in source.stages.state_dict().items()}, path)
    load_published(target, range(len(target.stages)), weights(path))
    for own, other in zip(target.parameters(), source.parameters(), strict=True):
        assert own.dtype == torch.float32
        torch.testing.assert_close(own, other.to(dtype).float())


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_the_refusal_of_code_gives_no_advice_to_run_it(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"0.0.weight": Trap()}, path)
    told = refused(path)
    assert "weights_only" not in told and "torch.load" not in told
    assert re.search(r"it asks for (builtins\.)?getattr", told) and "never code" in told
