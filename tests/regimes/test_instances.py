"""Methods that choose among the source's examples, or weigh them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier

from transfer_lab.regimes.instances.density_ratio import (
    by_discriminator,
    gaussian,
    kliep,
    kmm,
    median_distance,
    mixture,
    projected,
)
from transfer_lab.regimes.instances.importance_weighting import ImportanceWeighting, clipped
from transfer_lab.regimes.instances.pooled_head import Examples, PooledHead
from transfer_lab.regimes.instances.tradaboost import TrAdaBoost, VotingHead, boost
from transfer_lab.regimes.logistic import fit_logistic
from transfer_lab.regimes.solved import Sample
from transfer_lab.testing import Leaky

ESTIMATES = {"discriminator": by_discriminator, "kmm": kmm, "kliep": kliep}


def normal(count: int, seed: int, mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return spread * rng.normal(size=(count, 2)) + np.array([mean, 0.0])


def sample(features: np.ndarray, labels: np.ndarray | None = None) -> Sample:
    """As the frozen stages of a `Leaky` give it: 32 features, of which all but two are 0."""
    outputs = np.zeros((len(features), 32), np.float32)
    outputs[:, : features.shape[1]] = features
    labels = np.full(len(features), -1) if labels is None else labels
    return Sample(outputs, np.arange(len(features)), torch.as_tensor(labels))


def solved(cls, target: Sample, streams: dict[str, Sample], **options):
    torch.manual_seed(0)
    regime = cls(Leaky(), 2, **options)
    regime.solve(target, sample(np.zeros((0, 2))), streams)
    return regime


@pytest.mark.parametrize("method", ESTIMATES)
def test_weights_are_the_ratio_of_the_densities(method):
    """Of two Gaussians half a spread apart it is known: exp(x / 2 - 1 / 8)."""
    source, target = normal(400, 1), normal(400, 2, mean=0.5)
    weights = clipped(ESTIMATES[method](source, target, 10.0), 10.0)
    true = np.exp(0.5 * source[:, 0] - 0.125)
    assert weights.mean() == pytest.approx(1) and 0 <= weights.min() <= weights.max() <= 10
    # Matched means are no estimate of the ratio at a point: its weights are rougher.
    assert np.corrcoef(weights, true)[0, 1] > (0.5 if method == "kmm" else 0.9)
    matched = weights @ source[:, 0] / 400
    assert abs(matched - target[:, 0].mean()) < 0.15 < abs(source[:, 0].mean() - matched)


@pytest.mark.parametrize("method", ESTIMATES)
def test_equal_domains_give_weights_of_about_1(method):
    both = normal(400, 1), normal(400, 2)
    streams = {"source": sample(both[0], np.arange(400) % 2), "unlabelled": sample(both[1])}
    regime = solved(ImportanceWeighting, sample(both[1][:0]), streams, method=method)
    assert 300 < regime.effective_sample_size <= 400
    weights = regime.source_examples(Examples.of(streams["source"]), streams).weights
    assert np.median(np.abs(weights - 1)) < 0.25


@pytest.mark.parametrize("method", ESTIMATES)
def test_a_mixed_source_counts_where_the_target_is(method):
    """Half of the source is elsewhere: its effective size is about half."""
    here, there = normal(150, 1), normal(150, 3, mean=8.0)
    streams = {
        "source": sample(np.concatenate([here, there]), np.arange(300) % 2),
        "unlabelled": sample(normal(200, 2)),
    }
    regime = solved(ImportanceWeighting, sample(here[:0]), streams, method=method)
    weights = regime.source_examples(Examples.of(streams["source"]), streams).weights
    assert weights[150:].sum() < 0.1 * weights.sum()
    assert 75 < regime.effective_sample_size < 165


@pytest.mark.parametrize("method", ESTIMATES)
def test_weights_cure_a_covariate_shift_that_the_plain_head_cannot(method):
    """Classes that no line separates: which line is the best depends on where images are."""
    source, target = normal(600, 1, spread=1.5), normal(300, 2, mean=2.0, spread=0.5)

    def truth(x):
        return ((x[:, 1] > 0) ^ (x[:, 0] < 1)).astype(int)

    streams = {"source": sample(source, truth(source)), "unlabelled": sample(target)}
    right = {}
    for cls, options in ((PooledHead, {}), (ImportanceWeighting, {"method": method})):
        regime = solved(cls, sample(target[:0]), streams, **options)
        answers = regime.head(streams["unlabelled"].inputs).argmax(1).numpy()
        right[cls] = (answers == truth(target)).mean()
    assert right[ImportanceWeighting] > 0.9 > right[PooledHead]


def test_without_a_method_it_is_the_pooled_head_and_looks_at_no_unlabelled_image():
    source, labels = normal(40, 1), np.arange(40) % 2
    streams = {"source": sample(source, labels)}
    regime = solved(ImportanceWeighting, sample(source, labels), streams, method="none")
    twin = solved(PooledHead, sample(source, labels), streams)
    assert torch.equal(regime.head.weight, twin.head.weight)
    assert regime.effective_sample_size is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "guess"}, "choose from discriminator"), ({"max_weight": 1.0}, "above 1")],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImportanceWeighting(Leaky(), 2, **options)


@pytest.mark.parametrize("weights", [[1, 2, 3, 50, 0], [0, 0, 0, 7, 0], [5, 5, 5, 5, 5], [0] * 5])
def test_clipped_weights_have_mean_1_and_none_above_the_limit(weights):
    found = clipped(np.array(weights, float), 2.0)
    assert found.mean() == pytest.approx(1) and found.min() >= 0 and found.max() <= 2 + 1e-6


def test_kernel_mean_matching_keeps_its_constraints_and_is_the_best_within_them():
    source, target = normal(80, 1), normal(60, 2, mean=1.0)
    found = kmm(source, target, 3.0)
    assert found.mean() == pytest.approx(1, abs=1e-6) and found.min() >= 0 and found.max() <= 3
    width = median_distance(source, target)
    kernel = gaussian(source, source, width)
    wanted = gaussian(source, target, width).mean(1) * 80
    slope = kernel @ found - wanted
    # Karush-Kuhn-Tucker: one slope inside, not below it at 0, not above it at the limit.
    inside = (found > 1e-4) & (found < 3 - 1e-4)
    assert inside.any() and np.ptp(slope[inside]) < 1e-2
    level = np.median(slope[inside])
    assert (slope[found <= 1e-4] > level - 1e-2).all()
    assert (slope[found >= 3 - 1e-4] < level + 1e-2).all()


def test_projected_weights_are_the_nearest_that_have_mean_1():
    weights = np.array([-1.0, 0.2, 0.5, 1.0, 6.0])
    found = projected(weights, 3.0)
    np.testing.assert_allclose(found, [0, 4 / 15 - 1 / 30, 8 / 15, 31 / 30, 3], atol=0.2)
    assert found.mean() == pytest.approx(1)
    inside = (found > 0) & (found < 3)
    assert np.ptp((found - weights)[inside]) < 1e-9


def test_kliep_is_normalised_and_no_other_mixture_is_likelier():
    source, target = normal(90, 1), normal(70, 2, mean=1.0)
    of_source, of_target = gaussian(source, target[:20], 1.0), gaussian(target, target[:20], 1.0)
    found = mixture(of_source, of_target)
    assert (of_source @ found).mean() == pytest.approx(1) and found.min() >= 0
    assert kliep(source, target, 10.0).mean() == pytest.approx(1)
    best = np.log(of_target @ found).mean()
    means, rng = of_source.mean(0), np.random.default_rng(0)
    for _ in range(50):
        other = 0.9 * found + 0.1 * rng.dirichlet(np.ones(20)) / means
        assert np.log(of_target @ other).mean() <= best + 1e-6


def test_kernel_mean_matching_is_as_good_as_skadas_where_that_is_installed():
    """Of the same kernel, limit and mean: both make the same distance smallest."""
    skada = pytest.importorskip("skada")
    source, target = normal(80, 1), normal(60, 2, mean=1.0)
    width = median_distance(source, target)
    kernel, wanted = gaussian(source, source, width), gaussian(source, target, width)

    def distance(weights):
        return weights @ kernel @ weights / 80**2 - 2 * weights @ wanted.mean(1) / 80

    adapter = skada.KMMReweightAdapter(
        gamma=1 / (2 * width**2), B=3.0, eps=0.0, solver="scipy", max_iter=2000, tol=1e-10
    )
    own, theirs = kmm(source, target, 3.0), weights_of(adapter, source, target)
    assert theirs.mean() == pytest.approx(1, abs=1e-3)
    assert distance(own) == pytest.approx(distance(theirs), abs=1e-4)


def test_kliep_is_as_likely_as_skadas_where_that_is_installed():
    """Of one kernel and skada's centres; its ascent goes in small steps and ends early."""
    skada = pytest.importorskip("skada")
    source, target = normal(150, 1), normal(90, 2, mean=1.0)
    width = median_distance(source, target)
    adapter = skada.KLIEPReweightAdapter(gamma=1 / (2 * width**2), random_state=0)
    theirs = weights_of(adapter, source, target)
    of_source, of_target = (gaussian(x, adapter.centers_, width) for x in (source, target))
    found = mixture(of_source, of_target)
    np.testing.assert_allclose(theirs, of_source @ adapter.alpha_)
    own, other = (np.log(of_target @ a).mean() for a in (found, adapter.alpha_))
    assert own >= other
    assert np.corrcoef(of_source @ found, theirs)[0, 1] > 0.8


def weights_of(adapter, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The source's, as skada estimates them."""
    both = np.concatenate([source, target])
    domain = np.repeat([1, -2], [len(source), len(target)])
    adapter.fit(both, sample_domain=domain)
    return np.asarray(adapter.compute_weights(both, sample_domain=domain))[: len(source)]


class _Linear(BaseEstimator, ClassifierMixin):
    """The lab's weighted logistic regression as scikit-learn's boosting takes it."""

    def fit(self, x, y, sample_weight):
        self.classes_ = np.unique(y)
        self.parts = fit_logistic(x, y, sample_weight, len(self.classes_), 0.01)
        return self

    def predict(self, x):
        return (x @ self.parts[0].T + self.parts[1]).argmax(1)


def overlapping(count: int, classes: int, seed: int) -> Examples:
    """Gaussians that overlap, through a layer that is the same for all."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(9)
    labels = np.arange(count) % classes
    places = rng.normal(size=(count, 3)) + np.eye(3)[labels % 3]
    features = np.maximum(0, places @ fixed.normal(size=(3, 12)) + fixed.normal(size=12))
    return Examples(features, labels, np.ones(count))


@pytest.mark.parametrize("classes", [2, 3])
def test_without_source_examples_it_is_adaboost(classes):
    """That of scikit-learn, which ends where a round is no better than chance."""
    target = overlapping(150, classes, 1)
    theirs = AdaBoostClassifier(_Linear(), n_estimators=8).fit(target.features, target.labels)
    count = len(theirs.estimators_)
    rounds = boost(target, 0, classes, 8, 0.01)
    assert count >= 3 and not any(each.vote for each in rounds[count:])
    votes = [each.vote for each in rounds[:count]]
    np.testing.assert_allclose(votes, theirs.estimator_weights_[:count], rtol=1e-6)
    head = VotingHead(8, 12, classes)
    head.take(rounds)
    answers = head(torch.from_numpy(target.features).float()).argmax(1).numpy()
    assert (answers == theirs.predict(target.features)).all()


def test_weights_of_wrong_source_examples_never_rise():
    """Beside those that are answered rightly; those of wrong target examples never fall."""
    source, target = overlapping(60, 3, 1), overlapping(45, 3, 2)
    flipped = np.where(np.arange(60) < 20, (source.labels + 1) % 3, source.labels)
    both = Examples(
        np.concatenate([source.features, target.features]),
        np.concatenate([flipped, target.labels]),
        np.ones(105),
    )
    rounds = boost(both, 60, 3, 8, 0.01)
    assert len(rounds) == 8
    is_source = np.arange(105) < 60
    for one, after in pairwise(rounds):
        wrong = (both.features @ one.weight.T + one.bias).argmax(1) != both.labels
        change = after.weights / one.weights
        change /= change[~wrong][0]
        fall = 1 / (1 + np.sqrt(2 * np.log(60) / 8))
        np.testing.assert_allclose(change[~wrong], 1)
        np.testing.assert_allclose(change[wrong & is_source], fall)
        np.testing.assert_allclose(change[wrong & ~is_source], np.exp(one.vote))
    last = rounds[-1].weights[:60]
    assert np.log(last[:20]).mean() < np.log(last[20:]).mean() - 1  # mislabelled ones are found


def test_what_contradicts_the_target_is_outvoted():
    """One class of the source has another's label, and the source counts for more."""
    rng, labels = np.random.default_rng(0), np.arange(90) % 3
    source, target = (4 * np.eye(3)[labels] + rng.normal(size=(90, 3)) for _ in range(2))
    seen = {"source": sample(source, np.where(labels == 0, 1, labels))}
    right = {}
    for rounds in (0, 10):
        torch.manual_seed(0)
        regime = TrAdaBoost(Leaky(), 3, rounds=rounds, weight=0.7)
        regime.solve(sample(target[:15], labels[:15]), sample(target[:0]), seen)
        logits = regime.head(sample(target).inputs)
        assert torch.nn.functional.cross_entropy(logits, torch.as_tensor(labels)) < 1
        right[rounds] = (logits.argmax(1).numpy() == labels).mean()
    assert right[10] > right[0] + 0.1


def test_logits_are_logs_of_shares_of_votes():
    head = VotingHead(3, 2, 2)
    with torch.no_grad():
        head.votes.copy_(torch.tensor([2.0, 1.0, 0.0]))
        head.bias.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    # Votes 2 and 1, and half of an average vote of 1.5 each.
    expected = torch.tensor([2.75, 1.75]) / 4.5
    torch.testing.assert_close(head(torch.zeros(1, 2)).exp()[0], expected)
    torch.testing.assert_close(
        VotingHead(3, 2, 2)(torch.zeros(1, 2)).exp(), torch.full((1, 2), 0.5)
    )


def test_where_no_round_is_better_than_chance_the_last_one_votes_alone():
    source = sample(np.array([[0.0], [1.0]] * 20), np.array([0, 1] * 20))
    target = sample(np.array([[0.0], [1.0]]), np.array([1, 0]))
    torch.manual_seed(0)
    regime = TrAdaBoost(Leaky(), 2, rounds=3, weight=0.99)
    regime.solve(target, sample(np.zeros((0, 1))), {"source": source})
    assert regime.head.votes.tolist() == [1, 0, 0]
    assert (regime.head(source.inputs).argmax(1) == source.labels).all()
