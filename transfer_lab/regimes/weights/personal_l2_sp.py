"""Adapt the source's model to one user, head and all, and hold it near where it started."""

from __future__ import annotations

import torch

from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.weights.l2_sp import L2SP


class PersonalL2SP(L2SP):
    """L2-SP where source and target have the same classes, as with the users of a common model: the
    head starts from the source's, too, and is held near it with the stages,
    alpha / p times the sum of |w - w0|^p over all weights (after Li et al. 2018, eq. 2, whose head
    is new).

    Options: those of `l2_sp`; with `alpha` 0 the common model is fine-tuned freely.
    """

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for `l2_sp`; where the head starts is kept, too."""
        super().begin(phase, entry=entry, steps=steps)
        for name, weight in self.head.named_parameters():
            self.register_buffer(f"start_head_{name}", weight.detach().clone(), persistent=False)

    def moved(self) -> torch.Tensor:
        """The sum of |w - w0|^p over all weights of stages and head; a scalar."""
        return super().moved() + sum(
            (weight - self.get_buffer(f"start_head_{name}")).abs().pow(self.p).sum()
            for name, weight in self.head.named_parameters()
        )
