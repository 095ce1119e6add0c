"""Which domains an experiment compares, in which feature spaces, and what was measured there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ConfigDict, Field

from transfer_lab.experiment.choices import Architecture, Choice, Spec, Weights
from transfer_lab.experiment.plan import plan_one_seed
from transfer_lab.experiment.spec import PROTOCOL, Cell, Experiment, Run, Scenario
from transfer_lab.store.layout import SIMILARITY
from transfer_lab.store.records import RecordStore
from transfer_lab.store.sealed import Sealed, SealedStore

if TYPE_CHECKING:
    from transfer_lab.similarity.reference import Reference

VERSION = 2
"""Raised whenever a change of code changes what is measured."""
NO_BACKBONE = "random filters"
"""What people call the space that belongs to no backbone."""


class Comparison(Spec):
    """All that determines one measured similarity.

    Without a `backbone` the features are those of fixed random filters. Without a `source`, as
    where weights are ready-made, what needs source images is measured only where statistics of
    photographs are shipped for these weights. `far` is a domain, or None for images of independent
    random pixels.
    """

    source: Choice | None
    target: Choice
    far: Choice | None
    image_size: int
    images: int
    backbone: Architecture | None = None
    init: Run | Weights | None = None

    @cached_property
    def id(self) -> str:
        """Hash of the content, as for a run."""
        return identity(self, VERSION if self.reference is None else (VERSION, self.reference.made))

    @property
    def reference(self) -> Reference | None:
        """Statistics of photographs in the features of ready-made weights that ship with them."""
        if self.source is not None or not isinstance(self.init, Weights):
            return None
        from transfer_lab.similarity.reference import reference_of

        return reference_of(self.init.sha256)


def identity(of: Spec, version: int | tuple[int, ...]) -> str:
    """Hash of what is compared, of the version of its measuring and of the protocol number."""
    content = json.dumps([version, PROTOCOL, of.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class Named(NamedTuple):
    """A comparison under the names that the experiment uses."""

    source: str
    target: str
    space: str
    comparison: Comparison

    @property
    def title(self) -> str:
        """A short line for people."""
        return f"{self.source} → {self.target}, {self.space}"


class Compared(Sealed):
    """What was measured of one comparison; a measure that is not defined here is None, and `notes`
    say why.

    Pairs of numbers are a value and its standard error; `position` is a value and its interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    images: int | None = None
    mmd2: tuple[float, float] | None = None
    mmd2_half: tuple[float, float] | None = None
    mmd2_far: tuple[float, float] | None = None
    position: tuple[float, float, float] | None = None
    proxy_a: tuple[float, float] | None = None
    proxy_a_far: tuple[float, float] | None = None
    labelled_images: int | None = None
    neighbours: float | None = None
    neighbours_gain: tuple[float, float] | None = None
    linear: float | None = None
    linear_gain: tuple[float, float] | None = None
    logme: float | None = None
    h_score: float | None = None
    leep: float | None = None
    notes: dict[str, str] = Field({})
    seconds: float


def comparisons(experiment: Experiment) -> tuple[Named, ...]:
    """Every (source, target) of the scenarios in the space of no backbone, and in that of each
    start that something is transferred from (with a source run a seed, that of the first seed);
    in the experiment's order, without repeats. Where domains lie between, the last of them is what
    the target is compared with."""
    found: dict[str, Named] = {}
    cells = [cell for cell in plan_one_seed(experiment) if cell.run.init]
    for name, place in experiment.scenarios.items():
        if place.control == "self":
            continue  # nothing lies between a domain and itself
        here = [cell for cell in cells if cell.scenario == name]
        for named in _of_place(experiment, place, here):
            found.setdefault(named.comparison.id, named)
    return tuple(found.values())


def _of_place(experiment: Experiment, place: Scenario, cells: list[Cell]) -> Iterator[Named]:
    settings, domains = experiment.similarity, experiment.domains
    common = {
        "target": domains[place.target],
        "far": domains[settings.far] if settings.far else None,
        "image_size": experiment.image_size,
        "images": settings.images,
    }
    source = domains[place.learnt[-1]] if place.learnt else None
    if source:
        last = place.learnt[-1]
        yield Named(last, place.target, NO_BACKBONE, Comparison(source=source, **common))
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.backbone, cell)
    for space, cell in first.items():
        start = cell.run.init
        seen = {"source": source if isinstance(start, Run) else None, "init": start}
        known = Comparison(backbone=cell.run.backbone, **seen, **common)
        name = cell.source if isinstance(start, Weights) else place.path
        yield Named(name, place.target, space, known)


def comparison_store(store: RecordStore) -> SealedStore[Compared]:
    """What is stored of comparisons."""
    return SealedStore(store, SIMILARITY, Compared, "measured again")


def waits_for(comparison: Comparison, store: RecordStore) -> Run | None:
    """The source run whose weights the comparison needs and which has left none."""
    run = comparison.init if isinstance(comparison.init, Run) else None
    return None if run is None or store.is_done(run, with_weights=True) else run


def results(experiment: Experiment, store: RecordStore) -> dict[str, Compared]:
    """What is stored, by the comparison's id."""
    stored, found = comparison_store(store), {}
    for named in comparisons(experiment):
        measured = stored.get(named.comparison.id)
        if measured is not None:
            found[named.comparison.id] = measured
    return found
