"""A folder of JPEG files to measure on: rendered textures, as large as photographs are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfer_lab.data.textures import Textures
from transfer_lab.experiment.choices import Choice

SIDE = 256


def write_photos(root: Path, *, classes: int, train: int, test: int, side: int = SIDE) -> Choice:
    """`root/{train,test}/<class>/*.jpg`, so many images of each class; the domain that reads it."""
    textures = Textures(side)
    for part, count in (("train", train), ("test", test)):
        for label in range(classes):
            folder = root / part / textures.classes[label]
            folder.mkdir(parents=True)
            for number in range(count):
                rng = np.random.default_rng([part == "test", label, number])
                (image,) = textures.render(np.array([label]), [rng])
                Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.jpg")
    return Choice(kind="folder", root=str(root))
