"""Methods that use unlabelled images of the target, or a source's model without its images."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn
from torch.nn import functional as F

from transfer_lab.data.letters import Latin
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import UnsuitableBackboneError
from transfer_lab.regimes.objective import Seen
from transfer_lab.regimes.ridge_probe import RidgeProbe, temperature
from transfer_lab.regimes.solved import Sample
from transfer_lab.regimes.unlabelled.adabn import AdaBN
from transfer_lab.regimes.unlabelled.fixmatch import FixMatch
from transfer_lab.regimes.unlabelled.laplacian import Laplacian, between, graph, least_squares
from transfer_lab.regimes.unlabelled.pseudo_labels import PseudoLabels, confident_loss
from transfer_lab.regimes.unlabelled.random_views import RandomViews
from transfer_lab.regimes.unlabelled.shot import SHOT, centres, entropy, nearest
from transfer_lab.regimes.unlabelled.tent import Tent
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
    views = RandomViews(regime._seed)
    for shown, view in zip(network.shown, (views.weak, views.strong), strict=True):
        assert torch.equal(shown, view(IMAGES))
    weak, strong = map(regime, list(network.shown))
    expected = 2 + 0.5 * F.cross_entropy(strong, weak.argmax(1))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    (gradient,) = torch.autograd.grad(expected, [regime.head.weight])
    torch.testing.assert_close(regime.head.weight.grad, gradient)


def test_views_leave_no_trace_in_running_statistics():
    regime = built(FixMatch)
    regime.meet({})
    (phase,) = regime.phases()
    regime.begin(phase)

    class Raw(Untouched):
        def raw(self, role):
            return IMAGES[..., :12, :12], torch.full((64,), -1)

    norm = regime.backbone.stages[0][1]
    before = norm.running_mean.clone(), norm.running_var.clone()
    regime.objective(torch.tensor(2.0), seen(torch.zeros(1, 4)), Raw())
    assert torch.equal(norm.running_mean, before[0]) and torch.equal(norm.running_var, before[1])
    regime.look(IMAGES[..., :12, :12], torch.full((64,), -1))
    assert not torch.equal(norm.running_mean, before[0])


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
        about = target.features - target.features.mean(0)
        labels = nearest(about, centres(about, target.logits.softmax(1)))
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


def sample(features, labels=None) -> Sample:
    """What frozen stages give."""
    labels = torch.full((len(features),), -1) if labels is None else labels
    return Sample(np.asarray(features, np.float32), np.arange(len(features)), labels)


def solved(cls, target: Sample, width: int, classes: int = 3, pool=None, **options):
    """A regime's head on given features."""
    backbone = Leaky()
    backbone.num_features = width
    regime = cls(backbone, classes, **options)
    regime.solve(target, sample(np.empty((0, width))), {} if pool is None else {"unlabelled": pool})
    return regime


def examples(width: int, count: int = 30) -> Sample:
    random = np.random.default_rng(width)
    labels = torch.arange(count) % 3
    centres = random.normal(size=(3, width))
    return sample(5 + centres[labels] + random.normal(size=(count, width)), labels)


@pytest.mark.parametrize("width", [6, 50])
def test_the_ridge_head_is_scikit_learns(width):
    """Up to the one number that makes logits of scores; with fewer and more features than rows."""
    target = examples(width)
    head = solved(RidgeProbe, target, width, ridge=0.3).head
    x = target.inputs.double().numpy()
    unit = ((x - x.mean(0)) ** 2).sum(1).mean()
    theirs = Ridge(alpha=0.3 * unit).fit(x, 2 * np.eye(3)[target.labels] - 1)
    scale = (head.weight.detach().numpy() / theirs.coef_).mean()
    np.testing.assert_allclose(head.weight.detach(), scale * theirs.coef_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(head.bias.detach(), scale * theirs.intercept_, rtol=1e-3, atol=1e-4)


def test_what_is_left_out_is_answered_as_by_the_head_that_never_saw_it():
    target = examples(6)
    x, y = target.inputs.double(), torch.eye(3, dtype=torch.float64)[target.labels]
    random = torch.randn(6, 6, dtype=torch.float64, generator=torch.manual_seed(0))
    penalty = random @ random.T
    _, left_out = least_squares(x - x.mean(0), y, penalty)
    for place in (0, 7, 29):
        others = torch.arange(len(x)) != place
        mean = x[others].mean(0)
        weight, _ = least_squares(x[others] - mean, y[others], penalty)
        expected = weight @ (x[place] - mean) + y[others].mean(0)
        torch.testing.assert_close(left_out[place], expected)


def test_scores_are_multiplied_to_the_least_cross_entropy():
    logits = 4 * torch.randn(4000, 3, generator=torch.manual_seed(0)).double()
    labels = torch.distributions.Categorical(logits=logits).sample()
    assert temperature(logits / 8, labels) == pytest.approx(8, rel=0.1)


def test_neighbours_are_joined_if_one_is_near_the_other():
    points = torch.tensor([[0.0], [1.0], [1.9], [10.0]], dtype=torch.float64)
    assert graph(points, 1).T.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert graph(points, 9).T.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_the_graph_of_many_images_is_that_of_a_few_at_a_time(monkeypatch):
    points = torch.randn(50, 3, dtype=torch.float64, generator=torch.manual_seed(0))
    whole = graph(points, 4)
    monkeypatch.setattr("transfer_lab.regimes.unlabelled.laplacian._ROWS", 7)
    assert torch.equal(graph(points, 4), whole)


def test_the_laplacians_form_is_the_sum_over_neighbours():
    """tr(F' L F) = sum_ij w_ij |f_i - f_j|^2 / 2, with w_ij of both directions."""
    random = torch.manual_seed(1)
    inputs = torch.randn(40, 6, dtype=torch.float64, generator=random)
    weight = torch.randn(3, 6, dtype=torch.float64, generator=random)
    edges = graph(inputs, 5)
    joined = torch.zeros(40, 40, dtype=torch.float64)
    joined[edges[0], edges[1]] = joined[edges[1], edges[0]] = 1
    answers = inputs @ weight.T
    apart = torch.cdist(answers, answers).square()
    laplacian = joined.sum(1).diag() - joined
    formula = (answers.T @ laplacian @ answers).trace()
    torch.testing.assert_close(formula, (joined * apart).sum() / 2)
    torch.testing.assert_close((weight @ between(inputs, edges) @ weight.T).trace(), formula)


@pytest.mark.parametrize("width", [6, 90])
def test_the_laplacian_head_is_where_the_objectives_gradient_is_zero(width, monkeypatch):
    monkeypatch.setattr("transfer_lab.regimes.unlabelled.laplacian.temperature", lambda *_: 1.0)
    target, pool = examples(width), examples(width, 60)
    head = solved(
        Laplacian, target, width, pool=pool, gamma=0.4, neighbours=4, ridge=0.2
    ).head.double()
    x, u = target.inputs.double(), pool.inputs.double()
    y = 2 * torch.eye(3, dtype=torch.float64)[target.labels] - 1
    unit = (x - x.mean(0)).square().sum(1).mean()
    start, end = graph(u, 4)
    parts = (
        (head(x) - y).square().sum() / len(x),
        0.2 * unit * head.weight.square().sum() / len(x),
        0.4 * (head(u[start]) - head(u[end])).square().sum(1).mean(),
    )
    for at_rest, loss in ((True, sum(parts)), (False, parts[0] + parts[1]), (False, parts[2])):
        gradients = torch.autograd.grad(loss, head.parameters(), retain_graph=True)
        assert all(g.abs().max() < 1e-4 for g in gradients) == at_rest


def test_switched_off_the_laplacian_opens_no_pool():
    target = examples(6)
    off, twin = (
        solved(cls, target, 6, pool=None, **options).head.state_dict()
        for cls, options in ((Laplacian, {"gamma": 0.0}), (RidgeProbe, {}))
    )
    assert all(torch.equal(off[name], twin[name]) for name in twin)
    with pytest.raises(KeyError, match="unlabelled"):
        solved(Laplacian, target, 6, pool=None)


def test_neighbours_turn_a_head_that_few_labels_have_set_askew():
    """Two long parallel clusters, each labelled at one end: at opposite ones."""
    random = np.random.default_rng(0)
    true = np.arange(200) % 2
    pool = np.stack([random.uniform(-10, 10, 200), 2.0 * true - 1], 1)
    pool += random.normal(scale=0.05, size=pool.shape)
    target = sample([[-2.0, -1.0], [2.0, 1.0]], torch.tensor([0, 1]))
    right = {}
    for gamma in (0.0, 10.0):
        regime = solved(
            Laplacian, target, 2, classes=2, pool=sample(pool), gamma=gamma, ridge=0.001
        )
        answers = regime.head(torch.from_numpy(pool).float()).argmax(1).numpy()
        right[gamma] = (answers == true).mean()
    assert right[0.0] < 0.9 and right[10.0] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, "gamma must be 0 or more"),
        ({"neighbours": 0}, "neighbours must be at least 1"),
        ({"ridge": 0.0}, "ridge must be a positive number"),
    ],
)
def test_a_laplacian_that_has_no_meaning_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(Laplacian, **options)
