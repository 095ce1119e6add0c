"""Results that change cannot land unnoticed: the predictions of tiny runs are pinned.

Every backbone trains in every regime, as in a grid, and its logits are compared twice.

In what every x86-64 processor can do (`EVERYWHERE`), bit for bit: one of AMD with AVX-512 gives the
same as an emulated Intel Haswell and an emulated Nehalem without AVX, on the ten runs tried there.
Rounding counts, since training amplifies it.

In the machine's own numbers, fp32 and where it has it bf16, within a tolerance: the fast ways are
seen only here. Compared are runs that rounding does not drive apart (`steady_runs`). How far their
logits move from the pinned ones, as a part of the largest logit of the run, by
`python -m tests.golden.tolerance` on that processor:

                        fp32                 bf16
    AVX-512             1e-7 to 1.1e-5       0 to 0.086
    AVX2                1e-7 to 1.1e-5       0 to 0.079
    two threads         1e-7 to 1.1e-5       0 to 0.089
    rates 1 % higher    8.5e-6 to 0.08       0 to 0.093

In fp32 the next smallest of the changes is 6.8e-5, so 3e-5 tells 13 of the 14 runs with another
rate from rounding; the head on a random VGG16 hardly learns. In bf16 the two overlap, and 0.15 sees
gross errors alone; smaller changes of what bf16 computes are seen bit for bit in the first
comparison, which emulates it.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.make import refusal
from tests.golden.results import (
    EVERYWHERE,
    MAKE,
    SOLVED,
    Pinned,
    kind,
    moved,
    read,
    steady,
    told,
    trained,
)
from tests.golden.runs import ON_EVERY_BACKBONE, runs, steady_runs
from transfer_lab.experiment.catalog import BACKBONES, REGIMES
from transfer_lab.experiment.spec import PROTOCOL


@pytest.fixture(scope="module")
def pinned() -> Pinned:
    return read()


@pytest.fixture(scope="module")
def computed():
    """In what every processor can do, and in the machine's own numbers."""
    return trained((EVERYWHERE, "all"), ({}, "steady"))


def test_every_backbone_is_pinned_in_every_regime(pinned):
    wanted = {f"fp32: {name}" for name in runs()} | {f"bf16: {name}" for name in steady_runs()}
    for regime in REGIMES:
        on = {backbone for backbone in BACKBONES if f"fp32: {backbone} / {regime}" in wanted}
        every = {*BACKBONES} - {"tfidf"} if regime in ON_EVERY_BACKBONE else set()
        assert on and on >= every, regime
    absent = sorted(wanted - set(pinned.answers))
    assert not absent, f"no pinned predictions of {', '.join(absent)}; pin them: {MAKE}"
    left_over = sorted(set(pinned.answers) - wanted)
    assert not left_over, f"pinned, but no run: {', '.join(left_over)}; take them out: {MAKE}"


def test_predictions_are_pinned_under_this_protocol(pinned):
    assert pinned.protocol == PROTOCOL, (
        f"PROTOCOL is {PROTOCOL}, the pinned predictions are of {pinned.protocol}; where results "
        f"changed, make the reports anew, and pin the predictions: {MAKE}"
    )


APART = "fp32: vgg16 / from_scratch, plain steps"
"""Under torch 2.4 this one ends 0.09 of its largest logit apart, and the other 27 within the
tolerance (`make test-oldest`)."""


def elsewhere(answers):
    """What can be compared under other versions of the libraries: steady runs, but for one."""
    return {name: found for name, found in steady(answers).items() if name != APART}


def test_predictions_are_the_pinned_ones(computed, pinned):
    found, _ = computed
    exact = kind() == pinned.kind
    compared = found if exact else elsewhere(found)
    names = moved(compared, pinned.answers, exact=exact)
    assert not names, told(names, compared, pinned.answers)


def test_predictions_in_the_machines_own_numbers_are_close_to_the_pinned_ones(computed, pinned):
    _, found = computed
    found = found if kind() == pinned.kind else elsewhere(found)
    names = moved(found, pinned.answers, exact=False)
    assert not names, told(names, found, pinned.answers)


def test_a_bit_that_moved_is_seen_and_named(pinned):
    name = "fp32: vgg16 / lp_ft"
    changed = pinned.answers[name].copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(np.inf))
    found = {**pinned.answers, name: changed}
    assert moved(found, pinned.answers, exact=True) == [name]
    assert moved(found, pinned.answers, exact=False) == []
    assert "vgg16 / lp_ft" in told([name], found, pinned.answers)


@pytest.mark.parametrize("regime", SOLVED)
def test_what_numpy_and_scipy_solve_is_held_to_the_tolerance(pinned, regime):
    name = f"fp32: cnn / {regime}"
    for factor, has_moved in ((1 + 1e-6, False), (1.001, True)):
        found = {**pinned.answers, name: pinned.answers[name] * np.float32(factor)}
        assert (moved(found, pinned.answers, exact=True) == [name]) is has_moved


@pytest.mark.parametrize("numbers", ["fp32", "bf16"])
def test_beyond_the_tolerance_is_seen_as_well_as_what_is_no_number(pinned, numbers):
    name = f"{numbers}: cnn / from_scratch, plain steps"
    for wrong in (1.5 * pinned.answers[name], pinned.answers[name] * np.float32(np.nan)):
        assert moved({name: wrong}, pinned.answers, exact=False) == [name]


def test_what_moved_is_not_pinned_under_the_same_protocol(pinned):
    name = "fp32: mlp / from_scratch, plain steps"
    here = pinned._replace(kind=kind(), protocol=PROTOCOL)
    found = {**pinned.answers, name: 1.1 * pinned.answers[name]}
    assert name in refusal(found, here)
    assert "raise PROTOCOL" in refusal(found, here)
    assert name in refusal(found, here._replace(kind={"torch": "another"}))
    assert refusal(found, here._replace(protocol=PROTOCOL - 1)) is None
    assert refusal(pinned.answers, here) is None
    new = {**pinned.answers, "fp32: new / from_scratch": pinned.answers[name]}
    assert refusal(new, here) is None
