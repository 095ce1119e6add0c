"""Which domains an experiment compares, in which feature spaces, and what was measured there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from transfer_lab.experiment.choices import Architecture, Choice, Spec, Weights
from transfer_lab.experiment.plan import plan_one_seed
from transfer_lab.experiment.spec import PROTOCOL, Cell, Experiment, Run, Scenario
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import write_atomically

VERSION = 1
"""Raised whenever a change of code changes what is measured."""
FOLDER = "similarity"
"""Where, below the runs, the results lie."""
NO_BACKBONE = "random filters"
"""What people call the space that belongs to no backbone."""


class Comparison(Spec):
    """All that determines one measured similarity.

    Without a `backbone` the features are those of fixed random filters. Without a `source`, as
    where weights are ready-made, only what needs no source images is measured. `far` is a domain,
    or None for images of independent random pixels.
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
        return identity(self, VERSION)


def identity(of: Spec, version: int) -> str:
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


class Compared(BaseModel):
    """What was measured of one comparison; a measure that is not defined here is None, and `notes`
    say why.

    Pairs of numbers are a value and its standard error; `position` is a value and its interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    comparison: str
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
    leep_refitted: float | None = None
    notes: dict[str, str] = {}
    seconds: float


def comparisons(experiment: Experiment) -> tuple[Named, ...]:
    """Every (source, target) of the scenarios in the space of no backbone, and in that of each
    start that something is transferred from (with a source run a seed, that of the first seed);
    in the experiment's order, without repeats."""
    found: dict[str, Named] = {}
    cells = [cell for cell in plan_one_seed(experiment) if cell.run.init]
    for name, place in experiment.scenarios.items():
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
    source = None if place.source is None else domains[place.source]
    if source:
        yield Named(place.source, place.target, NO_BACKBONE, Comparison(source=source, **common))
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.backbone, cell)
    for space, cell in first.items():
        start = cell.run.init
        seen = {"source": source if isinstance(start, Run) else None, "init": start}
        known = Comparison(backbone=cell.run.backbone, **seen, **common)
        yield Named(cell.source, place.target, space, known)


class ComparisonStore:
    """`<runs>/similarity/<id>.json`, each with its checksum, written whole or not at all."""

    def __init__(self, store: RecordStore):
        self._runs = store

    def path(self, comparison: Comparison) -> Path:
        """Where the result of a comparison lies."""
        return self._runs.root / FOLDER / f"{comparison.id}.json"

    def get(self, comparison: Comparison) -> Compared | None:
        """The stored result, or None; a damaged one is named, and counts as absent."""
        path = self.path(comparison)
        try:
            content = json.loads(path.read_bytes())
            if content["sha256"] != _checksum(content["measured"]):
                raise ValueError("checksum does not match")
            found = Compared.model_validate(content["measured"])
            if found.comparison != comparison.id:
                raise ValueError(f"it belongs to {found.comparison}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as problem:
            reason = str(problem).partition("\n")[0]
            self._runs.warn(f"{path}: damaged ({reason}); will be measured again")
            return None
        return found

    def put(self, comparison: Comparison, measured: Compared) -> None:
        """Store a result durably."""
        body = measured.model_dump(mode="json")
        content = json.dumps({"sha256": _checksum(body), "measured": body}, indent=1).encode()
        write_atomically(self.path(comparison), lambda handle: handle.write(content))

    def waits_for(self, comparison: Comparison) -> Run | None:
        """The source run whose weights the comparison needs and which has left none."""
        run = comparison.init if isinstance(comparison.init, Run) else None
        return None if run is None or self._runs.is_done(run, with_weights=True) else run


def _checksum(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def results(experiment: Experiment, store: RecordStore) -> dict[str, Compared]:
    """What is stored, by the comparison's id."""
    stored, found = ComparisonStore(store), {}
    for named in comparisons(experiment):
        measured = stored.get(named.comparison)
        if measured is not None:
            found[named.comparison.id] = measured
    return found
