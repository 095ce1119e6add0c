"""Images for the report, as far as the store holds them: samples of domains, and test images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.similarity.thumbnails import Thumbnails
from transfer_lab.system import sealed_array

if TYPE_CHECKING:
    import numpy as np


class Gallery:
    """What domains look like, by their names in the experiment; what is missing or damaged is not
    shown, and never an error. Images are (3, s, s) uint8."""

    def __init__(self, domains: Mapping[str, Thumbnails] | None = None, folder: Path | None = None):
        """`folder`: where the stored test sets lie."""
        self._domains, self._folder = domains or {}, folder
        self._arrays: dict[str, np.ndarray | None] = {}

    def samples(self, domain: str) -> Iterator[tuple[str, np.ndarray]]:
        """A few images, each with the name of its class."""
        import numpy as np
        from PIL import Image

        found = self._domains.get(domain)
        for sample in found.samples if found else ():
            picture = Image.open(io.BytesIO(sample.png)).convert("RGB")
            yield found.classes[sample.label], np.asarray(picture).transpose(2, 0, 1)

    def tests(self, domain: str) -> np.ndarray | None:
        """The images of the test set in the order of its labels, mapped."""
        if domain not in self._arrays:
            self._arrays[domain] = self._read(domain)
        return self._arrays[domain]

    def _read(self, domain: str) -> np.ndarray | None:
        import numpy as np

        found = self._domains.get(domain)
        if found is None or not found.samples or self._folder is None:
            return None
        stored = sealed_array.find(self._folder, found.array)
        images = stored.array if stored else sealed_array.older(self._folder, found.array)
        if images is None:
            return None
        is_whole = images.dtype == np.uint8 and images.ndim == 4 and images.shape[1] == 3
        return images if is_whole and len(images) == found.count else None
