"""What people call a run: by the experiment's own names, and not by kinds or hashes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from transfer_lab.experiment.budget import under
from transfer_lab.experiment.plan import searches_of
from transfer_lab.experiment.spec import Cell, Experiment, Run

_NAMED = 2
"""Scenarios that are named one by one where they share a run."""


class RunName(NamedTuple):
    """The place of a run in its experiment, and its seed."""

    place: str
    seed: int

    def __str__(self) -> str:
        return f"{self.place} seed {self.seed}"


def run_names(experiment: Experiment, cells: Iterable[Cell]) -> dict[str, RunName]:
    """By run id, the names of all runs behind the cells, source runs and searches included; no two
    are equal.

    A run that several scenarios share is named after them.
    """
    keys = {choice.label: name for name, choice in experiment.backbones.items()}
    domains = {choice.canonical: name for name, choice in experiment.domains.items()}
    scenarios: dict[str, list[str]] = defaultdict(list)
    first: dict[str, Cell] = {}
    names: dict[str, RunName] = {}
    for cell in cells:
        scenarios[cell.run.id].append(cell.scenario)
        first.setdefault(cell.run.id, cell)
        names |= _source_runs(cell.run, keys[cell.backbone], domains)
    for arm, found in searches_of(experiment).items():
        names |= _searches(experiment, arm, found, domains)
    for run_id, cell in first.items():
        names[run_id] = RunName(
            _place(keys[cell.backbone], cell.regime, cell.budget, scenarios[run_id]), cell.seed
        )
    return names


def _source_runs(run: Run, backbone: str, domains: Mapping[str, str]) -> dict[str, RunName]:
    names: dict[str, RunName] = {}
    for parent in _before(run):
        path = [domains.get(run.domain.canonical, "?") for run in (parent, *_before(parent))]
        place = f"source run on {' after '.join(path)}: {backbone}"
        if parent.regime.kind != "from_scratch":
            place += f" {parent.regime.kind}"
        if parent.subset_seed is not None:
            place += f", {parent.per_class} per class"
        names[parent.id] = RunName(place, parent.seed)
    return names


def _searches(
    experiment: Experiment,
    arm: tuple[str, str, str | None],
    found: Mapping[str, Run],
    domains: Mapping[str, str],
) -> dict[str, RunName]:
    """The searches of an arm, and what only those need: a teacher of their seed, source runs."""
    backbone, regime, budget = arm
    names: dict[str, RunName] = {}
    for run in found.values():
        where = [name for name, other in found.items() if other.id == run.id]
        place = _place(backbone, regime, budget, where)
        names |= _source_runs(run, backbone, domains)
        names[run.id] = RunName(f"search for {place}", run.seed)
        teaching = experiment.regimes[regime].teacher
        if teaching is None:
            continue
        for teacher in run.starts.values():
            names |= _source_runs(teacher, teaching.backbone, domains)
            place = _place(teaching.backbone, teaching.regime, budget, where)
            names[teacher.id] = RunName(place, teacher.seed)
    return names


def _place(backbone: str, regime: str, budget: str | None, scenarios: Iterable[str]) -> str:
    return f"{backbone} {regime}{under(budget)}, {_joined(dict.fromkeys(scenarios))},"


def _before(run: Run) -> Iterator[Run]:
    """The runs whose weights it starts from, one from the other."""
    while run.parent:
        run = run.parent
        yield run


def group_name(runs: Sequence[Run], names: Mapping[str, RunName]) -> str:
    """One name for runs that differ in their seeds alone."""
    first, *others = (names[run.id] for run in runs)
    if not others:
        return str(first)
    return f"{first.place} seeds {', '.join(str(name.seed) for name in (first, *others))}"


def _joined(scenarios: Iterable[str]) -> str:
    every = list(scenarios)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return " + ".join(every[:_NAMED]) + more
