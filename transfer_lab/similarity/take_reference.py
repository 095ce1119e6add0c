"""Photographs -> reference.npz: `python -m transfer_lab.similarity.take_reference FOLDER...`.

What is shipped was taken from three sets, as many of each and of each of their classes: the
photographs of PACS (Li et al. 2017), the flower photos of TensorFlow's tutorials (by many
photographers, CC BY 2.0), and the training images of 15-Scene (Lazebnik et al. 2006). Means and
covariances of features are kept, and nothing from which an image could be made again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.backbones.weights import load_published
from transfer_lab.experiment.choices import Architecture, Weights
from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.similarity import reference as shipped
from transfer_lab.similarity.ladders import noise_images
from transfer_lab.similarity.reference import Reference, mean_of, unlikeness, views_of
from transfer_lab.system.decode import decode_file
from transfer_lab.system.files import write_atomically
from transfer_lab.system.image_folder import IMAGES

PER_SET = 480
"""Photographs of each folder; every third is kept to say how unlike photographs are."""
_NOISE = 120


def take(folders: Sequence[Path], per_set: int = PER_SET) -> dict[str, Reference]:
    """The statistics for every network of timm whose weights a package holds, by their SHA-256."""
    chosen = [path for folder in folders for path in _spread(folder, per_set)]
    found = {}
    for name, held in PACKAGED.items():
        family, _, member = name.partition(":")
        if family == "timm":
            found[held.sha256] = _taken(member, held.sha256, chosen)
    return found


def write(found: dict[str, Reference], file: Path = shipped.FILE) -> None:
    """As one file, which holds nothing of the time it was made at."""
    arrays = {
        f"{sha256[:16]}/{name}": array
        for sha256, reference in found.items()
        for name, array in shipped.stored(reference).items()
    }
    write_atomically(file, lambda handle: np.savez_compressed(handle, **arrays))


def _spread(folder: Path, count: int) -> list[Path]:
    """So many files, as many of each class folder as of the others, in an order that mixes them."""
    classes = [sorted(place.iterdir()) for place in sorted(folder.iterdir()) if place.is_dir()]
    rng = np.random.default_rng(0)
    mixed = [[files[n] for n in rng.permutation(len(files))] for files in classes]
    images = [[file for file in files if file.suffix.lower() in IMAGES.suffixes] for files in mixed]
    each = -(-count // len(images))
    by_turns = [files[turn] for turn in range(each) for files in images if turn < len(files)]
    return by_turns[:count]


def _taken(member: str, sha256: str, photographs: Sequence[Path]) -> Reference:
    backbone = build_backbone(Architecture(kind="timm", options={"name": member}), 224)
    weights = Weights(origin="package", sha256=sha256)
    load_published(backbone, range(len(backbone.stages)), weights)
    size = backbone.native_size
    prefix = FrozenPrefix(backbone.eval(), len(backbone.stages), torch.device("cpu"))
    step = prefix.batch_size(size)

    def features(images: Sequence[np.ndarray]) -> np.ndarray:
        batches = [np.stack(images[at : at + step]) for at in range(0, len(images), step)]
        return np.concatenate([prefix(torch.as_tensor(batch)).numpy() for batch in batches])

    seen = np.concatenate(
        [
            features([decode_file(path, size) for path in photographs[at : at + step]])
            for at in range(0, len(photographs), step)
        ]
    )
    kept = np.arange(len(seen)) % 3 == 2
    views = views_of(seen[~kept])
    known = mean_of(unlikeness(views, seen[kept]))
    far = mean_of(unlikeness(views, features(list(noise_images(_NOISE, size)))))
    return Reference(size, seen.shape[1], views, known, far)


if __name__ == "__main__":
    write(take([Path(folder) for folder in sys.argv[1:]]))
