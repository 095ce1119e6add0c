"""Methods on what is seen beside the target: the loss is the formula, and so is its gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.instances.joint_training import JointTraining
from transfer_lab.regimes.instances.multi_task import MultiTask
from transfer_lab.regimes.objective import ObjectiveModule, Streams
from transfer_lab.regimes.weights.bss import BatchSpectralShrinkage
from transfer_lab.regimes.weights.distillation import Distillation
from transfer_lab.testing import Leaky, RegimeCase
from transfer_lab.training.contracts.surroundings import trained

IMAGES = torch.randint(0, 256, (6, 3, 12, 12), generator=torch.Generator().manual_seed(1)).byte()
OTHERS = torch.randint(0, 256, (5, 3, 12, 12), generator=torch.Generator().manual_seed(2)).byte()
LABELS, THEIRS = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([3, 2, 1, 0, 3])


def begun(cls: type[ObjectiveModule], **options) -> ObjectiveModule:
    """In eval mode, so that a batch seen twice gives the same."""
    regime = RegimeCase(cls, options).build()
    (phase,) = regime.phases()
    regime.begin(phase)
    return regime.eval()


def step(regime: ObjectiveModule, labels: torch.Tensor = LABELS) -> torch.Tensor:
    regime.train_sums = torch.zeros(3)
    return regime.training_step((IMAGES, labels, {"source": (OTHERS, THEIRS)}), 0)


def gradients(regime: TransferModule, loss: torch.Tensor) -> dict[str, torch.Tensor | None]:
    named = dict(regime.named_parameters())
    found = torch.autograd.grad(loss, named.values(), allow_unused=True, retain_graph=True)
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize("weight", [0.2, 0.7])
def test_a_multi_task_gradient_is_the_weighted_sum_of_both_tasks(weight):
    regime = begun(MultiTask, weight=weight)
    both = gradients(regime, step(regime))
    own = gradients(regime, F.cross_entropy(regime(IMAGES), LABELS))
    theirs = gradients(regime, F.cross_entropy(regime.source_head(regime.backbone(OTHERS)), THEIRS))
    for name, found in both.items():
        parts = [(1 - weight, own[name]), (weight, theirs[name])]
        expected = sum(share * part for share, part in parts if part is not None)
        torch.testing.assert_close(found, expected)


def test_all_weight_on_the_source_leaves_the_targets_head_without_a_gradient():
    regime = begun(MultiTask, weight=1.0)
    found = gradients(regime, step(regime))
    assert not any(found[name].any() for name in ("head.weight", "head.bias"))
    assert found["source_head.weight"].any()


def test_the_sources_head_has_the_sources_classes_and_the_heads_rate():
    regime = MultiTask(Leaky(), 4, lr=0.1, backbone_lr=0.001)
    regime.meet({"source": 9})
    (phase,) = regime.phases()
    regime.begin(phase)
    assert regime.source_head.out_features == 9
    rates = {id(p): g["lr"] for g in regime.parameter_groups() for p in g["params"]}
    assert {rates[id(p)] for p in regime.source_head.parameters()} == {0.1}


def test_joint_training_has_one_head_for_both():
    regime = begun(JointTraining, weight=0.3)
    own, theirs = F.cross_entropy(regime(IMAGES), LABELS), F.cross_entropy(regime(OTHERS), THEIRS)
    torch.testing.assert_close(step(regime), 0.7 * own + 0.3 * theirs)


def test_without_labels_joint_training_learns_from_the_source_alone():
    regime = begun(JointTraining, weight=0.3)
    hidden = step(regime, torch.full_like(LABELS, -1))
    torch.testing.assert_close(hidden, F.cross_entropy(regime(OTHERS), THEIRS))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_hintons_loss(temperature):
    regime = begun(Distillation, alpha=0.4, temperature=temperature)
    teacher, own = trained()(IMAGES), regime(IMAGES)
    soft = (teacher / temperature).softmax(1)
    entropy = (soft * soft.log()).sum(1)
    divergence = (entropy - (soft * (own / temperature).log_softmax(1)).sum(1)).mean()
    expected = 0.4 * temperature**2 * divergence + 0.6 * F.cross_entropy(own, LABELS)
    torch.testing.assert_close(step(regime), expected)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_of_it():
    regime = begun(Distillation, alpha=1.0)
    assert regime.divergence(torch.randn(5, 4), torch.randn(5, 4)) > 0
    same = torch.randn(5, 4, requires_grad=True)
    loss = regime.divergence(same.detach(), same)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(loss, same)[0], torch.zeros(5, 4), atol=1e-6, rtol=0
    )


def test_a_stream_that_is_not_asked_for_goes_through_no_network():
    regime = begun(JointTraining)
    seen = []
    regime.look = lambda inputs, labels: seen.append(labels)
    streams = Streams(regime, {"source": (OTHERS, THEIRS)})
    assert [*streams] == ["source"] and len(streams) == 1
    raw, labels = streams.raw("source")
    assert raw is OTHERS and labels is THEIRS and not seen
    assert streams["source"] is streams["source"] and len(seen) == 1


@pytest.mark.parametrize(
    ("cls", "options", "told"),
    [
        (MultiTask, {"weight": 1.5}, "weight must lie between 0 and 1"),
        (JointTraining, {"weight": -0.1}, "weight must lie between 0 and 1"),
        (JointTraining, {"k": 4}, "k must be 0 to 3"),
        (Distillation, {"alpha": 2.0}, "alpha must lie between 0 and 1"),
        (Distillation, {"k": "all"}, "a teacher sees images"),
        (Distillation, {"temperature": 0.0}, "temperature must be a positive number"),
    ],
)
def test_options_out_of_range_are_refused(cls, options, told):
    with pytest.raises(ValueError, match=told):
        cls(Leaky(), 4, **options)


def test_spectral_shrinkage_adds_the_squares_of_the_smallest_singular_values():
    regime = begun(BatchSpectralShrinkage, penalty=0.5, smallest=2)
    features = regime.backbone(IMAGES)
    squares = torch.linalg.eigvalsh(features @ features.T)[:2].clamp(min=0)
    expected = F.cross_entropy(regime(IMAGES), LABELS) + 0.5 * squares.sum()
    torch.testing.assert_close(step(regime), expected, atol=1e-4, rtol=1e-4)


def test_batches_of_a_source_leave_running_statistics_to_the_target():
    regime = begun(JointTraining).train()
    norms = {k: v.clone() for k, v in regime.backbone.state_dict().items() if "running" in k}
    streams = Streams(regime, {"source": (OTHERS, THEIRS), "unlabelled": (IMAGES, LABELS)})
    assert streams["source"].features.requires_grad
    moved = {k for k, v in norms.items() if not torch.equal(v, regime.backbone.state_dict()[k])}
    assert not moved
    _ = streams["unlabelled"]
    moved = {k for k, v in norms.items() if not torch.equal(v, regime.backbone.state_dict()[k])}
    assert moved == {*norms}
