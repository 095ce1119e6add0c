"""Methods that use unlabelled images of the target, or a source's model without its images."""

import math

import pytest
import torch
from torch.nn import functional as F

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.regimes.fixmatch import FixMatch
from transfer_lab.regimes.objective import Seen
from transfer_lab.regimes.pseudo_labels import PseudoLabels, confident_loss
from transfer_lab.regimes.random_views import RandomViews
from transfer_lab.testing import Blocks, Leaky, RegimeCase
from transfer_lab.training.fit import fit_and_test


def built(cls, backbone=None, **options):
    torch.manual_seed(3)
    backbone = backbone or Leaky()
    torch.manual_seed(4)
    return cls(backbone, 4, **options)


class Untouched(dict):
    """Streams that a method which is switched off must not look at."""

    def __getitem__(self, role):
        raise AssertionError(f"{role} was looked at")

    def raw(self, role):
        raise AssertionError(f"{role} was looked at")


def seen(logits) -> Seen:
    return Seen(torch.empty(0), torch.full((len(logits),), -1), torch.empty(0), logits)


SURE, UNSURE = [9.0, 0.0, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0]


def test_an_image_that_is_not_answered_with_confidence_adds_nothing():
    logits = torch.tensor([SURE, UNSURE], requires_grad=True)
    loss = confident_loss(logits, logits, threshold=0.9)
    loss.backward()
    probabilities = logits.detach().softmax(1)
    torch.testing.assert_close(loss.detach(), -probabilities[0, 0].log() / 2)
    torch.testing.assert_close(logits.grad[0], (probabilities[0] - torch.eye(4)[0]) / 2)
    assert not logits.grad[1].any()


def test_answers_that_others_are_to_give_have_no_gradient():
    answers = torch.tensor([SURE, UNSURE], requires_grad=True)
    logits = torch.tensor([UNSURE, [0.0, 0.4, 0.0, 0.0]], requires_grad=True)
    loss = confident_loss(answers, logits, threshold=0.0)
    loss.backward()
    assert answers.grad is None
    # Both are labelled 0 by the answers, however sure, since the threshold is none.
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor([0, 0])))


def test_pseudo_labels_weigh_more_and_more_as_in_the_paper():
    regime = built(PseudoLabels, weight=3.0, ramp=0.5, threshold=0.0)
    (phase,) = regime.phases()
    regime.begin(phase, steps=8)
    fit, streams = torch.tensor(2.0), {"unlabelled": seen(torch.zeros(5, 4))}
    losses = [regime.objective(fit, seen(torch.zeros(1, 4)), streams).item() for _ in range(6)]
    parts = [0, 0.25, 0.5, 0.75, 1, 1]
    assert losses == pytest.approx([2 + 3 * part * math.log(4) for part in parts])
    regime.begin(phase, steps=8)
    assert regime.objective(fit, seen(torch.zeros(1, 4)), streams).item() == 2


def test_where_no_end_is_known_pseudo_labels_weigh_what_they_weigh_from_the_start():
    regime = built(PseudoLabels)
    (phase,) = regime.phases()
    regime.begin(phase, steps=math.inf)
    assert regime.risen(0) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight must be 0 or more"),
        ({"weight": math.inf}, "weight must be 0 or more"),
        ({"threshold": -0.1}, "threshold must be 0 or more"),
        ({"ramp": 1.5}, "ramp must lie between 0 and 1"),
    ],
)
def test_pseudo_labels_refuse_what_has_no_meaning(options, message):
    with pytest.raises(ValueError, match=message):
        built(PseudoLabels, **options)


IMAGES = torch.randint(0, 256, (64, 3, 20, 20), dtype=torch.uint8, generator=torch.manual_seed(0))


def test_a_weak_view_is_the_image_moved_by_an_eighth_at_most():
    ramp = torch.arange(32, dtype=torch.uint8).expand(200, 3, 32, 32).contiguous()
    views = RandomViews(1).weak(ramp)
    assert views.dtype == torch.uint8 and views.shape == ramp.shape
    shifts = views[:, 0, 0, 16].int() - 16
    assert shifts.abs().max() <= 4 and len(shifts.unique()) == 9
    middle = views[:, 0, :, 6:26].int()
    assert torch.equal(middle, (torch.arange(6, 26) + shifts[:, None, None]).expand_as(middle))


def test_views_are_mirrored_only_where_that_is_asked_for():
    ramp = torch.arange(32, dtype=torch.uint8).expand(200, 3, 32, 32).contiguous()
    for flip, share in ((False, 0), (True, 0.5)):
        views = RandomViews(1, flip=flip).weak(ramp).int()
        mirrored = (views[:, 0, 0, 20] < views[:, 0, 0, 10]).float().mean().item()
        assert mirrored == pytest.approx(share, abs=0.1)


def test_strong_views_are_farther_from_the_image_than_weak_ones_and_differ_by_the_seed():
    images = Blocks(20).make_images("train")
    images = torch.from_numpy(images)
    weak, strong = RandomViews(1).weak(images), RandomViews(1).strong(images)
    near, far = ((view.float() - images).abs().mean().item() for view in (weak, strong))
    assert strong.dtype == torch.uint8 and far > 1.2 * near
    assert torch.equal(strong, RandomViews(1).strong(images))
    assert not torch.equal(strong, RandomViews(2).strong(images))


def test_of_a_strong_view_a_square_is_cut_out():
    """Of white images nothing but a square can be grey after changes that keep white as it is."""
    views = RandomViews(0)._cut_out(torch.ones(300, 3, 20, 20))
    grey = (views == 0.5).flatten(1).float().mean(1)
    assert set(views.unique().tolist()) == {0.5, 1.0}
    assert 0.15 < grey.max() <= 0.25 and 0.04 < grey.mean() < 0.1


class Recorded(torch.nn.Module):
    """A network that keeps what it is shown and answers with the means of quadrants."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, images, start=0):
        self.shown.append(images)
        return F.adaptive_avg_pool2d(images.float() / 255, 2).mean(1).flatten(1)


def test_fixmatch_learns_on_strong_views_what_it_says_of_weak_ones():
    regime = built(FixMatch, weight=0.5, threshold=0.0)
    regime.meet({})
    (phase,) = regime.phases()
    regime.begin(phase)
    network = regime.backbone = Recorded()
    regime.head = torch.nn.Linear(4, 4)

    class Raw(Untouched):
        def raw(self, role):
            return IMAGES, torch.full((64,), -1)

    loss = regime.objective(torch.tensor(2.0), seen(torch.zeros(1, 4)), Raw())
    (shown,) = network.shown
    views = RandomViews(regime._seed)
    assert torch.equal(shown, torch.cat([views.weak(IMAGES), views.strong(IMAGES)]))
    weak, strong = regime(shown).chunk(2)
    expected = 2 + 0.5 * F.cross_entropy(strong, weak.argmax(1))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    (gradient,) = torch.autograd.grad(expected, [regime.head.weight])
    torch.testing.assert_close(regime.head.weight.grad, gradient)


SWITCHED = ["pseudo_labels", "fixmatch"]


@pytest.mark.parametrize("name", SWITCHED)
def test_switched_off_the_stream_does_not_go_through_the_network(name):
    regime = built(REGIMES.load(name), **dict(REGIMES[name].off.options))
    fit = torch.tensor(2.0)
    assert regime.objective(fit, seen(torch.zeros(1, 4)), Untouched()) is fit


@pytest.mark.parametrize("name", SWITCHED)
def test_at_ten_times_its_weight_it_still_tells_the_classes_apart(name):
    case = RegimeCase(REGIMES.load(name), {"weight": 10.0})
    regime, epochs = case.learner()
    domain = case.drawn(Blocks(), per_class=24)
    fit_and_test(regime, domain, Fit(epochs=epochs, batch_size=8))
    assert len(torch.cat(regime.test_outputs).argmax(1).unique()) == 4
