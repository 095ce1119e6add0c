"""Small images as files: one by one for the page, on one sheet for Markdown; and a matrix."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Thumbnail

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SIDE = 64
"""Pixels a side at most: nothing larger of a user's photographs leaves the store."""
_CELL, _GAP = 72, 6
"""Pixels of a sheet: what an image takes, and what lies between two."""
_RIGHT, _WRONG = (17, 99, 41), (164, 14, 38)


def thumbnail(image: np.ndarray, caption: str, alt: str) -> Thumbnail:
    """Of a (3, s, s) uint8 image."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, format="webp", quality=80, method=6)
    return Thumbnail(file.getvalue(), max(picture.size), caption, alt)


def sheet(rows: Sequence[Sequence[Thumbnail]]) -> bytes:
    """All of them as one PNG file, a row each, every image as large as the others."""
    from PIL import Image

    columns = max(map(len, rows))
    size = (columns * (_CELL + _GAP) - _GAP, len(rows) * (_CELL + _GAP) - _GAP)
    made = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, one in enumerate(row):
            made.paste(_enlarged(one), (x * (_CELL + _GAP), y * (_CELL + _GAP)))
    return _png(made)


def matrix(counts: np.ndarray) -> bytes:
    """Of (true class, answer) counts, one pixel a cell: green where it is right, red elsewhere, the
    more opaque the larger its share of the class; its root, so that rare mistakes are seen."""
    import numpy as np
    from PIL import Image

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = np.empty((*counts.shape, 4), np.uint8)
    cells[..., :3] = np.where(np.eye(len(counts), dtype=bool)[..., None], _RIGHT, _WRONG)
    cells[..., 3] = np.round(255 * np.sqrt(shares))
    return _png(Image.fromarray(cells))


def _enlarged(one: Thumbnail) -> Image:
    from PIL import Image

    picture = Image.open(io.BytesIO(one.file)).convert("RGB")
    return picture.resize((_CELL, _CELL), Image.Resampling.NEAREST)


def _png(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="png", optimize=True)
    return file.getvalue()
