"""Bags of words: what the words alone give, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transfer_lab.backbones.tokens import VOCABULARY_SIZE, TokenBackbone, tokens

_FIRST_WORD = 1996
"""The id of "the"; before it come marks, digits and single letters, and behind it word pieces from
the most to the least frequent."""


class TfIdf(TokenBackbone):
    """tf-idf of word pieces: 1 + log of a piece's count in the text, times the log of its rank.

    Reads text domains. How rare a piece is, is not learnt from the texts: by Zipf's law it is its
    rank in the vocabulary. Marks, digits and single letters count nothing. The pieces are hashed
    into `features`, and the vector is scaled to a length of sqrt(features).
    It needs no source: `pretrained: none`, where `random_features` is a linear head on these fixed
    features, and `from_scratch` learns the weights of the pieces, too.

    Options: `features`: number of them; pieces that share one add up.
    """

    def __init__(self, image_size: int, *, features: int = 8192):
        if features < 1:
            raise ValueError("features must be at least 1")
        super().__init__([_Weighted(features)], num_features=features)

    def initialise(self) -> None:
        """The log of each piece's rank; nothing is drawn."""
        rank = torch.arange(VOCABULARY_SIZE, dtype=torch.float32) - _FIRST_WORD + 2
        with torch.no_grad():
            self.stages[0].weight.copy_(rank.clamp(min=1).log())


class _Weighted(nn.Module):
    """Weighted, hashed counts, (n, features), from prepared images."""

    def __init__(self, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(VOCABULARY_SIZE))
        self.features = features

    def forward(self, prepared: Tensor) -> Tensor:
        ids, kept = tokens(prepared)
        counts = prepared.new_zeros(len(ids), VOCABULARY_SIZE, dtype=torch.float32)
        counts = counts.scatter_add(1, ids, kept.float())
        weighted = torch.where(counts > 0, 1 + counts.clamp(min=1).log(), 0) * self.weight.float()
        hashed = torch.arange(VOCABULARY_SIZE, device=ids.device) * 40503 % 65537 % self.features
        summed = weighted.new_zeros(len(ids), self.features).index_add(1, hashed, weighted)
        return F.normalize(summed) * self.features**0.5

    def extra_repr(self) -> str:
        return f"features={self.features}"
