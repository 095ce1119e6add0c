"""Train the same architecture from random weights."""

from __future__ import annotations

from transfer_lab.regimes.base import Phase, TransferModule


class FromScratch(TransferModule):
    """Every stage starts at random and learns. Pretraining is this regime on the source domain."""

    @property
    def transferred(self) -> int:
        return 0

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(frozen=(), lr=self.lr, backbone_lr=self.lr),)
