"""Measures as means over images: equal to the measure, with its error over images."""

from __future__ import annotations

import numpy as np
import pytest
from torch import from_numpy
from torch.nn.functional import one_hot

from transfer_lab.stats.influence import balanced, macro_f1
from transfer_lab.training.metrics import test_metrics as measured


def answers(chance: np.random.Generator, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Labels of four classes, the first as frequent as the others together, and answers that
    confuse some more than others; class 4 is answered and never right, class 5 does not occur."""
    labels = chance.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    confused = chance.choice([0, 1, 4], n, p=[0.6, 0.35, 0.05])
    right = chance.random(n) < np.array([0.9, 0.7, 0.5, 0.3])[labels]
    return labels, np.where(right, labels, confused)


MEASURES = {
    "test_balanced_accuracy": lambda labels, predicted: balanced(predicted, labels),
    "test_macro_f1": lambda labels, predicted: macro_f1(predicted, labels),
}


@pytest.mark.parametrize("name", MEASURES)
def test_the_mean_over_images_is_what_the_record_holds(name):
    labels, predicted = answers(np.random.default_rng(0))
    logits = one_hot(from_numpy(predicted), 6).float()
    values = MEASURES[name](labels, predicted)
    assert values.mean() == pytest.approx(measured(logits, from_numpy(labels))[name], abs=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_the_spread_over_images_gives_the_error_that_a_bootstrap_finds(name):
    """Images drawn anew within their classes: statements are for the same mix of classes."""
    chance = np.random.default_rng(1)
    labels, predicted = answers(chance)
    of = [np.flatnonzero(labels == label) for label in range(4)]
    values = MEASURES[name](labels, predicted)
    told = np.sqrt(sum(len(m) * values[m].var(ddof=1) for m in of)) / len(labels)
    drawn = []
    for _ in range(2000):
        again = np.concatenate([chance.choice(members, len(members)) for members in of])
        drawn.append(MEASURES[name](labels[again], predicted[again]).mean())
    assert told == pytest.approx(np.std(drawn), rel=0.08)


def test_with_equally_frequent_classes_balanced_accuracy_is_accuracy():
    labels = np.arange(40) % 4
    right = np.random.default_rng(0).random(40) < 0.6
    found = balanced(np.where(right, labels, (labels + 1) % 4), labels)
    assert found == pytest.approx(right.astype(float))
