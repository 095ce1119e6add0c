"""Regimes that let a part of each stage learn, add to it, or take some stages from the source."""

import copy

import pytest
import timm
import torch
from torch import nn

from tests.builders import choice, experiment, tiny_run
from tests.toys import Leaky, drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.mlp import MLP
from transfer_lab.backbones.vgg16 import VGG16
from transfer_lab.backbones.weights import load_stages, save_weights
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.seen import unseen
from transfer_lab.grid.preflight import preflight
from transfer_lab.regimes.base import UnsuitableBackboneError
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.parts import learning_in
from transfer_lab.regimes.weights.adapters import Adapted, Adapters
from transfer_lab.regimes.weights.component_transfer import ComponentTransfer
from transfer_lab.regimes.weights.lora import LoRA
from transfer_lab.regimes.weights.norm_only import NormOnly
from transfer_lab.regimes.weights.partial_transfer import PartialTransfer
from transfer_lab.store.records import RecordStore
from transfer_lab.testing import RegimeCase
from transfer_lab.training import stage_drift
from transfer_lab.training.contracts.regimes import (
    moves_what_learns,
    transferred_tensors_equal_the_sources_bit_for_bit_at_step_0,
)
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.run import Setting, train

BUDGET = Fit(epochs=4, batch_size=8)
IMAGES = torch.randint(
    0, 256, (5, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def settled(seed: int = 3) -> Leaky:
    """A backbone whose running statistics are no longer those it was made with."""
    torch.manual_seed(seed)
    backbone = Leaky()
    backbone(IMAGES)
    return backbone


def built(cls, backbone: Backbone | None = None, **options):
    """The regime at step 0, with what it adds."""
    backbone = backbone or settled()
    torch.manual_seed(4)
    regime = cls(backbone, 4, **options)
    torch.manual_seed(5)
    regime.meet({})
    return regime


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def moved(regime) -> set[str]:
    """Tensors of the stages that a fit changes."""
    before = state(regime.backbone.stages)
    fit_and_test(regime, drawn(), BUDGET)
    after = regime.backbone.stages.state_dict()
    return {key for key in before if not torch.equal(before[key], after[key])}


SCALE_AND_SHIFT = {"0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias"}
"""Of the two batch normalisations in the toy."""


def test_scale_and_shift_of_the_normalisation_layers_learn_and_no_other_weight():
    found = moved(built(NormOnly))
    assert {key for key in found if not key.endswith(STATISTICS)} == SCALE_AND_SHIFT
    assert {f"{stage}.1.{name}" for stage in (0, 1) for name in STATISTICS} < found


def test_the_statistics_of_the_source_can_be_kept():
    assert moved(built(NormOnly, statistics=False)) == SCALE_AND_SHIFT


def test_with_kept_statistics_training_computes_what_testing_does():
    regime = built(NormOnly, Leaky(), statistics=False)
    for module in regime.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    (phase,) = regime.phases()
    regime.begin(phase)
    assert regime.training and torch.equal(regime(IMAGES), regime.eval()(IMAGES))


def test_leading_stages_stay_as_they_are_and_so_do_those_without_a_normalisation_layer():
    regime = built(NormOnly, k=1)
    assert [phase.frozen for phase in regime.phases()] == [(0, 2)]
    assert {key[0] for key in moved(regime)} == {"1"}


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.BatchNorm2d(4),
        nn.LayerNorm(4),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True),
        timm.layers.BatchNormAct2d(4, act_layer=nn.PReLU),
        timm.layers.LayerNorm2d(4),
        timm.layers.GroupNormAct(4, num_groups=2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_kind_of_normalisation_layer_has_a_scale_and_a_shift_that_learn(layer):
    stage = nn.Sequential(nn.Conv2d(3, 4, 1), layer, nn.PReLU())
    assert {id(p) for p in learning_in(stage, "norm")} == {id(layer.weight), id(layer.bias)}


def test_a_backbone_without_normalisation_layers_is_refused_with_the_way_out():
    with pytest.raises(UnsuitableBackboneError, match=r"no normalisation layers: .*on: \[\.\.\.\]"):
        NormOnly(MLP(12, width=8), 4)
    with pytest.raises(UnsuitableBackboneError, match="no normalisation layers after stage 2"):
        NormOnly(Leaky(), 4, k=2)
    with pytest.raises(ValueError, match="k must be 0 to 2"):
        NormOnly(Leaky(), 4, k=3)


def test_before_any_run_it_is_said_which_backbone_is_not_for_normalisation_layers_alone():
    normed = {"vgg16": choice("vgg16", width=0.05, batch_norm=True, top="pooled")}
    problems = dict(
        preflight(
            experiment(
                backbones={"mlp": choice("mlp", width=8)} | normed,
                regimes={"norm_only": choice("norm_only")},
            )
        )
    )
    told = problems.pop(("regimes", "norm_only"))
    assert told == (
        "norm_only is not for backbone mlp(width=8), which has no normalisation layers: name the "
        "backbones it is for in the regime's entry, on: [...]"
    )
    assert not problems


def test_normalisation_layers_alone_learn_in_a_network_of_many():
    network = VGG16(16, width=0.05, batch_norm=True, top="pooled")
    network.image_size = 16
    moves_what_learns(RegimeCase(NormOnly), network, "vgg16")


NETWORKS = [
    pytest.param(settled, id="batch normalisation"),
    pytest.param(lambda: MLP(12, width=8), id="linear layers"),
    pytest.param(lambda: VGG16(12, width=0.05, top="pooled"), id="convolutions"),
]


@pytest.mark.parametrize("cls", [LoRA, Adapters])
@pytest.mark.parametrize("make", NETWORKS)
def test_what_is_added_changes_no_answer_at_step_0(make, cls):
    """To the last bit."""
    torch.manual_seed(1)
    plain = make().to(memory_format=torch.channels_last)  # as every run has it
    plain.image_size = 12
    regime = built(cls, copy.deepcopy(plain))
    assert torch.equal(regime.backbone.eval()(IMAGES), plain.eval()(IMAGES))


@pytest.mark.parametrize("cls", [LoRA, Adapters])
def test_the_sources_weights_and_statistics_stay_and_what_is_added_learns(cls):
    plain = settled()
    regime = built(cls, copy.deepcopy(plain))
    found = moved(regime)
    own = {id(p) for _, p in regime.backbone.stages.named_parameters() if p.requires_grad}
    names = {k for k, p in regime.backbone.stages.named_parameters() if id(p) in own}
    assert found == names != set()
    kept = {_plain(k): v for k, v in regime.backbone.stages.state_dict().items() if k not in names}
    source = plain.stages.state_dict()
    assert kept.keys() == source.keys()
    assert all(torch.equal(kept[key], source[key]) for key in source)


def _plain(key: str) -> str:
    """A tensor's name without what an added part has put into it."""
    return key.replace(".parametrizations.weight.original", ".weight").replace(".stage.", ".")


@pytest.mark.parametrize("cls", [LoRA, Adapters])
def test_leading_stages_can_be_left_without(cls):
    regime = built(cls, k=2)
    assert [phase.frozen for phase in regime.phases()] == [(0, 1)]
    assert {key[0] for key in moved(regime)} == {"2"}


def test_each_weight_changes_by_alpha_over_rank_times_b_a():
    plain = settled()
    regime = built(LoRA, copy.deepcopy(plain), rank=2, alpha=6.0)
    fit_and_test(regime, drawn(), BUDGET)
    for stage, layer in ((0, 0), (1, 0), (2, 1)):
        now, before = regime.backbone.stages[stage][layer], plain.stages[stage][layer].weight
        (change,) = now.parametrizations.weight
        expected = 6.0 / 2 * (change.b @ change.a).view(before.shape)
        torch.testing.assert_close(now.weight, before + expected)
        assert torch.linalg.matrix_rank((now.weight - before).flatten(1), rtol=1e-3) == 2


def test_the_rank_is_at_most_that_of_the_weight_and_the_parameters_are_few():
    regime = built(LoRA, rank=4)
    result = fit_and_test(regime, drawn(), Fit(epochs=1, batch_size=8))
    # A kernel is 8 x 27 or 8 x 72, the linear layer 32 x 72, and the head has 4 x 33.
    assert result.trainable_params == 4 * (8 + 27) + 4 * (8 + 72) + 4 * (32 + 72) + 4 * 33
    (wide,) = built(LoRA, rank=100).backbone.stages[0][0].parametrizations.weight
    assert wide.a.shape == (8, 27) and wide.b.shape == (8, 8)


def test_merged_it_answers_as_before_under_the_names_of_a_plain_backbone(tmp_path):
    plain = settled()
    regime = built(LoRA, copy.deepcopy(plain))
    fit_and_test(regime, drawn(), BUDGET)
    unmerged = regime.eval()(IMAGES)
    assert not torch.equal(regime.backbone(IMAGES), plain.eval()(IMAGES))
    regime.merge()
    torch.testing.assert_close(regime(IMAGES), unmerged, rtol=1e-5, atol=1e-6)
    assert regime.backbone.stages.state_dict().keys() == plain.stages.state_dict().keys()
    path = tmp_path / "w.safetensors"
    load_stages(plain, range(3), path, save_weights(regime.backbone, path))
    torch.testing.assert_close(regime.head(plain(IMAGES)), unmerged, rtol=1e-5, atol=1e-6)


def test_the_run_leaves_a_plain_network_that_others_start_from(tmp_path):
    store = RecordStore(tmp_path)
    source = tiny_run()
    train(source, store, Setting(), keep_weights=True)
    run = source.model_copy(update={"regime": Choice(kind="lora"), "init": source})
    record = train(run, store, Setting(), keep_weights=True)
    network = MLP(12, width=8, depth=2)
    load_stages(network, range(2), *store.weights(run))
    started = MLP(12, width=8, depth=2)
    load_stages(started, range(2), *store.weights(source))
    other = [
        key
        for key, value in network.stages.state_dict().items()
        if not torch.equal(value, started.stages.state_dict()[key])
    ]
    assert other and all(key.endswith("weight") for key in other)
    full = source.model_copy(update={"regime": Choice(kind="full_finetune"), "init": source})
    twin = train(full, store, Setting())
    assert record.macs_per_image == twin.macs_per_image
    assert record.total_params == twin.total_params


def test_an_adapter_adds_a_bottleneck_of_what_the_stage_gives():
    plain = settled()
    regime = built(Adapters, copy.deepcopy(plain), width=3)
    fit_and_test(regime, drawn(), BUDGET)
    outputs, expected = regime.backbone.eval().prepare(IMAGES), plain.eval().prepare(IMAGES)
    for adapted, stage in zip(regime.backbone.stages, plain.stages, strict=True):
        assert isinstance(adapted, Adapted)
        down, up = adapted.adapter.down, adapted.adapter.up
        assert down.weight.shape[0] == up.weight.shape[1] == 3
        h = stage(expected)
        flat = h.movedim(1, -1) if h.dim() == 4 else h  # channels last: one product for all
        added = torch.relu(flat @ down.weight.flatten(1).T + down.bias)
        added = added @ up.weight.flatten(1).T + up.bias
        expected = h + (added.movedim(-1, 1) if h.dim() == 4 else added)
        outputs = adapted(outputs)
        assert not torch.allclose(outputs, h)
        torch.testing.assert_close(outputs, expected)


def test_no_run_starts_from_a_network_with_adapters_or_is_taught_by_one():
    regimes = {
        "adapters": choice("adapters"),
        "distillation": choice("distillation")
        | {"teacher": {"backbone": "mlp", "regime": "adapters"}},
    }
    problems = dict(unseen(experiment(regimes=regimes, pretrain={"regime": "adapters"})))
    assert set(problems) == {
        ("regimes", "distillation", "teacher", "regime"),
        ("pretrain", "regime"),
    }
    assert all("adapters leaves layers " in told for told in problems.values())


@pytest.mark.parametrize("stages", [(2,), (1, 3), (3, 2, 1)])
def test_the_chosen_stages_are_the_sources_bit_for_bit_and_no_others(stages):
    case = RegimeCase(ComponentTransfer, {"stages": stages})
    assert case.build().transferred_stages == tuple(sorted(number - 1 for number in stages))
    transferred_tensors_equal_the_sources_bit_for_bit_at_step_0(case)


def test_all_stages_learn_whichever_are_transferred():
    regime = built(ComponentTransfer, stages=[2])
    assert [phase.frozen for phase in regime.phases()] == [()]
    assert regime.transferred == 0


@pytest.mark.parametrize(
    ("stages", "cls", "options"),
    [((1, 2), PartialTransfer, {"k": 2}), ((1, 2, 3), FullFinetune, {})],
)
def test_of_the_leading_stages_it_is_a_partial_transfer(stages, cls, options):
    ends = []
    for kind, given in ((ComponentTransfer, {"stages": stages}), (cls, options)):
        regime = built(kind, **given)
        fit_and_test(regime, drawn(), BUDGET)
        ends.append((regime.transferred_stages, regime.state_dict()))
    (own, component), (others, twin) = ends
    assert own == others
    assert all(torch.equal(value, twin[key]) for key, value in component.items())


@pytest.mark.parametrize("stages", [(), (0,), (4,), (1, 1)])
def test_chosen_stages_are_there(stages):
    with pytest.raises(ValueError, match="name some of 1 to 3"):
        built(ComponentTransfer, stages=stages)


def test_what_fine_tuning_changes_is_told_of_the_transferred_stages_alone():
    regime, domain = built(ComponentTransfer, stages=[2]), drawn()
    assert stage_drift.fine_tunes(regime)
    probe = stage_drift.begin(regime, domain, "a run")
    fit_and_test(regime, domain, BUDGET)
    (change,) = probe.changes(regime)
    assert change.stage == 2 and not change.frozen and change.cka < 1
