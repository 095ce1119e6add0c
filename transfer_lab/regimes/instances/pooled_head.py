"""A linear head that is solved on frozen features of source and target together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import check_positive
from transfer_lab.regimes.logistic import fit_logistic
from transfer_lab.regimes.solved import Sample, SolvedModule


@dataclass(frozen=True)
class Examples:
    """Labelled examples by their frozen features (n, features), and what each counts (n)."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, sample: Sample) -> Examples:
        """Those of a sample whose labels are known, each counting 1."""
        labels = sample.labels.numpy()
        known = labels >= 0
        count = int(known.sum())
        return cls(features_of(sample)[known], labels[known], np.ones(count))


def features_of(sample: Sample) -> np.ndarray:
    """The frozen features of all of a sample's images (n, features), in double precision."""
    return sample.inputs.flatten(1).double().numpy()


class PooledHead(SolvedModule):
    """Logistic regression on the frozen features of the labelled images of source and target:
    the smallest weight L_source + (1 - weight) L_target + l2 / 2 |W|^2, L being mean
    cross-entropies and W of centred features in units of their spread. Where the target has no
    labels it is the source's loss alone: what methods on frozen features are measured against.

    Options: `weight`: the source's part where the target has labels; `l2`: the penalty.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 0.5,
        l2: float = 0.1,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight must lie between 0 and 1, but is {weight}")
        check_positive(l2=l2)
        self.weight, self.l2 = weight, l2

    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        source = self.source_examples(Examples.of(streams["source"]), streams)
        self.learn(source, Examples.of(target))

    def source_examples(self, source: Examples, streams: Mapping[str, Sample]) -> Examples:
        """The source's examples as they are to be learnt from."""
        return source

    def learn(self, source: Examples, target: Examples) -> None:
        """Set the head."""
        both = self.pooled(source, target)
        self.set_head(
            *fit_logistic(both.features, both.labels, both.weights, self.classes, self.l2)
        )

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.head.out_features

    def pooled(self, source: Examples, target: Examples) -> Examples:
        """Both, weighted so that the source's part in the sum is `weight`."""
        part = self.weight if len(target) else 1.0
        return Examples(
            np.concatenate([source.features, target.features]),
            np.concatenate([source.labels, target.labels]),
            np.concatenate(
                [_adding_up_to(part, source.weights), _adding_up_to(1 - part, target.weights)]
            ),
        )

    def set_head(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Take over weight (classes, features) and bias (classes)."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.copy_(torch.from_numpy(bias))


def _adding_up_to(total: float, weights: np.ndarray) -> np.ndarray:
    """`weights` in the same proportion; their sum is as said, where there are any."""
    return weights * (total / math.fsum(weights)) if len(weights) else weights
