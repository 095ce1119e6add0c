"""Fine-tuning that makes the distributions of source and target features alike."""

from __future__ import annotations

import torch

from transfer_lab.regimes.features.alignment import AlignedTraining

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels, in units of the mean squared distance between two examples."""


class MMD(AlignedTraining):
    """`joint_training` plus penalty MMD^2, the squared maximum mean discrepancy of a batch of
    source features and one of unlabelled target features:
    mean k(s, s') + mean k(t, t') - 2 mean k(s, t) over all pairs, an example with itself among
    them (the biased estimate: never below 0, and 0 for a batch and itself)
    (DAN, Long et al. 2015, eq. 1, on the features before the head alone). The kernel k is the mean
    of five Gaussians; their widths go with the mean squared distance of the batch, and gradients
    go through it, so that features are not rewarded for shrinking.

    Options: `penalty`, 0 to switch it off; `weight`, `k`, `backbone_lr`: as `joint_training` has
    them.
    """

    def alignment(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.penalty * squared_mmd(source, target)


def squared_mmd(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """MMD^2 of features (n, d) and (m, d) under five Gaussian kernels."""
    both, count = torch.cat([source, target]).float(), len(source)
    norms = both.square().sum(1)
    squared = (norms[:, None] + norms - 2 * both @ both.T).clamp_min(0)
    unit = squared.mean() + torch.finfo(squared.dtype).tiny
    kernel = torch.stack([torch.exp(-squared / (width * unit)) for width in _WIDTHS]).mean(0)
    within = kernel[:count, :count].mean() + kernel[count:, count:].mean()
    return within - 2 * kernel[:count, count:].mean()
