"""What a domain that goes by name holds: its images are made at a small size and compared."""

from __future__ import annotations

from collections import Counter
from functools import cache
from inspect import signature
from itertools import chain
from typing import get_args

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.data.folder import Folder
from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.experiment.options import option_problems
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.system.pixel_hash import hashes, held

COMPARED_AT = 32
"""Images are taken for copies when they are equal, byte for byte, at this size."""

_PARTS: tuple[Part, ...] = get_args(Part)

_WORDS: dict[Part, str] = {"train": "training", "test": "test"}

Contents = dict[Part, list[bytes]]


@cache
def named_domain(name: str, *, download: bool = False, **options: object) -> ImageDomain:
    """The domain of a name as in a scenario, `latin` or `torchvision:CIFAR10`, with those of the
    options that it has and that are not None.

    Raises ConfigError for a wrong name, and where its data are absent.
    """
    kind, _, member = name.partition(":")
    cls = DOMAINS.load(kind)
    known = signature(cls).parameters
    given = {k: v for k, v in options.items() if k in known and v is not None}
    if member:
        given["name"] = member
    if wrong := list(option_problems(cls, given)):
        raise ConfigError([f"{name}: {text}" for _, text in wrong])
    try:
        domain = cls(COMPARED_AT, **given)
        if download:
            domain.fetch()
        domain.labels("train")
    except (ValueError, RuntimeError) as error:
        raise ConfigError([f"{name}: {error}"]) from error
    return domain


def folder_domain(root: str) -> ImageDomain:
    """The images of a folder that can be read."""
    return Folder(COMPARED_AT, root=root, broken="skip")


def counts(domain: ImageDomain) -> dict[Part, Counter[str]]:
    """Images of each class in each part."""
    return {
        part: Counter(domain.classes[label] for label in domain.labels(part)) for part in _PARTS
    }


@cache
def contents(domain: ImageDomain) -> Contents:
    """A hash of every image; raises ConfigError where one cannot be read."""
    try:
        return {p: hashes(chain.from_iterable(domain.image_blocks(p))) for p in _PARTS}
    except RuntimeError as error:
        raise ConfigError([str(error)]) from error


def copies_in_test(found: Contents) -> list[str]:
    """A line for every test image that the training pool holds as well."""
    known = {content: place for place, content in reversed(list(enumerate(found["train"])))}
    return [
        f"test image {place} = training image {known[found['test'][place]]}"
        for place in held(found["test"], known)
    ]


def shared(found: Contents, source: Contents) -> list[str]:
    """A line for every image that the source holds as well."""
    known = {content for part in source.values() for content in part}
    return [
        f"{word} image {place}"
        for part, word in _WORDS.items()
        for place in held(found[part], known)
    ]
