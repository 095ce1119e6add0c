"""Methods that are solved on frozen features: least squares, machines near sources', processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import Ridge, RidgeClassifier

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.regimes.ridge import RIDGES, RidgeFits
from transfer_lab.regimes.ridge_probe import RidgeProbe, against_rest, temperature
from transfer_lab.regimes.solved import Sample
from transfer_lab.regimes.weights.adaptive_svm import AdaptiveSVM, LeftOut
from transfer_lab.regimes.weights.gaussian_process import (
    GaussianProcess,
    GaussianProcessProbe,
    largest,
    most_likely,
)
from transfer_lab.testing import Leaky, RegimeCase, drawn
from transfer_lab.training.fit import fit_and_test

N, D, CLASSES = 24, 32, 3


def sample(seed: int, classes: int = CLASSES, n: int = N, spread: float = 1.0) -> Sample:
    """Noisy clusters: class c is far out along axis c."""
    rng = np.random.default_rng(seed)
    labels = torch.arange(n) % classes
    outputs = spread * rng.normal(size=(n, D)).astype(np.float32) + 5
    outputs[np.arange(n), labels.numpy()] += 2
    return Sample(outputs, np.arange(n), labels)


EMPTY = Sample(np.zeros((0, D), dtype=np.float32), np.arange(0), torch.zeros(0, dtype=torch.long))


def solved(target: Sample, streams=None, cls=AdaptiveSVM, classes: int = CLASSES, **options):
    torch.manual_seed(0)
    regime = cls(Leaky(), classes, **options)
    regime.solve(target, EMPTY, streams or {})
    return regime


def direction(regime) -> torch.Tensor:
    """The head's weights without the scale that makes logits of scores."""
    weight = regime.head.weight.detach().double()
    return weight / weight.norm()


def without(x: torch.Tensor, index: int) -> torch.Tensor:
    return torch.cat([x[:index], x[index + 1 :]])


def penalty_in_sklearn(x: torch.Tensor, ridge: float) -> float:
    return ridge * float(torch.var(x.double(), dim=0, unbiased=False).sum())


@pytest.mark.parametrize("n", [6, 24, 90])
@pytest.mark.parametrize("ridge", [0.01, 1.0, 30.0])
def test_ridge_is_sklearns_whether_there_are_more_examples_or_features(n, ridge):
    data = sample(1, n=n)
    x, y = data.inputs.double(), against_rest(data.labels, CLASSES)
    weight, bias = RidgeFits(x).solution(y, ridge)
    theirs = Ridge(alpha=penalty_in_sklearn(x, ridge)).fit(x.numpy(), y.numpy())
    assert np.allclose(weight.numpy(), theirs.coef_, atol=1e-8)
    assert np.allclose(bias.numpy(), theirs.intercept_, atol=1e-8)


@pytest.mark.parametrize("n", [4, 24, 60])
def test_left_out_errors_equal_those_of_fitting_without_the_example(n):
    data = sample(2, n=n)
    x, y = data.inputs.double(), against_rest(data.labels, CLASSES)
    found = RidgeFits(x).left_out(y, 0.3)
    for index in range(n):
        rest = RidgeFits(without(x, index))
        # The penalty is counted in the spread of all examples, which one left out changes.
        same = 0.3 * penalty_in_sklearn(x, 1) / penalty_in_sklearn(without(x, index), 1)
        weight, bias = rest.solution(without(y, index), same)
        assert torch.allclose(found[index], y[index] - (x[index] @ weight.T + bias), atol=1e-8)


def test_the_best_penalty_has_the_least_error_by_fitting_without_each_example():
    data = sample(3, n=12, spread=2.0)
    x, y = data.inputs.double(), against_rest(data.labels, CLASSES)

    def error(ridge):
        alpha = penalty_in_sklearn(x, ridge)
        rests = [Ridge(alpha=alpha).fit(without(x, i), without(y, i)) for i in range(12)]
        answers = [rest.predict(x[i : i + 1].numpy())[0] for i, rest in enumerate(rests)]
        return float(((y.numpy() - np.array(answers)) ** 2).mean())

    assert RidgeFits(x).best_penalty(y) == min(RIDGES, key=error)


def test_a_plain_machine_answers_as_sklearns_least_squares_machine():
    train, test = sample(4), sample(5, n=200)
    regime = solved(train, cls=RidgeProbe, ridge=0.7)
    alpha = penalty_in_sklearn(train.inputs, 0.7)
    theirs = RidgeClassifier(alpha=alpha).fit(train.inputs.numpy(), train.labels.numpy())
    scores = regime.head(test.inputs).detach()
    assert (scores.argmax(1).numpy() == theirs.predict(test.inputs.numpy())).all()
    ratio = scores.numpy() / theirs.decision_function(test.inputs.numpy())
    assert np.allclose(ratio, ratio.mean(), rtol=1e-3)


def test_without_a_prior_it_is_the_plain_machine_and_looks_at_no_source():
    class Untouchable(dict):
        def values(self):
            raise AssertionError("a source was looked at")

    plain = solved(sample(4), cls=RidgeProbe, ridge=0.7)
    off = solved(sample(4), Untouchable(), prior="none", ridge=0.7)
    assert torch.equal(off.head.weight, plain.head.weight)
    assert torch.equal(off.head.bias, plain.head.bias)


def adaptive_objective(w, c, x, y, prior, ridge) -> torch.Tensor:
    """|w - prior|^2 / 2 + C/2 sum (y - w x - c)^2, of one class."""
    return ((w - prior) ** 2).sum() / 2 + ((y - x @ w - c) ** 2).sum() / (2 * ridge)


@pytest.mark.parametrize("prior", ["single", "equal", "learned"])
def test_the_gradient_of_its_objective_is_zero_at_its_solution(prior):
    target, sources = sample(6, n=9), {"source": sample(7), "source_2": sample(8)}
    torch.manual_seed(0)
    regime = AdaptiveSVM(Leaky(), CLASSES, prior=prior, ridge=0.5)
    x, y = target.inputs.double(), against_rest(target.labels, CLASSES)
    fits = RidgeFits(x)
    near = regime.prior(fits, x, y, sources)
    away, bias = fits.solution(y - x @ near.T, 0.5)
    weight, bias = (near + away).requires_grad_(), bias.requires_grad_()
    penalty = penalty_in_sklearn(x, 0.5)
    loss = sum(
        adaptive_objective(weight[c], bias[c], x, y[:, c], near[c], penalty) for c in range(CLASSES)
    )
    loss.backward()
    assert float(near.norm()) > 0.1
    assert torch.allclose(weight.grad, torch.zeros_like(weight), atol=1e-8)
    assert torch.allclose(bias.grad, torch.zeros_like(bias), atol=1e-8)
    regime.solve(target, EMPTY, sources)
    assert torch.allclose(direction(regime), weight.detach() / weight.detach().norm(), atol=1e-6)


def test_a_source_of_the_targets_own_images_with_the_same_penalty_is_not_left():
    target = sample(9, n=60, spread=0.3)
    x, y = target.inputs.double(), against_rest(target.labels, CLASSES)
    own = RidgeFits(x).solution(y, RidgeFits(x).best_penalty(y))[0]
    far = solved(target, {"source": target}, prior="equal", ridge=1e6)
    assert torch.allclose(direction(far), own / own.norm(), atol=1e-3)


def test_with_a_small_ridge_the_prior_moves_nothing_that_the_images_say():
    target, sources = sample(6, n=60), {"source": sample(7), "source_2": sample(8)}
    plain = solved(target, prior="none", ridge=1e-9)
    near = solved(target, sources, prior="equal", ridge=1e-9)
    assert torch.allclose(direction(plain), direction(near), atol=1e-4)


def test_the_prior_of_equal_shares_is_the_mean_of_each_classs_machines_and_not_zero():
    sources = {"source": sample(7), "source_2": sample(8)}
    target = sample(6, n=9)
    regime = AdaptiveSVM(Leaky(), CLASSES, prior="equal")
    x, y = target.inputs.double(), against_rest(target.labels, CLASSES)
    found = regime.prior(RidgeFits(x), x, y, sources)
    machines = [regime._machines(source) for source in sources.values()]
    assert torch.allclose(found, (machines[0] + machines[1]) / 2)
    assert found.norm(dim=1).min() > 0.1
    # The rest of a class is all others: over classes and not over sources the mean is nothing.
    assert machines[0].mean(0).norm() < 1e-6


def test_sources_of_one_object_each_against_background_are_no_zero_together():
    """The machine of `object` is that of `background` turned round; objects do not cancel."""
    sources = {"source": sample(7, classes=2), "source_2": sample(8, classes=2)}
    target = sample(6, classes=2, n=6)
    regime = AdaptiveSVM(Leaky(), 2, prior="equal")
    x, y = target.inputs.double(), against_rest(target.labels, 2)
    prior = regime.prior(RidgeFits(x), x, y, sources)
    assert torch.allclose(prior[0], -prior[1], atol=1e-9)
    assert prior.norm() > 0.1


def test_one_number_added_to_all_of_a_features_values_changes_no_answer():
    """No penalty holds the bias; with one that does, transfer from a single positive reverses."""
    shift = np.zeros((1, D), dtype=np.float32)
    shift[0, 0] = 30

    def moved(data):
        return Sample(data.outputs + shift, data.index, data.labels)

    sources = {"source": sample(7, classes=2), "source_2": sample(8, classes=2)}
    target, test = sample(6, classes=2, n=2), sample(5, classes=2, n=100)
    plain = solved(target, sources, classes=2, prior="equal")
    far = solved(moved(target), {k: moved(v) for k, v in sources.items()}, classes=2, prior="equal")
    here, there = plain.head(test.inputs), far.head(moved(test).inputs)
    assert torch.allclose(here, there, atol=1e-3 * float(here.detach().abs().max()))


def left_out(n: int = 12, sources: int = 3) -> tuple[LeftOut, RidgeFits, torch.Tensor, object]:
    target = sample(11, n=n, spread=2.0)
    x, y = target.inputs.double(), against_rest(target.labels, CLASSES)
    machines = torch.stack(
        [
            RidgeFits(s.inputs).solution(against_rest(s.labels, CLASSES), 1.0)[0]
            for s in (sample(20 + k) for k in range(sources))
        ]
    )
    return LeftOut.of(RidgeFits(x), x, y, machines, 0.4), x, y, machines


def test_losses_at_examples_left_out_are_those_of_machines_without_them():
    errors, x, y, machines = left_out()
    shares = torch.rand(3, CLASSES, generator=torch.Generator().manual_seed(0)).double()
    near = torch.einsum("kc,kcd->cd", shares, machines)
    hinge = torch.zeros_like(y)
    for index in range(len(x)):
        rest, kept = without(x, index), without(y, index)
        same = 0.4 * penalty_in_sklearn(x, 1) / penalty_in_sklearn(rest, 1)
        away, bias = RidgeFits(rest).solution(kept - rest @ near.T, same)
        score = x[index] @ (near + away).T + bias
        hinge[index] = (1 - y[index] * score).clamp_min(0)
    positive = y > 0
    for c in range(CLASSES):
        mean = hinge[positive[:, c], c].mean() / 2 + hinge[~positive[:, c], c].mean() / 2
        assert torch.allclose(errors.loss(shares)[c], mean, atol=1e-8)


def test_the_one_source_is_that_of_the_least_loss_for_each_class():
    errors, *_ = left_out()
    best = errors.best_one()
    assert torch.equal(best.sum(0), torch.ones(CLASSES).double())
    for k in range(3):
        alone = torch.zeros(3, CLASSES).double()
        alone[k] = 1
        assert (errors.loss(best) <= errors.loss(alone)).all()


def test_learned_shares_lie_in_the_ball_and_no_others_there_have_a_smaller_loss():
    errors, *_ = left_out()
    found = errors.best_shares()
    least = errors.loss(found)
    assert (found.norm(dim=0) <= 1 + 1e-9).all()
    assert (least <= errors.loss(torch.zeros_like(found))).all()
    draws = torch.Generator().manual_seed(1)
    for _ in range(3000):
        other = torch.randn(3, CLASSES, generator=draws).double()
        other = other / other.norm(dim=0) * torch.rand(CLASSES, generator=draws).double() ** (1 / 3)
        assert (least <= errors.loss(other) + 0.01).all()


def test_a_source_that_knows_is_preferred_to_one_that_does_not():
    good, noise = sample(30, n=60, spread=0.5), sample(31, n=60, spread=0.5)
    noise = Sample(noise.outputs, noise.index, noise.labels.roll(7))
    target, test = sample(32, n=6, spread=1.5), sample(33, n=600, spread=1.5)

    def right(**options):
        regime = solved(target, {"source": noise, "source_2": good}, **options)
        return (regime.head(test.inputs).argmax(1) == test.labels).float().mean().item()

    plain, single, learned = (right(prior=p) for p in ("none", "single", "learned"))
    assert single > plain + 0.1
    assert learned > plain + 0.1


def test_scores_become_logits_by_one_factor_that_left_out_scores_give():
    train, test = sample(4, spread=2.0), sample(5, n=300, spread=2.0)
    regime = solved(train, cls=RidgeProbe)
    x, y = train.inputs.double(), against_rest(train.labels, CLASSES)
    weight, _ = RidgeFits(x).solution(y, 0.1)
    scale = temperature(y - RidgeFits(x).left_out(y, 0.1), train.labels)
    assert torch.allclose(regime.head.weight, (scale * weight).float(), atol=1e-6)
    loss = torch.nn.functional.cross_entropy(regime.head(test.inputs), test.labels)
    assert loss < np.log(CLASSES)


def test_the_factor_has_the_least_cross_entropy_against_platts_targets():
    scores = torch.tensor([[0.2, -0.2], [0.4, -0.4], [-0.1, 0.1], [0.3, -0.3]]).double()
    labels = torch.tensor([0, 0, 1, 1])

    def loss(factor):
        # Platt's targets of two classes: (m + 1) / (m + 2) and 1 / (m + 2), here with m = 2.
        p = torch.softmax(factor * scores, 1)
        own = p.gather(1, labels[:, None])[:, 0]
        return -(0.75 * own.log() + 0.25 * (1 - own).log()).mean()

    found = temperature(scores, labels)
    assert 0.02 < found < 50
    assert loss(found) <= min(loss(found * 1.1), loss(found / 1.1))


def test_scores_that_are_always_wrong_are_worth_nothing_and_change_no_answer():
    wrong = against_rest(torch.tensor([1, 0]), 2)
    assert temperature(wrong, torch.tensor([0, 1])) == pytest.approx(0.01, rel=0.01)


def test_a_source_of_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="the target has 3 and the source_2 4"):
        AdaptiveSVM(Leaky(), 3).meet({"source": 3, "source_2": 4})


def process(target: Sample, streams=None, **options):
    return solved(target, streams, cls=GaussianProcess, **options)


def dense(one: torch.Tensor, other: torch.Tensor, length: float, amplitude: float) -> torch.Tensor:
    """The kernel by its definition."""
    return amplitude * torch.exp(-(((one[:, None] - other) ** 2).sum(2)) / (2 * length**2))


def test_a_process_around_nothing_is_sklearns_with_the_same_kernel():
    train, test = sample(40, n=20), sample(41, n=30)
    head = process(train, mean="zero").head
    kernel = ConstantKernel(head.amplitude) * RBF(head.length)
    theirs = GaussianProcessRegressor(kernel, alpha=head.noise, optimizer=None)
    hot = torch.nn.functional.one_hot(train.labels, CLASSES).double() - 1 / CLASSES
    theirs.fit(train.inputs.double().numpy(), hot.numpy())
    means, deviations = theirs.predict(test.inputs.double().numpy(), return_std=True)
    found, variance = head.predictive(test.inputs)
    assert np.allclose(found.numpy() - 1 / CLASSES, means, atol=1e-7)
    assert np.allclose(variance.sqrt().numpy()[:, None], deviations.reshape(30, -1), atol=1e-5)


def test_its_mean_is_the_sources_model_plus_a_process_on_what_that_leaves():
    train, source, test = sample(42, n=9), sample(43, n=60), sample(44, n=30)
    head = process(train, {"source": source}).head
    hot = torch.nn.functional.one_hot(source.labels, CLASSES).double()
    fits = RidgeFits(source.inputs)
    weight, bias = fits.solution(hot, fits.best_penalty(hot))

    def says(x):
        return x.double() @ weight.T + bias

    x = train.inputs.double()
    left = torch.nn.functional.one_hot(train.labels, CLASSES).double() - says(x)
    inner = dense(x, x, head.length, head.amplitude) + head.noise * torch.eye(9).double()
    across = dense(test.inputs.double(), x, head.length, head.amplitude)
    expected = says(test.inputs) + across @ torch.linalg.solve(inner, left)
    found, variance = head.predictive(test.inputs)
    assert torch.allclose(found, expected, atol=1e-7)
    known = (across * torch.linalg.solve(inner, across.T).T).sum(1)
    assert torch.allclose(variance, head.amplitude - known, atol=1e-7)


def test_far_from_every_example_it_answers_as_the_source_and_doubts_most():
    train, source = sample(42, n=9), sample(43, n=60)
    regime = process(train, {"source": source})
    weight, bias = regime.mean_function({"source": source})
    far = sample(44, n=6).inputs.double() + 1e3
    found, variance = regime.head.predictive(far)
    assert torch.allclose(found, far @ weight.T + bias)
    assert torch.allclose(variance, torch.full((6,), regime.head.amplitude).double())


def test_without_the_sources_mean_it_is_the_plain_process():
    plain = solved(sample(42, n=9), cls=GaussianProcessProbe).head.state_dict()
    off = process(sample(42, n=9), {}, mean="zero").head.state_dict()
    assert all(torch.equal(off[key], plain[key]) for key in plain)


def test_length_amplitude_and_noise_have_the_greatest_marginal_likelihood():
    train = sample(45, n=15)
    x = train.inputs.double()
    left = torch.nn.functional.one_hot(train.labels, CLASSES).double() - 1 / CLASSES
    squares = ((x[:, None] - x) ** 2).sum(2)

    def likelihood(length, amplitude, noise):
        covariance = dense(x, x, length, amplitude) + noise * torch.eye(15).double()
        normal = torch.distributions.MultivariateNormal(torch.zeros(15).double(), covariance)
        return normal.log_prob(left.T).sum().item()

    length, amplitude, noise = most_likely(squares, left)
    best = likelihood(length, amplitude, noise)
    for factor in (0.9, 1.1):  # of both: their ratio is one of a few
        assert likelihood(length, factor * amplitude, factor * noise) < best
    median = squares[squares > 0].median().sqrt().item()
    for other in (0.5 * median, median, 2 * median, 4 * median):
        for ratio in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0):
            for size in (0.01, 0.05, 0.2, 1.0):
                assert likelihood(other, size, ratio * size) <= best + 1e-9


def test_a_classs_probability_is_the_chance_that_it_is_the_largest():
    means = torch.tensor([[0.2, 0.5, 0.4], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]).double()
    deviation = torch.tensor([0.3, 0.5, 2.0]).double()
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(400_000, 3, 3, generator=draws).double()
    winners = (means + deviation[:, None] * noise).argmax(2)
    chances = torch.stack([(winners == c).double().mean(0) for c in range(3)], 1)
    found = largest(means, deviation).exp()
    assert torch.allclose(found, chances, atol=0.004)
    assert torch.allclose(found.sum(1), torch.ones(3).double())
    two = largest(means[:, :2], deviation).exp()[:, 0]
    gap = (means[:, 0] - means[:, 1]) / (deviation * 2**0.5)
    assert torch.allclose(two, torch.special.ndtr(gap), atol=1e-6)


def test_the_log_loss_of_a_process_falls_with_a_source_of_the_same_classes():
    source, target, test = (
        sample(46, n=90),
        sample(47, n=6, spread=1.2),
        sample(48, n=600, spread=1.2),
    )

    def loss(**options):
        head = process(target, {"source": source}, **options).head
        return torch.nn.functional.cross_entropy(head(test.inputs), test.labels).item()

    assert loss(mean="zero") < np.log(CLASSES) + 0.05
    assert loss(mean="source") < loss(mean="zero") - 0.1


def test_a_process_refuses_a_source_of_other_classes_and_too_many_images():
    with pytest.raises(ValueError, match="4 classes apart and the target has 3"):
        GaussianProcess(Leaky(), 3).meet({"source": 4})
    many = Sample(np.zeros((4001, D), dtype=np.float32), np.arange(4001), torch.zeros(4001).long())
    with pytest.raises(ValueError, match="4001 images takes too long; use 4000"):
        process(many, mean="zero")


@pytest.mark.parametrize("name", ["ridge_probe", "gaussian_process_probe"])
def test_they_are_solved_without_validation_images(name):
    regime = RegimeCase(REGIMES.load(name)).build()
    result = fit_and_test(regime, drawn(val_fraction=0.0), Fit(epochs=1))
    assert result.curve.last["val_accuracy"] is None
    assert result.curve.last["train_accuracy"] > 0.9
