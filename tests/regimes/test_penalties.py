"""Penalties on fine-tuning: on how fast the loss changes, on other changes than a teacher's, on
forgetting, and on the way from the start."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.budget import Fit
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.weights.gradient_penalty import GradientPenalty
from transfer_lab.regimes.weights.jacobian_matching import JacobianMatching
from transfer_lab.regimes.weights.l2_sp import L2SP
from transfer_lab.regimes.weights.lwf import LwF
from transfer_lab.regimes.weights.personal_l2_sp import PersonalL2SP
from transfer_lab.training.contracts.surroundings import trained
from transfer_lab.training.fit import fit_and_test

BUDGET = Fit(epochs=4, batch_size=8)
RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=RANDOM)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


class Straight(Backbone):
    """One linear stage: with the head behind it, logits are V x."""

    def __init__(self):
        super().__init__([nn.Sequential(nn.Flatten(), nn.Linear(48, 8, bias=False))], 8)


def begun(cls, backbone: Backbone | None = None, seed: int = 0, **options):
    torch.manual_seed(seed)
    regime = cls(backbone or Straight(), 4, **options)
    (phase,) = regime.phases()
    regime.begin(phase)
    return regime


def matrix(regime) -> torch.Tensor:
    """V of a straight network, (classes, pixels)."""
    return regime.head.weight @ regime.backbone.stages[0][1].weight


def gradients(loss: torch.Tensor, regime) -> list[torch.Tensor]:
    weights = [regime.head.weight, *regime.backbone.stages.parameters()]
    return list(torch.autograd.grad(loss, weights))


def test_the_penalty_on_gradients_is_its_closed_form_on_a_linear_network():
    """grad_x L = V' (p - y); and so is what it teaches."""
    regime = begun(GradientPenalty, gamma=0.7)
    seen = regime.look(IMAGES, LABELS)
    fit = regime.loss(seen.logits, LABELS)
    loss = regime.objective(fit, seen, {})
    x = regime.backbone.prepare(IMAGES).flatten(1)
    logits = x @ matrix(regime).T + regime.head.bias
    off = logits.softmax(1) - F.one_hot(LABELS, 4)
    steepness = (off @ matrix(regime)).square().sum(1).mean()
    expected = F.cross_entropy(logits, LABELS) + 0.7 * steepness
    torch.testing.assert_close(loss, expected)
    found, wanted = gradients(loss, regime), gradients(expected, regime)
    torch.testing.assert_close(found, wanted)


def test_what_it_does_to_a_batch_is_in_fp32_whatever_the_rest_is_in():
    regime = begun(GradientPenalty)
    plain = regime.objective(torch.tensor(0.0), regime.look(IMAGES, LABELS), {})
    with torch.autocast("cpu", torch.bfloat16):
        seen = regime.look(IMAGES, LABELS)
        under = regime.objective(torch.tensor(0.0), seen, {})
    assert seen.logits.dtype == torch.float32 and torch.equal(plain, under)


def test_behind_frozen_stages_it_is_of_what_they_give_stored_or_not():
    torch.manual_seed(0)
    regime = GradientPenalty(Leaky(), 4, k=1)
    (phase,) = regime.phases()
    images = torch.randint(0, 256, (6, 3, 12, 12), dtype=torch.uint8)
    regime.begin(phase)
    regime.backbone.eval()
    live = regime.steepness(regime.look(images, LABELS))
    stored = regime.backbone(images, stop=1).detach()
    regime.begin(phase, entry=1)
    regime.backbone.eval()
    torch.testing.assert_close(regime.steepness(regime.look(stored, LABELS)), live)


def test_the_more_gradients_weigh_the_flatter_the_loss_becomes():
    steepness = []
    for gamma in (0.0, 10.0):
        torch.manual_seed(3)
        regime = GradientPenalty(Leaky(), 4, gamma=gamma, backbone_lr=0.01)
        domain = drawn(Blocks(shuffled=True))  # confident answers to all would be flat, too
        fit_and_test(regime, domain, Fit(epochs=10, batch_size=8))
        images, labels = next(iter(domain.test_dataloader()))
        regime.gamma = 1.0
        steepness.append(regime.eval().steepness(regime.look(images, labels)).item())
    free, held = steepness
    assert 0 < held < 0.5 * free


def taught(teacher, seed: int = 0, **options):
    regime = begun(JacobianMatching, seed=seed, **options)
    regime.learn_from("teacher", teacher.eval().requires_grad_(False))
    return regime


def match(regime) -> torch.Tensor:
    """What the penalty adds to a batch's loss."""
    return regime.objective(torch.tensor(0.0), regime.look(IMAGES, LABELS), {})


@pytest.mark.parametrize("along", ["label", "predicted", "random"])
def test_a_network_matches_itself_however_large_its_answers_are(along):
    teacher = begun(FullFinetune, seed=0)
    torch.testing.assert_close(match(taught(teacher, along=along)), torch.tensor(0.0))
    with torch.no_grad():
        teacher.head.weight *= 5
    assert match(taught(teacher, along=along)) < 1e-6
    with torch.no_grad():
        teacher.head.weight *= -1
    if along != "predicted":  # which is then another answer
        torch.testing.assert_close(match(taught(teacher, along=along, penalty=0.5)).item(), 0.5 * 4)


@pytest.mark.parametrize("along", ["label", "predicted"])
def test_jacobians_of_linear_networks_are_rows_of_their_matrices(along):
    teacher = begun(FullFinetune, seed=1)
    regime = taught(teacher, along=along, penalty=0.3)
    answers = teacher(IMAGES)
    chosen = LABELS if along == "label" else answers.argmax(1)
    assert not torch.equal(LABELS, answers.argmax(1))
    own, theirs = (F.normalize(matrix(m)[chosen], dim=1) for m in (regime, teacher))
    expected = 0.3 * (own - theirs).square().sum(1).mean()
    found = match(regime)
    torch.testing.assert_close(found, expected)
    stage = regime.backbone.stages[0][1].weight
    (one,), (other,) = (torch.autograd.grad(loss, stage) for loss in (found, expected))
    torch.testing.assert_close(one, other)


def test_random_combinations_of_the_answers_differ_from_image_to_image():
    teacher = begun(FullFinetune, seed=1)
    regime = taught(teacher, along="random")
    torch.manual_seed(9)
    found = match(regime)
    torch.manual_seed(9)
    weights = torch.randn(6, 4)
    own, theirs = (F.normalize(weights @ matrix(m), dim=1) for m in (regime, teacher))
    torch.testing.assert_close(found, 0.1 * (own - theirs).square().sum(1).mean())


def test_the_penalised_network_changes_more_as_the_teacher_does():
    ways = []
    for penalty in (0.0, 3.0):
        torch.manual_seed(3)
        regime = JacobianMatching(Leaky(), 4, penalty=penalty, backbone_lr=0.01)
        regime.learn_from("teacher", trained())
        domain = drawn()
        fit_and_test(regime, domain, Fit(epochs=10, batch_size=8))
        images, labels = next(iter(domain.test_dataloader()))
        regime.penalty = 1.0
        seen = regime.eval().look(images, labels)
        ways.append(regime.objective(torch.tensor(0.0), seen, {}).item())
    free, held = ways
    assert held < 0.8 * free
    assert all(p.grad is None for p in trained().parameters())


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (GradientPenalty, {"gamma": -1.0}),
        (JacobianMatching, {"penalty": -1.0}),
        (LwF, {"weight": float("inf")}),
        (LwF, {"temperature": 0.0}),
        (L2SP, {"beta": -1.0}),
    ],
)
def test_a_weight_that_is_none_is_refused(cls, options):
    with pytest.raises(ValueError, match="must be"):
        cls(Straight(), 4, **options)


def remembering(classes: int = 7, **options) -> tuple[LwF, nn.Linear, Backbone]:
    """A regime with a source's head of so many classes; that head, and the stages as they start."""
    torch.manual_seed(2)
    regime = LwF(Leaky(), 4, **options)
    regime.backbone(torch.randint(0, 256, (8, 3, 12, 12), dtype=torch.uint8))  # moves statistics
    head = nn.Linear(32, classes)
    own = regime.head.weight.clone()
    regime.start_head(head.weight.detach(), head.bias.detach())
    assert torch.equal(regime.head.weight, own)
    stages = copy.deepcopy(regime.backbone)
    regime.meet({})
    return regime, head, stages


def test_the_sources_model_stays_as_it_was_and_its_head_learns_beside_the_new_one():
    regime, head, stages = remembering()
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8)
    expected = head(stages.eval()(images))
    torch.testing.assert_close(regime.answers(images), expected)
    fit_and_test(regime, drawn(), BUDGET)
    torch.testing.assert_close(regime.answers(images), expected)
    assert expected.shape == (5, 7) and regime(images).shape == (5, 4)
    assert not torch.equal(regime.source_head.weight, head.weight)
    assert not any("_before" in name for name in regime.state_dict())


def test_nothing_is_forgotten_at_step_0_and_the_pull_is_that_of_softened_answers():
    regime, *_ = remembering(weight=2.0, temperature=3.0)
    images = torch.randint(0, 256, (6, 3, 12, 12), dtype=torch.uint8)
    before = regime.answers(images)
    seen = regime.eval().look(images, LABELS)
    assert regime.objective(torch.tensor(0.0), seen, {}) < 1e-6
    now = (before + torch.randn_like(before)).requires_grad_()
    (pull,) = torch.autograd.grad(regime.forgetting(before, now), now)
    softened = (now / 3).softmax(1) - (before / 3).softmax(1)
    torch.testing.assert_close(pull, softened / 3 / len(images))
    cross = -((before / 3).softmax(1) * (now / 3).log_softmax(1)).sum(1).mean()
    entropy = -((before / 3).softmax(1) * (before / 3).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(regime.forgetting(before, now), cross - entropy)


def test_the_more_it_weighs_the_less_is_forgotten():
    forgotten = []
    for weight in (1e-6, 30.0):
        regime, *_ = remembering(weight=weight, backbone_lr=0.01)
        domain = drawn()
        fit_and_test(regime, domain, Fit(epochs=10, batch_size=8))
        images, labels = next(iter(domain.test_dataloader()))
        now = regime.source_head(regime.eval().look(images, labels).features)
        forgotten.append(regime.forgetting(regime.answers(images), now).item())
    free, held = forgotten
    assert 0 < held < 0.3 * free


def test_a_source_head_for_other_features_is_refused():
    regime = LwF(Leaky(), 4)
    with pytest.raises(ValueError, match="for 31 features, but the backbone has 32"):
        regime.start_head(torch.zeros(7, 31), torch.zeros(7))


def test_the_heads_pull_to_0_is_beta_times_its_weights():
    regime = begun(L2SP, alpha=0.0, beta=0.4)
    loss = regime.loss(torch.zeros(2, 4), torch.tensor([0, 1]))
    torch.testing.assert_close(
        torch.autograd.grad(loss, list(regime.head.parameters())),
        tuple(0.4 * weight for weight in regime.head.parameters()),
    )


def test_a_personal_model_starts_with_the_common_head_and_is_held_near_it():
    """Its pull is that of L2-SP, on the head as on the stages."""
    torch.manual_seed(0)
    regime = PersonalL2SP(Straight(), 4, alpha=0.3)
    common = torch.randn(4, 8), torch.randn(4)
    regime.start_head(*common)
    (phase,) = regime.phases()
    regime.begin(phase)
    assert torch.equal(regime.head.weight, common[0]) and torch.equal(regime.head.bias, common[1])
    assert regime.moved() == 0
    with torch.no_grad():
        for weight in regime.parameters():
            weight += 0.25
    loss = regime.loss(torch.zeros(2, 4), torch.tensor([0, 1]))
    for pull in torch.autograd.grad(loss, list(regime.parameters())):
        torch.testing.assert_close(pull, torch.full_like(pull, 0.3 * 0.25))


def test_without_weights_the_loss_of_l2_sp_is_the_cross_entropy_alone():
    logits, labels = torch.randn(2, 4), torch.tensor([0, 1])
    loss = begun(L2SP, alpha=0.0).loss(logits, labels)
    assert torch.equal(loss, F.cross_entropy(logits, labels)) and not loss.requires_grad


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_every_norm_of_the_way_has_its_gradient(p):
    """alpha |w - w0|^(p - 1) in the way's direction."""
    regime = begun(L2SP, alpha=0.3, p=p)
    weight = regime.backbone.stages[0][1].weight
    way = torch.randn_like(weight)
    with torch.no_grad():
        weight += way
    loss = regime.loss(torch.zeros(2, 4), torch.tensor([0, 1]))
    (pull,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(pull, 0.3 * way.abs() ** (p - 1) * way.sign(), rtol=1e-3, atol=1e-4)


def test_in_the_limit_of_l1_sp_the_stages_stay_where_they_were():
    ways = []
    for alpha in (0.0, 1e4):
        torch.manual_seed(3)
        regime = L2SP(Leaky(), 4, alpha=alpha, p=1, lr=0.01, backbone_lr=0.01, recipe="keras_adam")
        fit_and_test(regime, drawn(), Fit(epochs=12, batch_size=8))
        weights = sum(weight.numel() for weight in regime.backbone.stages.parameters())
        ways.append(regime.moved().item() / weights)
    free, held = ways
    assert 0 < held < 0.6 * free
