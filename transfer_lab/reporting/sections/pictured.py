"""What the domains look like, for readers who do not know them."""

from __future__ import annotations

from transfer_lab.reporting.blocks import Shelf, Thumbnail, Thumbnails
from transfer_lab.reporting.figures.thumbnails import thumbnail
from transfer_lab.reporting.study import Study

_MOST = 8
"""At most so many domains are shown."""


def pictured(study: Study) -> Thumbnails | None:
    """A few images of every target, and of every source beside it; none where none are stored."""
    shelves = tuple(
        Shelf(title, images)
        for name, title in _titles(study).items()
        if (images := _images(study, name))
    )
    caption = "One image each of a few classes, as the networks see them."
    return Thumbnails("domains.png", caption, shelves[:_MOST]) if shelves else None


def _titles(study: Study) -> dict[str, str]:
    """What each domain is, the targets first, then similar sources, dissimilar ones, and those
    between."""
    places = study.experiment.scenarios.values()
    titles = {place.target: f"Target: {place.target}" for place in places}
    for word in ("similar", "dissimilar"):
        for place in places:
            if place.similarity == word:
                for name in (*place.learnt[:1], *place.sources):
                    titles.setdefault(name, f"{word.capitalize()} source: {name}")
    for place in places:
        for name in place.via:
            titles.setdefault(name, f"Between: {name}")
    return titles


def _images(study: Study, name: str) -> tuple[Thumbnail, ...]:
    return tuple(
        thumbnail(image, label, f"{label}, an image of {name}")
        for label, image in study.gallery.samples(name)
    )
