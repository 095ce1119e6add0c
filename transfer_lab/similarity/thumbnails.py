"""What the images of a domain look like: a few of them, small, and where its test set lies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from pydantic import Base64Bytes, ConfigDict, field_serializer

from transfer_lab.experiment.choices import Choice, Spec
from transfer_lab.experiment.spec import Experiment
from transfer_lab.similarity.pairs import identity
from transfer_lab.store.layout import THUMBNAILS
from transfer_lab.store.records import RecordStore
from transfer_lab.store.sealed import Sealed, SealedStore

VERSION = 1
"""Raised whenever a change of code changes what is kept."""


class Depicted(Spec):
    """A domain at one size: all that determines its images."""

    domain: Choice
    image_size: int

    @cached_property
    def id(self) -> str:
        """Hash of the content, as for a run."""
        return identity(self, VERSION)


class Sample(NamedTuple):
    """One image, as a PNG file, and its class."""

    label: int
    png: Base64Bytes


class Thumbnails(Sealed):
    """Samples of a domain's test set, one each of a few classes spread over all of them; none where
    its images hold no pixels. `array` is what the decoded test set is called among the stored
    images, of `count` images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    array: str
    count: int

    @field_serializer("samples", when_used="json")
    def _as_text(self, samples: tuple[Sample, ...]) -> list[tuple[int, str]]:
        """Bytes within a named tuple, which older releases of pydantic do not encode."""
        return [(label, base64.b64encode(png).decode()) for label, png in samples]


def depicted(experiment: Experiment) -> Mapping[str, Depicted]:
    """Every domain that a scenario learns from or aims at, by its name in the experiment."""
    size, domains = experiment.image_size, experiment.domains
    names = dict.fromkeys(
        name
        for place in experiment.scenarios.values()
        for name in (place.target, *place.learnt, *place.sources)
    )
    return {name: Depicted(domain=domains[name], image_size=size) for name in names}


def thumbnail_store(store: RecordStore) -> SealedStore[Thumbnails]:
    """What is stored of thumbnails."""
    return SealedStore(store, THUMBNAILS, Thumbnails, "made again")


def thumbnails(experiment: Experiment, store: RecordStore) -> dict[str, Thumbnails]:
    """What is stored, by the domain's name in the experiment."""
    stored = thumbnail_store(store)
    found = {name: stored.get(domain.id) for name, domain in depicted(experiment).items()}
    return {name: known for name, known in found.items() if known is not None}
