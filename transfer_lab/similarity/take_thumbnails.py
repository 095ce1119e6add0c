"""Depicted -> Thumbnails: a few images of a domain's test set are made small and kept."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from transfer_lab.data.base import ImageDomain
from transfer_lab.data.build import build_domain
from transfer_lab.similarity.thumbnails import Depicted, Sample, Thumbnails, thumbnail_store
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore

_CLASSES, _SIDE = 6, 64
"""Of so many classes at most an image is kept, of so many pixels a side at most."""


def take(depicted: Depicted, store: RecordStore) -> Thumbnails:
    """Make and store a domain's thumbnails; raises DataUnavailable and the like."""
    domain = build_domain(depicted.domain, depicted.image_size)
    domain.cache = store.root / IMAGES
    images, _, array = domain.source_of("test")
    found = Thumbnails(
        of=depicted.id,
        classes=domain.classes,
        samples=_samples(domain, images) if domain.has_pixels else (),
        array=array,
        count=len(images),
    )
    thumbnail_store(store).put(found)
    return found


def _samples(domain: ImageDomain, images: np.ndarray) -> tuple[Sample, ...]:
    """The first image of each of the chosen classes, of those that the test set has."""
    present, first = np.unique(domain.labels("test"), return_index=True)
    places = np.linspace(0, len(present) - 1, min(_CLASSES, len(present))).round().astype(int)
    return tuple(Sample(int(present[at]), _png(images[first[at]])) for at in places)


def _png(image: np.ndarray) -> bytes:
    """A (3, s, s) image as a file, as base64."""
    import base64

    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    picture.save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue())
