"""Boosting that trusts the source's examples less, the more often they are answered wrongly."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.instances.pooled_head import Examples, PooledHead
from transfer_lab.regimes.logistic import fit_logistic


class TrAdaBoost(PooledHead):
    """Boosting on source and target together (TrAdaBoost, Dai et al. 2007, algorithm 1). Each
    round fits `pooled_head`'s logistic regression to the weighted examples. Of those it answers
    wrongly, the source's lose weight, times 1 / (1 + sqrt(2 ln n / rounds)) with n source examples,
    and the target's gain, times (1 - e) / e (K - 1), e being the share of the target's weight that
    is wrong. Of the rounds with a vote the second half votes, each with ln of that factor. K - 1 is
    that of AdaBoost for K classes (SAMME, Zhu et al. 2009); for two it is the paper's. Where
    nothing of the target is wrong e counts as half an example; a round that is no better than
    chance on the target has no vote and moves the source's weights alone. The paper's initial
    weights are free: here the source's part is `weight`. The logits are logs of the shares of
    votes.

    Options: `rounds`, 0 to switch it off; `weight`, `l2`: as `pooled_head` has them.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, rounds: int = 10, **options: Any):
        super().__init__(backbone, num_classes, **options)
        if rounds < 0:
            raise ValueError(f"rounds must be 0 or more, but is {rounds}")
        self.rounds = rounds
        if rounds:
            self.head = VotingHead(rounds, backbone.num_features, num_classes)

    def learn(self, source: Examples, target: Examples) -> None:
        if not self.rounds:
            super().learn(source, target)
            return
        boosted = boost(
            self.pooled(source, target), len(source), self.classes, self.rounds, self.l2
        )
        voting = [each for each in boosted if each.vote] or [boosted[-1]._replace(vote=1.0)]
        self.head.take(voting[len(voting) // 2 :])


class Round(NamedTuple):
    """A round of boosting: weight (classes, features) and bias (classes) of its classifier, the
    weights of all examples it learnt from, which add up to 1, and its vote."""

    weight: np.ndarray
    bias: np.ndarray
    weights: np.ndarray
    vote: float


def boost(both: Examples, n_source: int, classes: int, rounds: int, l2: float) -> list[Round]:
    """The rounds of TrAdaBoost, of examples whose first `n_source` are the source's; of AdaBoost
    where that is none."""
    is_source = np.arange(len(both)) < n_source
    fall = -math.log1p(math.sqrt(2 * math.log(max(1, n_source)) / rounds))
    least = 0.5 / max(1, len(both) - n_source)
    weights, done = both.weights / both.weights.sum(), []
    start = None
    for _ in range(rounds):
        weight, bias = fit_logistic(both.features, both.labels, weights, classes, l2, start)
        start = weight, bias
        wrong = (both.features @ weight.T + bias).argmax(1) != both.labels
        on_target = weights[~is_source]
        error = float(on_target[wrong[~is_source]].sum() / on_target.sum())
        error = min(max(least, error), 1 - 1e-9)
        vote = max(0.0, math.log((1 - error) / error) + math.log(classes - 1))
        done.append(Round(weight, bias, weights, vote))
        weights = weights * np.exp(wrong * np.where(is_source, fall, vote))
        weights = weights / weights.sum()
    return done


class VotingHead(nn.Module):
    """Up to so many linear classifiers and their votes. Logits are logs of each class's share of
    votes; every class has one part more in as many as there are classes of an average vote, so
    that none is without. Before any has a vote all classes are alike."""

    def __init__(self, rounds: int, in_features: int, out_features: int):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        shapes = {"weight": (rounds, out_features, in_features), "bias": (rounds, out_features)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape), requires_grad=False))
        self.votes = nn.Parameter(torch.zeros(rounds), requires_grad=False)

    def take(self, rounds: list[Round]) -> None:
        """Let these vote, and no others."""
        self.votes.zero_()
        for place, each in enumerate(rounds):
            self.weight[place] = torch.from_numpy(each.weight)
            self.bias[place] = torch.from_numpy(each.bias)
            self.votes[place] = each.vote

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of features (batch, in_features)."""
        scores = torch.einsum("nd,rkd->nrk", features, self.weight) + self.bias
        chosen = nn.functional.one_hot(scores.argmax(2), self.out_features)
        shares = (chosen * self.votes[:, None]).sum(1)
        voters = (self.votes > 0).sum().clamp_min(1)
        extra = (self.votes.sum() / voters).clamp_min(torch.finfo(shares.dtype).tiny)
        return torch.log((shares + extra / self.out_features) / (self.votes.sum() + extra))
