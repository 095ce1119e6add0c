"""Fine-tuning that makes the covariances of source and target features alike."""

from __future__ import annotations

import torch

from transfer_lab.regimes.features.alignment import AlignedTraining


class DeepCoral(AlignedTraining):
    """`joint_training` plus penalty |C_S - C_T|^2 / t^2, C being the covariances of a batch of
    source features and of one of unlabelled target features, |.| Frobenius' norm and t the mean of
    their traces (after Deep CORAL, Sun and Saenko 2016, eq. 1, which divides by 4 d^2, d being the
    number of features).

    The paper's form falls with the fourth power of the features' scale: once its weight is large
    enough to move anything, it is made smallest by features that shrink to a point, and one and
    the same answer. Divided by the trace it has no part in their scale.

    Options: `penalty`, 0 to switch it off; `weight`, `k`, `backbone_lr`: as `joint_training` has
    them.
    """

    def alignment(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.penalty * coral_distance(source, target)


def coral_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """|C_S - C_T|^2 over the square of their mean trace, of features (n, d) and (m, d); 0 where a
    batch has but one example."""
    if min(len(source), len(target)) < 2:
        return source.sum() * 0
    own, other = torch.cov(source.float().T), torch.cov(target.float().T)
    trace = (own.trace() + other.trace()) / 2
    return (own - other).square().sum() / (trace.square() + torch.finfo(trace.dtype).tiny)
