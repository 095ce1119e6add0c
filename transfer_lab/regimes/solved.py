"""Regimes that are solved: no steps, but one calculation on the output of frozen stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from transfer_lab.regimes.base import Phase, TransferModule


@dataclass(frozen=True)
class Sample:
    """Images as the frozen stages give them, with their labels (n,), -1 where they are hidden.

    `outputs`: of a whole part, of which these are the rows `index`; images where no stage is
    frozen.
    """

    outputs: np.ndarray
    index: np.ndarray
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.index)

    @property
    def inputs(self) -> torch.Tensor:
        """All of them at once, (n, ...)."""
        return torch.from_numpy(np.asarray(self.outputs[self.index]))

    def batches(self, size: int = 256) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and labels, some at a time, in order."""
        for start in range(0, len(self.index), size):
            place = slice(start, start + size)
            inputs = np.asarray(self.outputs[self.index[place]])
            yield torch.from_numpy(inputs), self.labels[place]


class SolvedModule(TransferModule):
    """A head, or whatever `solve` sets, that is calculated; all stages are frozen unless `phases`
    says otherwise, whose one phase tells from which stage on `solve` gets outputs."""

    def phases(self) -> tuple[Phase, ...]:
        every_stage = tuple(range(len(self.backbone.stages)))
        return (Phase(frozen=every_stage, lr=self.lr, backbone_lr=self.lr),)

    @abstractmethod
    def solve(self, target: Sample, validation: Sample, streams: Mapping[str, Sample]) -> None:
        """Set what is learnt, from the target's images and those of each stream by role.

        `validation` may choose among solutions where the docstring says so; it may be empty.
        """
