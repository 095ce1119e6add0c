"""Methods that give source and target a common feature space."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from transfer_lab.regimes.coral import Coral, covariance_aligned, power, scale_aligned
from transfer_lab.regimes.logistic import fit_logistic, scaled
from transfer_lab.regimes.pooled_head import Examples, PooledHead
from transfer_lab.regimes.solved import Sample
from transfer_lab.testing import Leaky


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
