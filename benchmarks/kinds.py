"""The cells of a grid by how long they take: a sample of each kind, and the whole projected."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Timing, mean
from transfer_lab.experiment.spec import Cell, Run

Kind = tuple[str, str, str]
"""Regime, backbone and size: cells of one kind take the same time."""


@dataclass(frozen=True)
class Trained:
    """A cell on the plain side: seconds, and the accuracies of both sides."""

    seconds: float
    plain: float
    ours: float


def by_kind(cells: Iterable[Cell]) -> dict[Kind, list[Cell]]:
    """The cells that learn, by what determines how long they take; of those that are one and the
    same run, as training from scratch for two sources is, the first."""
    found: dict[Kind, list[Cell]] = defaultdict(list)
    for cell in {cell.run.id: cell for cell in reversed(tuple(cells))}.values():
        if cell.run.regime.kind != "majority":
            found[cell.regime, cell.backbone, cell.size].append(cell)
    return dict(found)


def sample(kinds: Mapping[Kind, Sequence[Cell]], count: int | None) -> list[Cell]:
    """So many cells, the same at every call, as evenly over the kinds as can be.

    Raises ValueError if not every kind would have one: the rest could not be projected.
    """
    count = len(kinds) if count is None else count
    if count < len(kinds):
        raise ValueError(f"--cells {count}, but there are {len(kinds)} kinds of cells to time")
    chance = random.Random(0)
    orders = [chance.sample(cells, len(cells)) for cells in kinds.values()]
    rounds = [cells[n] for n in range(max(map(len, orders))) for cells in orders if n < len(cells)]
    return chance.sample(rounds[:count], min(count, len(rounds)))


def projected_grid(
    kinds: Mapping[Kind, Sequence[Cell]], trained: Mapping[str, Trained], sources: float
) -> Timing:
    """Seconds of the whole grid: every run at the mean of its kind, and what comes before."""
    total = sources + sum(projected_regimes(kinds, trained).values())
    count = sum(map(len, kinds.values()))
    if len(trained) == count:
        return Timing((total,), projected="an epoch of each source run")
    told = (
        f"{len(trained)} of {count} distinct runs, at least one of each regime, backbone and size"
    )
    return Timing((total,), projected=f"{told}, and an epoch of each source run")


def projected_regimes(
    kinds: Mapping[Kind, Sequence[Cell]], trained: Mapping[str, Trained]
) -> dict[str, float]:
    """Seconds of the runs of each regime, every run at the mean of its kind."""
    seconds: dict[str, float] = defaultdict(float)
    for (regime, _, _), cells in kinds.items():
        timed = [trained[c.run.id].seconds for c in cells if c.run.id in trained]
        seconds[regime] += len(cells) * mean(timed)
    return dict(seconds)


def lots_of(kinds: Mapping[Kind, Sequence[Cell]]) -> dict[str, list[list[Run]]]:
    """The runs of each regime, kind by kind."""
    found: dict[str, list[list[Run]]] = defaultdict(list)
    for (regime, _, _), cells in kinds.items():
        found[regime].append([cell.run for cell in cells])
    return found
