"""Methods that use unlabelled images of the target, or a source's model without its images."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transfer_lab.data.letters import Latin
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.adabn import AdaBN
from transfer_lab.regimes.base import UnsuitableBackboneError
from transfer_lab.regimes.fixmatch import FixMatch
from transfer_lab.regimes.objective import Seen
from transfer_lab.regimes.pseudo_labels import PseudoLabels, confident_loss
from transfer_lab.regimes.random_views import RandomViews
from transfer_lab.regimes.shot import SHOT, centres, entropy, nearest
from transfer_lab.regimes.tent import Tent
from transfer_lab.store.records import RecordStore
from transfer_lab.testing import Blocks, Leaky, RegimeCase, drawn
from transfer_lab.training.contracts.surroundings import trained
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.run import Setting, train


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


SOURCE_FREE = ["shot", "adabn", "tent"]


class Dimmed(Blocks):
    """The toy at a third of its contrast on a light ground: what a source's model has not seen."""

    @property
    def identity(self):
        return super().identity | {"dimmed": True}

    def image_blocks(self, part):
        for block in super().image_blocks(part):
            yield block // 3 + np.uint8(150)


def adapted(name, domain=None, epochs=20, **options):
    """A regime that has started from the toy's model, and its accuracy on the domain."""
    case = RegimeCase(REGIMES.load(name), options)
    regime, domain = case.build(seed=1), case.drawn(domain or Dimmed(), per_class=24)
    fit_and_test(regime, domain, Fit(epochs=epochs, batch_size=16))
    answers = torch.cat(regime.test_outputs).argmax(1)
    return regime, (answers == domain.section_labels("test")).float().mean().item()


@pytest.mark.parametrize("name", SOURCE_FREE)
def test_what_adapts_is_ahead_of_the_source_model_where_the_images_have_shifted(name):
    _, before = adapted("source_only")
    _, after = adapted(name)
    assert before < 0.8 and after > 0.95


def training_images() -> torch.Tensor:
    """Those that `adapted` adapts to: validation has the rest."""
    domain = drawn(Dimmed(), per_class=24)
    return torch.from_numpy(domain.make_images("train")[domain.split.train])


SMALL = {"letters": "ABCD", "train_per_class": 8, "test_per_class": 6}


def letters(script: str, regime: str, **content) -> Run:
    small = Architecture(kind="vgg16", options={"width": 0.06, "batch_norm": True, "top": "pooled"})
    return Run(
        domain=Choice(
            kind=script, options=SMALL | ({} if script == "latin" else {"letters": "БГДЖ"})
        ),
        image_size=12,
        per_class=8,
        backbone=small,
        regime=Choice(kind=regime),
        fit=Fit(epochs=2, batch_size=8, val_fraction=0.0),
        seed=0,
        **content,
    )


@pytest.mark.parametrize("name", SOURCE_FREE)
def test_the_sources_images_are_not_opened(name, tmp_path, monkeypatch):
    entry, store = REGIMES[name], RecordStore(tmp_path)
    assert entry.sees == () and entry.target_labels == "unread" and entry.source_head
    source = letters("latin", "from_scratch")
    train(source, store, Setting(), keep_weights=True)

    def closed(*_):
        raise AssertionError("the source's images were opened")

    monkeypatch.setattr(Latin, "_stored", closed)
    monkeypatch.setattr(Latin, "image_blocks", closed)
    record = train(letters("cyrillic", name, init=source, labels="none"), store, Setting())
    assert record.status == "done" and record.n_train == 32
    with pytest.raises(AssertionError, match="were opened"):
        train(letters("latin", "source_only", init=source, labels="none"), store, Setting())


def test_information_is_largest_for_sure_answers_of_all_classes():
    """Entropy, and its gradient, against autograd of the formula as the paper writes it."""
    regime = built(SHOT)
    sure = seen(torch.eye(4) * 50)
    assert regime.objective(torch.tensor(9.0), sure, {}).item() == pytest.approx(-math.log(4))
    unsure, one = seen(torch.zeros(4, 4)), seen(torch.eye(4)[[0, 0, 0, 0]] * 50)
    for worst in (unsure, one):
        assert regime.objective(torch.tensor(9.0), worst, {}).item() == pytest.approx(0, abs=1e-6)
    logits = torch.randn(6, 4, generator=torch.manual_seed(1), requires_grad=True)
    p = logits.softmax(1)
    formula = -(p * p.log()).sum(1).mean() + (p.mean(0) * p.mean(0).log()).sum()
    loss = regime.objective(torch.tensor(9.0), seen(logits), {})
    torch.testing.assert_close(loss, formula)
    torch.testing.assert_close(*(torch.autograd.grad(f, logits)[0] for f in (loss, formula)))


def test_centres_are_found_in_two_rounds():
    """Against the paper's equations 5 and 6, with loops; no image is answered with class 2."""
    random = torch.manual_seed(2)
    features = torch.rand(30, 5, generator=random)
    answers = (3 * torch.randn(30, 3, generator=random)).softmax(1)
    answers = (answers * torch.tensor([1, 1, 0.01])).div(answers.sum(1, keepdim=True))
    assert set(answers.argmax(1).tolist()) == {0, 1}
    unit = [f / f.norm() for f in features]
    first = [sum(a[k] * f for a, f in zip(answers, unit, strict=True)) for k in range(2)]
    own = [max(range(2), key=lambda k: (first[k] / first[k].norm()) @ f) for f in unit]
    second = [sum(f for f, k in zip(unit, own, strict=True) if k == c) for c in range(2)]
    found = centres(features, answers)
    torch.testing.assert_close(found[:2], torch.stack(second))
    assert not found[2].any() and set(nearest(features, found).tolist()) == {0, 1}


def test_shot_labels_by_the_centres_of_the_epoch_before():
    regime = built(SHOT, weight=0.7)
    (phase,) = regime.phases()
    regime.begin(phase)
    regime.on_train_epoch_start()
    batch = torch.from_numpy(Blocks().make_images("train")[::8]), torch.full((12,), -1)
    regime.eval()  # no dropout, so that steps see one and the same
    with torch.no_grad():
        target = regime.look(*batch)
        without = regime.training_step(batch, 0)
        assert torch.equal(regime.training_step(batch, 1), without)
        labels = nearest(target.features, centres(target.features, target.logits.softmax(1)))
        expected = without + 0.7 * F.cross_entropy(target.logits, labels)
        torch.testing.assert_close(regime.training_step(batch, 0), expected)


def test_shot_leaves_the_sources_head_as_it_was_to_the_bit():
    source = trained()
    regime, _ = adapted("shot", epochs=3)
    assert not any(p.requires_grad for p in regime.head.parameters())
    for name, own in regime.head.state_dict().items():
        assert torch.equal(own, source.head.state_dict()[name])
    stages, theirs = regime.backbone.stages, source.backbone.stages
    for own, other in zip(stages.parameters(), theirs.parameters(), strict=True):
        assert not torch.equal(own, other)


@pytest.mark.parametrize(
    ("options", "message"), [({"k": "all"}, "nothing learns"), ({"weight": -1.0}, "0 or more")]
)
def test_shot_refuses_what_has_no_meaning(options, message):
    with pytest.raises(ValueError, match=message):
        built(SHOT, **options)


def moved(regime, source) -> set[str]:
    """What kinds of tensors are no longer the source's."""
    theirs = source.state_dict()
    return {
        ("norm " if isinstance(regime.get_submodule(module), nn.BatchNorm2d) else "") + name
        for key, value in regime.state_dict().items()
        if not torch.equal(value, theirs[key])
        for module, _, name in [key.rpartition(".")]
    }


def test_adabn_takes_statistics_and_nothing_else():
    regime, _ = adapted("adabn")
    statistics = {"norm running_mean", "norm running_var", "norm num_batches_tracked"}
    assert moved(regime, trained()) == statistics


def test_adabns_statistics_are_those_of_the_targets_images():
    """In closed form: of the first layer and, normalised by these, of the second."""
    regime, _ = adapted("adabn")
    images = training_images()
    first, second = (stage for stage in regime.backbone.stages[:2])
    with torch.no_grad():
        seen = first[0](regime.backbone.prepare(images))
        torch.testing.assert_close(first[1].running_mean, seen.mean((0, 2, 3)))
        torch.testing.assert_close(first[1].running_var, seen.transpose(0, 1).flatten(1).var(1))
        scaled = (seen - seen.mean((0, 2, 3), keepdim=True)) / (
            seen.var((0, 2, 3), keepdim=True, correction=0) + first[1].eps
        ).sqrt()
        weight, bias = (p[:, None, None] for p in (first[1].weight, first[1].bias))
        passed = second[0](first[3](first[2](scaled * weight + bias)))
    torch.testing.assert_close(second[1].running_mean, passed.mean((0, 2, 3)))
    assert second[1].momentum == 0.1 and not second[1].training


def test_on_the_sources_own_images_adabn_leaves_statistics_about_as_they_were():
    def way(domain):
        """How far means have moved, in standard deviations of the source."""
        regime, _ = adapted("adabn", domain)
        layers = zip(regime.backbone.stages[:2], trained().backbone.stages[:2], strict=True)
        steps = [
            (own[1].running_mean - theirs[1].running_mean) / theirs[1].running_var.sqrt()
            for own, theirs in layers
        ]
        return torch.cat(steps).abs().max().item()

    assert way(Blocks(variant=1)) < 0.2 < 5 * 0.2 < way(Dimmed())


def test_batches_of_adabn_are_drawn_from_all_classes():
    """Images come class by class: statistics of such batches would be those of no mixture."""
    few, many = (Dimmed(train_per_class=n) for n in (64, 256))
    whole, parts = (built(AdaBN) for _ in range(2))
    for regime, domain, count in ((whole, few, 64), (parts, many, 256)):
        domain.draw(per_class=count, val_fraction=0.0, batch_size=8, seed=0)
        domain.hides_labels = True
        fit_and_test(regime, domain, Fit(epochs=1, batch_size=8))
    for one, other in zip(whole.backbone.stages[:2], parts.backbone.stages[:2], strict=True):
        torch.testing.assert_close(one[1].running_var, other[1].running_var, rtol=0.05, atol=1e-4)
    assert parts.backbone.stages[0][1].num_batches_tracked == 4


def test_tent_learns_scales_and_shifts_and_nothing_else():
    regime, _ = adapted("tent")
    scales = {"norm weight", "norm bias"}
    statistics = {"norm running_mean", "norm running_var", "norm num_batches_tracked"}
    assert moved(regime, trained()) == scales | statistics
    layers = [stage[1] for stage in regime.backbone.stages[:2]]
    learning = [p for p in regime.parameters() if p.requires_grad]
    assert {*map(id, learning)} == {id(p) for layer in layers for p in layer.parameters()}


def test_tents_loss_is_the_entropy_whatever_the_labels():
    regime = built(Tent)
    logits = torch.randn(5, 4, generator=torch.manual_seed(0), requires_grad=True)
    loss = regime.objective(torch.tensor(9.0), seen(logits), {})
    torch.testing.assert_close(
        loss, torch.distributions.Categorical(logits=logits).entropy().mean()
    )
    loss.backward()
    p, h = logits.detach().softmax(1), entropy(logits.detach())
    torch.testing.assert_close(logits.grad, -p * (p.log() + h[:, None]) / 5)


def test_tent_normalises_by_the_batch_in_steps_and_by_the_targets_statistics_in_the_test():
    regime, _ = adapted("tent")
    images = training_images()
    first = regime.backbone.stages[0]
    with torch.no_grad():
        seen = first[0](regime.backbone.prepare(images))
    source = trained().backbone.stages[0][1].running_mean
    left, way = ((first[1].running_mean - mean).norm() for mean in (seen.mean((0, 2, 3)), source))
    assert left < 0.05 * way
    regime.train()
    assert first[1].training and not regime.backbone.stages[2].training


@pytest.mark.parametrize("cls", [AdaBN, Tent])
def test_without_batch_normalisation_there_is_nothing_to_adapt(cls):
    plain = Leaky()
    for stage in plain.stages[:2]:
        stage[1] = nn.Identity()
    with pytest.raises(UnsuitableBackboneError, match=r"no batch normalisation: .* on: \[...\]"):
        built(cls, plain)


def test_scales_that_are_not_there_cannot_be_learnt():
    plain = Leaky()
    plain.stages[0][1] = nn.BatchNorm2d(8, affine=False)
    with pytest.raises(UnsuitableBackboneError, match="without scales and shifts"):
        built(Tent, plain)
