"""What must hold for every registered regime, present and future."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.golden.runs import ON_EVERY_BACKBONE
from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.catalog import BACKBONES, REGIMES
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.base import Phase, TransferModule, UnsuitableBackboneError
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.testing import RegimeCase, regime_checks, trains_on
from transfer_lab.training.contracts.regimes import (
    transferred_tensors_equal_the_sources_bit_for_bit_at_step_0,
)
from transfer_lab.training.fit import fit_and_test

BUDGET = Fit(epochs=4, batch_size=8)
CHECKS = [
    pytest.param(name, check, id=f"{name}-{check.__name__}")
    for name, entry in REGIMES.items()
    for check in regime_checks(entry)
]
LEARNERS = [name for name, entry in REGIMES.items() if entry.spends_budget]


def build(name: str, backbone: Backbone | None = None, **options) -> TransferModule:
    return RegimeCase(REGIMES.load(name), options).build(backbone)


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_every_regime_keeps_the_contract(name, check):
    case = RegimeCase(REGIMES.load(name))
    assert case.entry is REGIMES[name]
    check(case)


OTHERS = {"torchvision", "timm"}
"""Families of large networks: a few regimes train on them in the everyday run, all with `--all`; so
do methods on other networks than two."""
TRAINED = [
    pytest.param(name, backbone, marks=[pytest.mark.slow] if far else [])
    for name in LEARNERS
    for backbone in BACKBONES
    for far in [
        (backbone in OTHERS and name not in ("linear_probe", "full_finetune", "lp_ft"))
        or (name not in ON_EVERY_BACKBONE and backbone not in ("cnn", "vgg16"))
    ]
]


@pytest.mark.parametrize(("name", "backbone"), TRAINED)
def test_every_backbone_trains_in_every_regime(name, backbone):
    try:
        trains_on(RegimeCase(REGIMES.load(name)), backbone)
    except UnsuitableBackboneError as refused:
        pytest.skip(str(refused))


def test_a_partial_finetune_that_starts_anew_transfers_what_is_frozen_and_no_more():
    case = RegimeCase(REGIMES.load("partial_finetune"), {"k": 2, "reinit": True})
    transferred_tensors_equal_the_sources_bit_for_bit_at_step_0(case)


@pytest.mark.parametrize(
    ("frozen", "transferred", "message"),
    [
        ((0, 3), 3, "freezes the stages 0, 3, but this backbone has 3, .*there is no stage 3"),
        ((-1,), 3, "there is no stage -1"),
        (range(7), 3, "there is no stage 3, 4, 5, 6"),
        ((), 4, "takes 4 stages from the source, but this backbone has 3"),
        ((), -1, "takes -1 stages"),
    ],
)
def test_a_stage_that_is_not_there_can_be_neither_frozen_nor_transferred(
    frozen, transferred, message
):
    class Beyond(FullFinetune):
        @property
        def transferred(self):
            return transferred

    regime = Beyond(Leaky(), 4)
    with pytest.raises(ValueError, match=message):
        regime.begin(Phase(tuple(frozen), 0.01, 0.01))


def test_a_regime_without_phases_is_refused_by_the_name_of_what_is_missing():
    class Unsaid(TransferModule):
        pass

    with pytest.raises(TypeError, match="phases"):
        Unsaid(Leaky(), 4)


def test_reinitialised_stages_differ_from_the_sources():
    regime = build("partial_finetune", k=1, reinit=True)
    torch.manual_seed(99)
    source = Leaky()
    assert regime.transferred == 1
    assert not torch.equal(regime.backbone.stages[1][0].weight, source.stages[1][0].weight)


def trained(cls, **options) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    backbone = Leaky()
    torch.manual_seed(4)
    regime = cls(backbone, 4, **options)
    torch.manual_seed(5)
    fit_and_test(regime, drawn(), BUDGET)
    return regime.state_dict()


def test_partial_finetune_with_nothing_frozen_is_full_finetune():
    partial, full = trained(PartialFinetune, k=0), trained(FullFinetune)
    assert all(torch.equal(partial[key], full[key]) for key in full)


def test_partial_finetune_with_everything_frozen_is_a_linear_probe():
    partial = trained(PartialFinetune, k=3, lr=0.01)
    probe = trained(REGIMES.load("linear_probe"), lr=0.01)
    assert all(torch.equal(partial[key], probe[key]) for key in probe)


def test_full_finetune_at_one_rate_takes_the_steps_of_from_scratch():
    """They differ in where they start and in nothing else: same batches, same order."""
    scratch, full = trained(FromScratch, lr=0.01), trained(FullFinetune, lr=0.01, backbone_lr=0.01)
    assert all(torch.equal(scratch[key], full[key]) for key in full)


def test_majority_answers_the_most_frequent_class_of_the_training_labels():
    regime = build("majority")
    domain = drawn()
    labels = domain.labels("train").copy()
    labels[:] = np_labels = [1] * 60 + [0] * 20 + [2] * 10 + [3] * 6
    domain.labels = lambda part: labels if part == "train" else Blocks().labels("test")
    domain.draw(per_class="all", val_fraction=0, batch_size=8, seed=0)
    result = fit_and_test(regime, domain, BUDGET)
    logits = torch.cat(regime.test_outputs)
    assert logits.argmax(1).unique().tolist() == [1]
    assert logits.softmax(1)[0].tolist() == pytest.approx(
        [np_labels.count(label) / 96 for label in range(4)]
    )
    assert result.curve.rows == []


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_probe_of_a_stage_learns_on_its_averaged_output_and_leaves_the_rest_out(stage):
    torch.manual_seed(0)
    whole = Leaky().eval()
    shortened = copy.deepcopy(whole)
    shortened.image_size = 12
    probe = LinearProbe(shortened, 4, stage=stage).eval()
    assert probe.transferred == stage
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)
    outputs = whole(images, stop=stage)
    expected = outputs.mean((2, 3)) if outputs.dim() == 4 else outputs
    torch.testing.assert_close(probe.backbone(images), expected)
    assert probe.head.in_features == expected.shape[1]
    found = fit_and_test(probe, drawn(), Fit(epochs=2, batch_size=8))
    assert found.trainable_params == 4 * (expected.shape[1] + 1)


@pytest.mark.parametrize("stage", [0, 4])
def test_a_stage_that_is_not_there_cannot_be_probed(stage):
    with pytest.raises(ValueError, match="stage must be 1 to 3"):
        LinearProbe(Leaky(), 4, stage=stage)


def test_inputs_may_not_skip_a_stage_that_learns():
    regime = build("partial_finetune", k=1)
    (phase,) = regime.phases()
    with pytest.raises(ValueError, match="only 1 are frozen"):
        regime.begin(phase, entry=2)


def test_the_backbone_learns_at_its_own_rate():
    regime = build("full_finetune", lr=0.01, backbone_lr=0.001)
    (phase,) = regime.phases()
    assert (phase.lr, phase.backbone_lr) == (0.01, 0.001)
    default = build("full_finetune")
    assert default.backbone_lr < default.lr
