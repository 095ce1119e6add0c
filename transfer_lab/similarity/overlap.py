"""Which domains of an experiment may hold the same images, and what was counted of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from pydantic import ConfigDict

from transfer_lab.experiment.choices import Choice, Spec
from transfer_lab.experiment.plan import plan_one_seed
from transfer_lab.experiment.spec import Experiment
from transfer_lab.similarity.pairs import identity
from transfer_lab.store.layout import OVERLAPS
from transfer_lab.store.records import RecordStore
from transfer_lab.store.sealed import Sealed, SealedStore

VERSION = 2
"""Raised whenever a change of code changes what is counted."""


class Overlap(Spec):
    """A source and a target at one size: all that determines which of their images are equal."""

    source: Choice
    target: Choice
    image_size: int

    @cached_property
    def id(self) -> str:
        """Hash of the content, as for a run."""
        return identity(self, VERSION)


class Pair(NamedTuple):
    """An overlap under the names that the experiment uses."""

    source: str
    target: str
    overlap: Overlap

    @property
    def title(self) -> str:
        """A short line for people."""
        return f"{self.source} → {self.target}, shared images"


class Counted(Sealed):
    """How many of the target's images are exact copies of images in the source, in its training
    pool or its test set; `test_learnt`: of test images in the training pool, of which source runs
    learn all or a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: int
    test_learnt: int
    test_images: int
    train: int
    train_images: int
    seconds: float


def pairs(experiment: Experiment) -> tuple[Pair, ...]:
    """Every source that a source run of the lab's own learns from, and every domain between, with
    its target; in the experiment's order, without repeats. What ready-made weights have seen is not
    here."""
    found: dict[str, Pair] = {}
    for cell in plan_one_seed(experiment):
        names = [*experiment.scenarios[cell.scenario].learnt]
        run, target = cell.run, cell.run.domain
        while run.parent:
            name, run = names.pop(), run.parent
            overlap = Overlap(source=run.domain, target=target, image_size=run.image_size)
            if name != cell.target:
                found.setdefault(overlap.id, Pair(name, cell.target, overlap))
    return tuple(found.values())


def overlap_store(store: RecordStore) -> SealedStore[Counted]:
    """What is stored of overlaps."""
    return SealedStore(store, OVERLAPS, Counted, "counted again")


def counted(experiment: Experiment, store: RecordStore) -> Mapping[str, Counted]:
    """What is stored, by the overlap's id."""
    stored = overlap_store(store)
    found = {pair.overlap.id: stored.get(pair.overlap.id) for pair in pairs(experiment)}
    return {key: counts for key, counts in found.items() if counts is not None}
