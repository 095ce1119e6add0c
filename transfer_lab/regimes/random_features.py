"""Control: a linear head on frozen random features."""

from __future__ import annotations

from transfer_lab.regimes.linear_probe import LinearProbe


class RandomFeatures(LinearProbe):
    """A linear probe whose backbone was never trained: what the architecture alone gives."""

    @property
    def transferred(self) -> int:
        return 0
