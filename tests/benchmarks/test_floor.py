"""The floor against closed forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.floor import Ceilings, Layer, floor_seconds, layers
from transfer_lab.backbones.mlp import MLP
from transfer_lab.backbones.vgg16 import VGG16

COUNTS = st.integers(0, 10**12)
RATES = st.floats(1e3, 1e15)


def convolutions(found):
    return [layer for layer in found if layer.name.startswith("conv")]


def test_vgg16_at_224_px_has_the_published_operations():
    found = layers(VGG16(224, top="pooled"), 224)
    macs = [layer.macs for layer in convolutions(found)]
    assert len(macs) == 13
    assert sum(macs) / 1e9 == pytest.approx(15.35, abs=0.005)
    assert macs[0] == 224**2 * 64 * 27
    assert macs[1] == 224**2 * 64 * 64 * 9
    assert macs[-1] == 14**2 * 512 * 512 * 9
    whole = sum(layer.macs for layer in layers(VGG16(224), 224))
    assert whole / 1e9 == pytest.approx(15.47, abs=0.005)


def test_a_layer_moves_its_input_and_its_output_once():
    found = layers(VGG16(224, top="pooled"), 224)
    assert found[0].numbers == 224**2 * (3 + 64)
    (first_pool, *_) = [layer for layer in found if layer.name == "pool at 224"]
    assert first_pool.macs == 0
    assert first_pool.numbers == 64 * (224**2 + 112**2)


def test_dense_layers_count_their_weights_once():
    found = layers(MLP(12, width=8, depth=2), 12)
    assert [layer.macs for layer in found] == [3 * 12**2 * 8, 8 * 8]


@given(COUNTS, COUNTS, RATES, RATES, st.sampled_from([2, 4]))
def test_a_layer_takes_the_longer_of_computing_and_moving(macs, numbers, operations, rate, width):
    layer, best = Layer("x", macs, numbers), Ceilings(operations, rate)
    seconds = layer.seconds(best, width)
    assert seconds in (2 * macs / operations, width * numbers / rate)
    assert seconds >= 2 * macs / operations
    assert seconds >= width * numbers / rate
    assert layer.is_bound_by_operations(best, width) == (seconds == 2 * macs / operations)


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=5))
def test_the_floor_adds_up_and_falls_with_better_ceilings(counts):
    found = [Layer("x", *count) for count in counts]
    slow, fast = Ceilings(1e9, 1e9), Ceilings(2e9, 2e9)
    assert floor_seconds(found, slow, 4) == pytest.approx(2 * floor_seconds(found, fast, 4))
    assert floor_seconds(found, slow, 2) <= floor_seconds(found, slow, 4)
