"""Methods that give source and target a common feature space."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from torch.nn import functional as F

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.regimes.features.coral import Coral, covariance_aligned, power, scale_aligned
from transfer_lab.regimes.features.dann import DANN, Reversal, ramp
from transfer_lab.regimes.features.deep_coral import DeepCoral, coral_distance
from transfer_lab.regimes.features.mmd import MMD, squared_mmd
from transfer_lab.regimes.instances.pooled_head import Examples, PooledHead
from transfer_lab.regimes.logistic import fit_logistic, scaled
from transfer_lab.regimes.objective import Streams
from transfer_lab.regimes.solved import Sample
from transfer_lab.testing import Leaky, drawn
from transfer_lab.training.contracts.surroundings import accompanied
from transfer_lab.training.fit import fit_and_test


def mixed(count: int, features: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Correlated features."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, features)) @ rng.normal(size=(features, features)) + shift


def sample(features: np.ndarray, labels: np.ndarray | None = None) -> Sample:
    """As the frozen stages give it."""
    labels = np.full(len(features), -1) if labels is None else labels
    outputs = features.astype(np.float32)
    return Sample(outputs, np.arange(len(features)), torch.as_tensor(labels))


def solved(cls, target: Sample, streams: dict[str, Sample], **options):
    torch.manual_seed(0)
    regime = cls(Leaky(), 4, **options)
    regime.solve(target, sample(np.zeros((0, 32))), streams)
    return regime


def domains(seed: int = 0) -> tuple[Sample, dict[str, Sample]]:
    """Two domains of four classes, of 32 features; the target in another basis and place."""
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 4
    means = 3 * rng.normal(size=(4, 32))
    source = means[labels] + rng.normal(size=(120, 32))
    other = (means[labels] + rng.normal(size=(120, 32))) * rng.uniform(0.5, 3, 32) + 9 * rng.normal(
        size=32
    )
    streams = {"source": sample(source, labels), "unlabelled": sample(other)}
    return sample(other[:12], labels[:12]), streams


@pytest.mark.parametrize("classes", [3, 5])
def test_the_solved_head_is_scikit_learns_logistic_regression(classes):
    x, rng = mixed(90, 7, 1, shift=3.0), np.random.default_rng(2)
    labels, weights = rng.integers(0, classes, 90), rng.uniform(0.1, 3, 90)
    l2 = 0.03
    weight, bias = fit_logistic(x, labels, weights, classes, l2)
    standard, mean, unit = scaled(x, weights)
    theirs = LogisticRegression(C=1 / (l2 * weights.sum()), tol=1e-8, max_iter=5000)
    theirs.fit(standard, labels, sample_weight=weights)
    own = torch.from_numpy(x @ weight.T + bias).softmax(1).numpy()
    np.testing.assert_allclose(own, theirs.predict_proba(standard), atol=2e-4)
    np.testing.assert_allclose((x - mean) / unit, standard)


def test_a_class_without_examples_gets_a_finite_answer():
    x = mixed(30, 5, 1)
    weight, bias = fit_logistic(x, np.arange(30) % 2, np.ones(30), 3, 0.01)
    logits = torch.from_numpy(x @ weight.T + bias)
    assert logits.isfinite().all() and set(logits.argmax(1).tolist()) == {0, 1}


def test_an_example_of_weight_two_counts_as_two():
    x, labels = mixed(40, 6, 3), np.arange(40) % 4
    twice = np.concatenate([x, x[:10]]), np.concatenate([labels, labels[:10]])
    weights = np.where(np.arange(40) < 10, 2.0, 1.0)
    weighted = fit_logistic(x, labels, weights, 4, 0.05)
    repeated = fit_logistic(*twice, np.ones(50), 4, 0.05)
    np.testing.assert_allclose(weighted[0], repeated[0], atol=1e-4)


def test_the_pooled_head_weighs_domains_whatever_their_sizes():
    target, streams = domains()
    regime = solved(PooledHead, target, streams, weight=0.25)
    both = regime.pooled(Examples.of(streams["source"]), Examples.of(target))
    is_source = np.arange(len(both)) < 120
    assert both.weights[is_source].sum() == pytest.approx(0.25)
    assert both.weights[~is_source].sum() == pytest.approx(0.75)


def test_the_pooled_head_learns_of_the_source_alone_where_the_target_has_no_labels():
    target, streams = domains()
    hidden = Sample(target.outputs, target.index, torch.full((len(target),), -1))
    without = solved(PooledHead, hidden, streams)
    alone = solved(PooledHead, target, streams, weight=1.0)
    assert torch.equal(without.head.weight, alone.head.weight)


@pytest.mark.parametrize("count", [200, 20])  # more images than features, and fewer
def test_powers_of_a_covariance_are_those_of_its_eigenvalues(count):
    x, centred = mixed(5, 30, 1), mixed(count, 30, 2)
    centred = centred - centred.mean(0)
    matrix = np.cov(centred, rowvar=False) + 0.5 * np.eye(30)
    np.testing.assert_allclose(power(x, centred, 0.5, 1), x @ matrix, atol=1e-8)
    np.testing.assert_allclose(power(x, centred, 0.5, -1), x @ np.linalg.inv(matrix), atol=1e-8)
    half = power(power(x, centred, 0.5, 0.5), centred, 0.5, 0.5)
    np.testing.assert_allclose(half, x @ matrix, atol=1e-8)


def test_coral_gives_the_source_the_targets_mean_and_covariance():
    source, target = mixed(400, 12, 4, shift=5.0), mixed(300, 12, 5, shift=-3.0)
    aligned = covariance_aligned(source, target, ridge=1e-9)
    np.testing.assert_allclose(aligned.mean(0), target.mean(0), atol=1e-6)
    np.testing.assert_allclose(np.cov(aligned.T), np.cov(target.T), rtol=1e-4, atol=1e-4)
    assert not np.allclose(np.cov(source.T), np.cov(target.T), rtol=0.5)


def test_coral_under_a_large_ridge_moves_the_mean_alone():
    source, target = mixed(400, 12, 4, shift=5.0), mixed(300, 12, 5, shift=-3.0)
    aligned = covariance_aligned(source, target, ridge=1e9)
    np.testing.assert_allclose(aligned, source - source.mean(0) + target.mean(0), atol=1e-4)


def test_coral_of_a_domain_with_itself_changes_nothing():
    source = mixed(60, 100, 4)
    np.testing.assert_allclose(covariance_aligned(source, source, ridge=0.7), source, atol=1e-8)


def test_scales_are_aligned_feature_by_feature():
    source, target = mixed(400, 12, 4, shift=5.0), mixed(300, 12, 5)
    aligned = scale_aligned(source, target)
    np.testing.assert_allclose(aligned.mean(0), target.mean(0), atol=1e-9)
    np.testing.assert_allclose(aligned.std(0), target.std(0))
    np.testing.assert_allclose(np.corrcoef(aligned.T), np.corrcoef(source.T))


def test_coral_is_skadas_where_that_is_installed():
    """skada leaves means alone and divides by n: domains are centred, and of one size."""
    skada = pytest.importorskip("skada")
    source, target = mixed(400, 12, 4), mixed(400, 12, 5)
    source, target = ((x - x.mean(0)) / source.std(0) for x in (source, target))
    theirs = skada.CORALAdapter(reg=1e-9).fit_transform(
        np.concatenate([source, target]), sample_domain=np.repeat([1, -2], 400)
    )
    np.testing.assert_allclose(
        np.asarray(theirs)[:400], covariance_aligned(source, target, 1e-9), atol=1e-6
    )


@pytest.mark.parametrize("align", ["covariance", "scale"])
def test_aligned_features_are_recognised_where_others_are_not(align):
    """The target is the source, each feature of another scale and place."""
    target, streams = domains()
    hidden = Sample(target.outputs, target.index, torch.full((len(target),), -1))
    unlabelled, labels = streams["unlabelled"].inputs, torch.arange(120) % 4
    right = {
        chosen: (solved(Coral, hidden, streams, align=chosen).head(unlabelled).argmax(1) == labels)
        .float()
        .mean()
        .item()
        for chosen in ("none", align)
    }
    assert right[align] > 0.95 > right["none"]


def test_a_coral_that_aligns_nothing_looks_at_no_unlabelled_image():
    target, streams = domains()
    regime = solved(Coral, target, {"source": streams["source"]}, align="none")
    twin = solved(PooledHead, target, streams)
    assert torch.equal(regime.head.weight, twin.head.weight)


def batches(shift: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return torch.randn(9, 6) @ torch.randn(6, 6), torch.randn(12, 6) + shift


@pytest.mark.parametrize("distance", [coral_distance, squared_mmd])
def test_a_batch_is_no_distance_from_itself_and_some_from_another(distance):
    source, target = batches()
    assert distance(source, source.flip(0)) == pytest.approx(0, abs=1e-6)
    assert distance(source, target) > 0.01
    assert distance(source, target) == pytest.approx(distance(target, source).item(), rel=1e-5)


@pytest.mark.parametrize("distance", [coral_distance, squared_mmd])
def test_features_gain_nothing_by_shrinking(distance):
    """Else the network collapses: the gradient along the features themselves is zero."""
    source, target = (x.requires_grad_() for x in batches())
    value = distance(source, target)
    smaller = distance(source / 50, target / 50).item()
    assert smaller == pytest.approx(value.item(), rel=1e-4)
    value.backward()
    along = (source.grad * source).sum() + (target.grad * target).sum()
    assert along.abs() < 1e-5 < source.grad.abs().max()


@pytest.mark.parametrize("distance", [coral_distance, squared_mmd])
def test_features_that_are_one_point_have_finite_gradients(distance):
    source, target = torch.ones(4, 3, requires_grad=True), torch.ones(5, 3)
    value = distance(source, target)
    value.backward()
    assert value == 0 and source.grad.isfinite().all()


def test_the_coral_distance_is_deep_corals_but_for_its_scale():
    source, target = batches()
    own, other = np.cov(source.numpy().T), np.cov(target.numpy().T)
    published = ((own - other) ** 2).sum() / (4 * 6**2)
    trace_a_feature = (np.trace(own) + np.trace(other)) / 2 / 6
    expected = 4 * published / trace_a_feature**2
    assert coral_distance(source, target) == pytest.approx(expected, rel=1e-4)


def test_covariances_that_differ_by_a_mean_alone_are_no_distance_apart_but_distributions_are():
    source, _ = batches()
    assert coral_distance(source, source + 7) == pytest.approx(0, abs=1e-6)
    assert squared_mmd(source, source + 7) > 0.1


def test_the_squared_mmd_is_the_mean_kernel_over_all_pairs():
    source, target = batches()
    both = torch.cat([source, target]).double().numpy()
    unit = np.mean([((x - y) ** 2).sum() for x in both for y in both])

    def mean_kernel(one, other):
        gaussians = [rbf_kernel(one, other, 1 / (w * unit)) for w in (0.25, 0.5, 1, 2, 4)]
        return np.mean(gaussians)

    own, others = both[:9], both[9:]
    expected = mean_kernel(own, own) + mean_kernel(others, others) - 2 * mean_kernel(own, others)
    assert squared_mmd(source, target) == pytest.approx(expected, rel=1e-4)


def begun(cls, **options):
    torch.manual_seed(3)
    regime = cls(Leaky(), 4, **options)
    regime.meet({"source": 4})
    (phase,) = regime.phases()
    regime.begin(phase, steps=100)
    return regime.eval()  # no dropout: the same features at every look


def seen(regime, seed: int, labels: torch.Tensor):
    torch.manual_seed(seed)
    return torch.randint(0, 256, (len(labels), 3, 12, 12), dtype=torch.uint8), labels


def gradient(regime, loss: torch.Tensor) -> torch.Tensor:
    first = regime.backbone.stages[0][0].weight
    return torch.autograd.grad(loss, first, retain_graph=True)[0]


@pytest.mark.parametrize("cls, distance", [(DeepCoral, coral_distance), (MMD, squared_mmd)])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_gradient_is_that_of_joint_training_plus_penalty_times_the_distances(
    cls, distance, labelled
):
    regime = begun(cls, penalty=3.0, weight=0.25)
    labels = torch.arange(8) % 4
    hidden = torch.full((8,), -1)
    raw = {"source": seen(regime, 1, labels), "unlabelled": seen(regime, 2, hidden)}
    target = regime.look(*seen(regime, 5, labels if labelled else hidden))
    streams = Streams(regime, raw)
    fit = regime.loss(target.logits, target.labels)
    found = gradient(regime, regime.objective(fit, target, streams))
    on_source = F.cross_entropy(streams["source"].logits, labels)
    features = streams["source"].features, streams["unlabelled"].features
    apart = gradient(regime, distance(*features))
    parts = 0.25 * gradient(regime, on_source) + 0.75 * gradient(regime, fit)
    expected = (parts if labelled else gradient(regime, on_source)) + 3 * apart
    assert apart.abs().max() > 1e-4
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cls", [DeepCoral, MMD, DANN])
def test_a_penalty_of_0_looks_at_no_unlabelled_image(cls):
    regime = begun(cls, penalty=0.0)
    labels = torch.arange(8) % 4
    streams = Streams(regime, {"source": seen(regime, 1, labels)})
    target = regime.look(*seen(regime, 5, labels))
    regime.objective(regime.loss(target.logits, labels), target, streams)


@pytest.mark.parametrize("cls", [DeepCoral, MMD, DANN])
def test_frozen_features_cannot_be_aligned_in_training(cls):
    with pytest.raises(ValueError, match=r"freezes all stages.*`coral`"):
        cls(Leaky(), 4, k="all")
    assert cls(Leaky(), 4, k="all", penalty=0.0).k == 3


def test_the_reversed_gradient_is_minus_the_forward_one():
    regime = begun(DANN)
    source, target = (x.requires_grad_() for x in (torch.randn(6, 32), torch.randn(7, 32)))
    forward = regime.domain_loss(source, target)
    along = torch.autograd.grad(forward, (source, target, *regime.discriminator.parameters()))
    back = regime.domain_loss(Reversal.apply(source, 0.3), Reversal.apply(target, 0.3))
    assert torch.equal(forward, back)
    against = torch.autograd.grad(back, (source, target, *regime.discriminator.parameters()))
    for one, other in zip(along[:2], against[:2], strict=True):
        torch.testing.assert_close(other, -0.3 * one)
    for one, other in zip(along[2:], against[2:], strict=True):
        assert torch.equal(one, other)  # the discriminator itself learns as ever


def test_the_domain_loss_is_the_cross_entropy_of_telling_the_domains_apart():
    regime = begun(DANN)
    source, target = torch.randn(6, 32), torch.randn(6, 32)
    logits = regime.discriminator(torch.cat([source, target])).squeeze(1)
    truth = torch.repeat_interleave(torch.tensor([1.0, 0.0]), 6)
    expected = F.binary_cross_entropy_with_logits(logits, truth)
    torch.testing.assert_close(regime.domain_loss(source, target), expected)


def test_the_reversal_grows_as_published():
    assert ramp(0, 200) == 0
    assert ramp(20, 200) == pytest.approx(np.tanh(0.5))  # 2 / (1 + e^-x) - 1 = tanh(x / 2)
    assert ramp(200, 200) == pytest.approx(1, abs=1e-4)
    assert ramp(3, float("inf")) == 1


def test_a_discriminator_trained_against_the_stages_is_worse_than_one_that_only_watches():
    """After a fit with the reversal, domains are harder to tell apart than after one without."""
    told = {}
    for penalty in (1e-6, 1.0):
        torch.manual_seed(3)
        regime = DANN(Leaky(), 4, penalty=penalty, lr=0.02, backbone_lr=0.005)
        regime.meet({"source": 4})
        domain = accompanied(drawn(), REGIMES["dann"])
        dark = domain.streams["source"].image_blocks
        domain.streams["source"].image_blocks = lambda part, dark=dark: (
            255 - x for x in dark(part)
        )
        fit_and_test(regime, domain, Fit(epochs=12, batch_size=8))
        told[penalty] = _domain_loss(regime, domain)
    assert told[1e-6] < 0.1 < told[1.0]


def _domain_loss(regime, domain) -> float:
    images = [
        torch.from_numpy(np.concatenate([*one.image_blocks("test")]))
        for one in (domain.streams["source"], domain)
    ]
    with torch.no_grad():
        return regime.domain_loss(*(regime.backbone(x) for x in images)).item()


def test_an_alignment_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="choose from covariance, scale, none"):
        Coral(Leaky(), 4, align="mean")
