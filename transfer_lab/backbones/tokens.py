"""The ids of tokens that the images of a text domain hold."""

from __future__ import annotations

import torch
from torch import Tensor

from transfer_lab.backbones.base import Backbone

VOCABULARY_SIZE = 30522
"""Of BERT's uncased WordPieces."""
UNKNOWN = 100
"""The id of [UNK]."""


class TokenBackbone(Backbone):
    """A backbone of texts: its images hold ids, and it takes their bytes as they are."""

    mean = (0.0, 0.0, 0.0)
    std = (1 / 255, 1 / 255, 1 / 255)
    sees_pixels = False


def tokens(prepared: Tensor, longest: int | None = None) -> tuple[Tensor, Tensor]:
    """Ids (n, tokens), int64, and whether there is a token (n, tokens), of prepared images.

    The first channel is the high byte, the second the low byte, the third 0 where there is none.
    What is no id, as in an image of something else, is unknown.
    """
    high, low, kept = prepared.float().flatten(2)[:, :, :longest].round().long().unbind(1)
    ids = 256 * high + low
    return torch.where(ids < VOCABULARY_SIZE, ids, UNKNOWN), kept > 0
