"""Support vector machines that are held near those of sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.ridge import RidgeFits
from transfer_lab.regimes.ridge_probe import RidgeProbe, against_rest
from transfer_lab.regimes.solved import Sample

Prior = Literal["none", "single", "equal", "learned"]
_STEPS = 200


class AdaptiveSVM(RidgeProbe):
    """Least-squares machines near those of the same class in each source k:
    |w - sum_k b_k w_k|^2 / 2 + C/2 sum (y - w x - c)^2 (Yang, Yan & Hauptmann 2007), with b from
    the errors at examples left out (Tommasi, Orabona & Caputo 2010, eq. 8-11). The bias c is free.

    A source's machines are least-squares ones as well, on its own images through the same frozen
    stages, whose penalty is that of the least squared error at its examples left out. Log loss is
    as `ridge_probe` has it, with b as if it had been known.

    Options: `prior`: `none` switches it off; `single` is the one source of the least error at
    examples left out, with b = 1; `equal` the mean of all sources; `learned` the b with |b| <= 1,
    for each class, of the least hinge loss at examples left out, where the class's examples weigh
    as much as the rest. `ridge`: as `ridge_probe` has it.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        prior: Prior = "learned",
        ridge: float = 0.1,
    ):
        super().__init__(backbone, num_classes, ridge=ridge)
        self.kind = prior

    def meet(self, classes: Mapping[str, int]) -> None:
        """Raises ValueError where a source has not as many classes as the target."""
        for role, count in classes.items():
            if count != self.num_classes:
                raise ValueError(
                    f"adaptive_svm holds each class near the same one of every source, but the "
                    f"target has {self.num_classes} and the {role} {count}"
                )

    def prior(
        self, fits: RidgeFits, features: Tensor, signs: Tensor, streams: Mapping[str, Sample]
    ) -> Tensor:
        if self.kind == "none":
            return super().prior(fits, features, signs, streams)
        machines = torch.stack([self._machines(stream) for stream in streams.values()])
        if self.kind == "equal":
            return machines.mean(0)
        errors = LeftOut.of(fits, features, signs, machines, self.ridge)
        shares = errors.best_one() if self.kind == "single" else errors.best_shares()
        return torch.einsum("kc,kcd->cd", shares, machines)

    def _machines(self, source: Sample) -> Tensor:
        """Weights (classes, features) of a source's own machines."""
        fits, signs = RidgeFits(source.inputs), against_rest(source.labels, self.num_classes)
        return fits.solution(signs, fits.best_penalty(signs))[0]


class LeftOut:
    """Hinge losses at examples left out, as a function of the sources' shares b (sources, classes).

    Those errors are linear in b: e - sum_k b_k s_k, `plain` e (n, classes) without any source and
    `moves` s (sources, n, classes); `signs` (n, classes) are the targets.
    """

    def __init__(self, plain: Tensor, moves: Tensor, signs: Tensor):
        self.plain, self.moves, self.signs = plain, moves, signs
        positive = (signs > 0).double()
        self._weights = positive / (2 * positive.sum(0)) + (1 - positive) / (
            2 * (1 - positive).sum(0)
        )

    @classmethod
    def of(
        cls, fits: RidgeFits, features: Tensor, signs: Tensor, machines: Tensor, ridge: float
    ) -> LeftOut:
        """Of machines (sources, classes, features) at the target's examples."""
        scores = torch.einsum("nd,kcd->nkc", features, machines)
        moves = fits.left_out(scores, ridge).transpose(0, 1)
        return cls(fits.left_out(signs, ridge), moves, signs)

    def loss(self, shares: Tensor) -> Tensor:
        """For each class, the mean over its examples and over the rest, each half, (classes)."""
        return (self._weights * self._short(shares).clamp_min(0)).sum(0)

    def best_one(self) -> Tensor:
        """1 for the source of the least loss and 0 for the others, for each class."""
        alone = torch.eye(len(self.moves), dtype=self.plain.dtype)[:, :, None]
        losses = torch.stack([self.loss(shares) for shares in alone])
        best = losses.argmin(0)
        return alone[:, :, 0][:, best]

    def best_shares(self) -> Tensor:
        """Of the least loss with |b| <= 1 for each class, by projected subgradients from b = 0."""
        shares = best = self.plain.new_zeros(len(self.moves), self.plain.shape[1])
        least = self.loss(best)
        for step in range(1, _STEPS + 1):
            active = self._weights * self.signs * (self._short(shares) > 0)
            slope = -torch.einsum("nc,knc->kc", active, self.moves)
            length = slope.norm(dim=0).clamp_min(1e-12)
            shares = shares - slope / length / step**0.5
            shares = shares / shares.norm(dim=0).clamp_min(1)
            found = self.loss(shares)
            best = torch.where(found < least, shares, best)
            least = torch.minimum(found, least)
        return best

    def _short(self, shares: Tensor) -> Tensor:
        """1 - y f: what the score at an example left out is short of the margin."""
        return self.signs * (self.plain - torch.einsum("kc,knc->nc", shares, self.moves))
