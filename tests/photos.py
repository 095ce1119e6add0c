"""A small folder of photographs, as people have them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.evidence.image_kinds import write_kinds

CLASSES = ("bay", "city", "wood")


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A smooth random image: survives JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def every_kind(folder: Path) -> list[Path]:
    """The same picture as every kind of image file, in the order of their names."""
    return write_kinds(folder, picture(7, (150, 110)), picture(8, (150, 110)))


def fill(root: Path, per_class: int = 10, classes: tuple[str, ...] = CLASSES) -> Path:
    """`<root>/<class>/<n>.jpg`."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            picture(1000 * number + index).save(root / name / f"{index}.jpg")
    return root


@cache
def photos(per_class: int = 10) -> str:
    """One such folder of each size for all tests that only read it."""
    root = Path(tempfile.mkdtemp(prefix="photos-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return str(fill(root, per_class))
