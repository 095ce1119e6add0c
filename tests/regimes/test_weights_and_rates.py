"""Methods on top of fine-tuning: which weights start where, learn, how fast, and held by what."""

import pytest
import torch

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.weights.discriminative_finetune import DiscriminativeFinetune
from transfer_lab.regimes.weights.gradual_unfreezing import GradualUnfreezing
from transfer_lab.regimes.weights.l2_sp import L2SP
from transfer_lab.regimes.weights.partial_transfer import PartialTransfer
from transfer_lab.regimes.weights.surgical_finetune import SurgicalFinetune
from transfer_lab.testing import Leaky, drawn
from transfer_lab.training.fit import fit_and_test

BUDGET = Fit(epochs=4, batch_size=8)


def built(cls, **options):
    torch.manual_seed(3)
    backbone = Leaky()
    torch.manual_seed(4)
    regime = cls(backbone, 4, **options)
    torch.manual_seed(5)
    return regime


def trained(cls, **options) -> dict[str, torch.Tensor]:
    regime = built(cls, **options)
    fit_and_test(regime, drawn(), BUDGET)
    return regime.state_dict()


def same(one, other) -> bool:
    return all(torch.equal(one[key], other[key]) for key in other)


def test_surgery_on_all_stages_is_full_finetuning():
    assert same(trained(SurgicalFinetune, stages=(3, 1, 2)), trained(FullFinetune))


@pytest.mark.parametrize("stages", [(), (0,), (4,), (1, 1)])
def test_surgery_names_stages_that_are_there(stages):
    with pytest.raises(ValueError, match="name some of 1 to 3"):
        built(SurgicalFinetune, stages=stages)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_surgery_moves_the_chosen_stage_and_the_head_alone(number):
    regime = built(SurgicalFinetune, stages=[number])
    before = {key: value.clone() for key, value in regime.state_dict().items()}
    fit_and_test(regime, drawn(), BUDGET)
    after = regime.state_dict()
    moved = {key.split(".")[2] for key in before if not torch.equal(before[key], after[key])
             and key.startswith("backbone")}  # fmt: skip
    assert moved == {str(number - 1)}


def test_a_partial_transfer_of_nothing_is_training_from_scratch():
    partial = trained(PartialTransfer, k=0, lr=0.01, backbone_lr=0.01)
    assert same(partial, trained(FromScratch, lr=0.01))


def test_a_partial_transfer_of_everything_is_full_finetuning():
    assert built(PartialTransfer, k=3).transferred == built(FullFinetune).transferred == 3
    assert same(trained(PartialTransfer, k=3), trained(FullFinetune))


def test_what_is_partly_transferred_learns_as_the_rest():
    """AnB+ of Yosinski et al. 2014; in AnB the transferred stages would be frozen."""
    regime = built(PartialTransfer, k=1)
    assert regime.transferred == 1 and [phase.frozen for phase in regime.phases()] == [()]
    with pytest.raises(ValueError, match="k must be 0 to 3"):
        built(PartialTransfer, k=4)


def test_unfreezing_goes_from_the_head_down_and_ends_with_everything():
    frozen = [phase.frozen for phase in built(GradualUnfreezing).phases()]
    assert frozen == [(0, 1, 2), (0, 1), (0,), ()]


def test_each_stage_learns_at_a_fraction_of_the_rate_above_it():
    regime = built(DiscriminativeFinetune, lr=0.1, backbone_lr=0.01, rate_decay=0.5)
    (phase,) = regime.phases()
    regime.begin(phase)
    groups = regime.parameter_groups()
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    by_stage = [{rates[id(p)] for p in stage.parameters()} for stage in regime.backbone.stages]
    assert by_stage == [{0.0025}, {0.005}, {0.01}]
    assert {rates[id(p)] for p in regime.head.parameters()} == {0.1}


@pytest.mark.parametrize("rate_decay", [0, 1.1, -1])
def test_a_fraction_of_a_rate_is_one(rate_decay):
    with pytest.raises(ValueError, match="rate_decay must lie above 0"):
        built(DiscriminativeFinetune, rate_decay=rate_decay)


def penalised(p: float, alpha: float) -> tuple[L2SP, torch.Tensor]:
    """A regime whose stages have moved by one and the same distance, and its loss on a batch."""
    regime = built(L2SP, alpha=alpha, p=p)
    (phase,) = regime.phases()
    regime.begin(phase)
    with torch.no_grad():
        for weight in regime.backbone.stages.parameters():
            weight.add_(0.25)
    logits = torch.zeros(2, 4, requires_grad=True)
    return regime, regime.loss(logits, torch.tensor([0, 1]))


def test_the_pull_of_l2_sp_is_alpha_times_the_way_from_the_start():
    regime, loss = penalised(p=2, alpha=0.3)
    loss.backward()
    for weight in regime.backbone.stages.parameters():
        torch.testing.assert_close(weight.grad, torch.full_like(weight, 0.3 * 0.25))


def test_the_pull_of_l1_sp_is_alpha_however_long_the_way():
    regime, loss = penalised(p=1, alpha=0.3)
    loss.backward()
    for weight in regime.backbone.stages.parameters():
        torch.testing.assert_close(weight.grad, torch.full_like(weight, 0.3))


def test_l2_sp_is_its_closed_form():
    regime, loss = penalised(p=2, alpha=0.3)
    count = sum(weight.numel() for weight in regime.backbone.stages.parameters())
    expected = torch.tensor(4.0).log() + 0.3 / 2 * count * 0.25**2
    torch.testing.assert_close(loss.detach(), expected)


def test_the_more_l2_sp_weighs_the_nearer_the_stages_stay_to_the_source():
    ways = []
    for alpha in (0.0, 0.1, 10.0):
        regime = built(L2SP, alpha=alpha, backbone_lr=0.01)
        fit_and_test(regime, drawn(), Fit(epochs=12, batch_size=8))
        ways.append(regime.moved().item())
    free, held, frozen = ways
    assert 0 < frozen < 0.1 * held < 0.1 * free


def test_where_l2_sp_started_is_in_no_weights_file():
    regime = built(L2SP)
    fit_and_test(regime, drawn(), BUDGET)
    assert not [key for key in regime.state_dict() if key.startswith("start_")]


@pytest.mark.parametrize("options", [{"alpha": -1.0}, {"alpha": float("inf")}, {"p": 3.0}])
def test_a_penalty_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="must"):
        built(L2SP, **options)


def test_every_twin_is_registered_and_starts_as_its_method_does():
    switched = {name: entry for name, entry in REGIMES.items() if entry.off}
    assert {"l2_sp", "discriminative_finetune"} <= set(switched)
    for entry in switched.values():
        assert REGIMES[entry.off.twin].from_source == entry.from_source
