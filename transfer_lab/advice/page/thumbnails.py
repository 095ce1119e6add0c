"""Small pictures of photographs, as the network sees them: the middle square. No torch."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from transfer_lab.system.decode import BrokenImageError, decode_file, on_all_cores

SIDE = 80
_QUALITY = 60


def thumbnails(root: Path, paths: Sequence[str]) -> Mapping[str, str]:
    """Path below the root -> a WebP in base64; a file that cannot be read has none."""
    found = zip(paths, on_all_cores(_small, [root / path for path in paths]), strict=True)
    return {path: small for path, small in found if small}


def _small(path: Path) -> str | None:
    try:
        pixels = decode_file(path, SIDE)
    except BrokenImageError:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, "webp", quality=_QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode()
