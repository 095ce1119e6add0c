"""Which domains of an experiment may hold the same images, and what was counted of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from transfer_lab.experiment.choices import Choice, Spec
from transfer_lab.experiment.plan import plan_one_seed
from transfer_lab.experiment.spec import Experiment
from transfer_lab.similarity.pairs import FOLDER, identity
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import write_atomically
from transfer_lab.system.sealed_json import opened, sealed

VERSION = 1
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


class Counted(BaseModel):
    """How many of the target's images are exact copies of images in the source, in its training
    pool or its test set; `test_learnt`: of test images in the training pool, of which source runs
    learn all or a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap: str
    test: int
    test_learnt: int
    test_images: int
    train: int
    train_images: int
    seconds: float


def pairs(experiment: Experiment) -> tuple[Pair, ...]:
    """Every source that a source run of the lab's own learns from, with its target; in the
    experiment's order, without repeats. What ready-made weights have seen is not here."""
    found: dict[str, Pair] = {}
    for cell in plan_one_seed(experiment):
        if cell.run.parent:
            source, target = cell.run.parent.domain, cell.run.domain
            overlap = Overlap(source=source, target=target, image_size=cell.run.image_size)
            found.setdefault(overlap.id, Pair(cell.source, cell.target, overlap))
    return tuple(found.values())


class OverlapStore:
    """`<runs>/similarity/shared/<id>.json`, each with its checksum, written whole or not at all."""

    def __init__(self, store: RecordStore):
        self._runs = store

    def path(self, overlap: Overlap) -> Path:
        """Where the counts of an overlap lie."""
        return self._runs.root / FOLDER / "shared" / f"{overlap.id}.json"

    def get(self, overlap: Overlap) -> Counted | None:
        """The stored counts, or None; a damaged file is named, and counts as absent."""
        path = self.path(overlap)
        try:
            found = Counted.model_validate_json(opened(path.read_bytes()))
            if found.overlap != overlap.id:
                raise ValueError(f"it belongs to {found.overlap}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as problem:
            reason = str(problem).partition("\n")[0]
            self._runs.warn(f"{path}: damaged ({reason}); will be counted again")
            return None
        return found

    def put(self, overlap: Overlap, counted: Counted) -> None:
        """Store counts durably."""
        content = sealed(counted.model_dump(mode="json"))
        write_atomically(self.path(overlap), lambda handle: handle.write(content))


def counted(experiment: Experiment, store: RecordStore) -> Mapping[str, Counted]:
    """What is stored, by the overlap's id."""
    stored = OverlapStore(store)
    found = {pair.overlap.id: stored.get(pair.overlap) for pair in pairs(experiment)}
    return {key: counts for key, counts in found.items() if counts is not None}
