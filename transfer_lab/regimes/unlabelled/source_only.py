"""Answer the target's images with the source's model as it is."""

from __future__ import annotations

from collections.abc import Mapping

from transfer_lab.regimes.solved import Sample, SolvedModule


class SourceOnly(SolvedModule):
    """The source's stages and head, unchanged: what a method for targets without labels must be
    ahead of. It learns nothing."""

    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Nothing is to be solved."""
