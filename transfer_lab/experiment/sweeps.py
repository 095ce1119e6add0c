"""What is written as one and stands for several: a scenario at several sizes, `per_class: [5, 10]`,
and further budgets, each by what it changes, `budgets: {longer: {epochs: 40}}`."""

from __future__ import annotations

import math
from typing import NamedTuple

from transfer_lab.experiment.budget import MAIN
from transfer_lab.experiment.spec import SIZES
from transfer_lab.experiment.yaml_source import Data, KeyPath

Problem = tuple[KeyPath, str]

SIMILARITIES = ("similar", "dissimilar")


class Expansion(NamedTuple):
    """The data with one scenario a size, what is wrong, and where each new key was written."""

    data: Data
    problems: list[Problem]
    origins: dict[KeyPath, KeyPath]


def expand_sizes(data: Data) -> Expansion:
    """Each scenario with a list of sizes as one scenario a size, named `<name>_<n>`.

    The smallest is `small` and the largest `large`, those between are `medium`, unless `size` or
    the name says otherwise.
    """
    made = Expansion(dict(data), [], {})
    scenarios = data.get("scenarios")
    if not isinstance(scenarios, dict):
        return made
    found = made.data["scenarios"] = {}
    for name, value in scenarios.items():
        if not isinstance(value, dict) or not isinstance(value.get("per_class"), list):
            found[name] = value
            continue
        here = ("scenarios", name)
        made.problems.extend(_problems(here, value))
        for position, one in _scenarios(name, value):
            key = f"{name}_{one['per_class']}"
            if key in scenarios:
                made.problems.append((here, f"makes '{key}', which is a scenario of its own"))
            found[key] = one
            made.origins["scenarios", key] = here
            made.origins["scenarios", key, "per_class"] = (*here, "per_class", position)
    return made


def expand_budgets(data: Data) -> Expansion:
    """Each entry of `budgets` with all that it leaves as it is in `fit`."""
    made = Expansion(dict(data), [], {})
    budgets, usual = data.get("budgets"), data.get(MAIN) or {}
    if not isinstance(budgets, dict) or not isinstance(usual, dict):
        return made
    found = made.data["budgets"] = {}
    for name, changes in budgets.items():
        here: KeyPath = ("budgets", name)
        if name == MAIN:
            made.problems.append((here, "is what the main budget is called; give it another name"))
        changes = {} if changes is None else changes
        if not isinstance(changes, dict):
            found[name] = changes
            continue
        found[name] = {**usual, **changes}
        inherited = usual.keys() - changes.keys()
        if "val_fraction" in changes:  # patience is then not wrong where it was written, but here
            inherited -= {"patience"}
        made.origins.update({(*here, key): (MAIN, key) for key in inherited})
    return made


def implied(name: object) -> dict[str, str]:
    """What the name of a scenario says: `small_similar` both, `similar` or `x_similar` that."""
    size, _, rest = str(name).partition("_")
    similarity = rest.rpartition("_")[2] or size
    said = {"size": size} if size in SIZES else {}
    return said | ({"similarity": similarity} if similarity in SIMILARITIES else {})


def _problems(here: KeyPath, value: Data) -> list[Problem]:
    listed, sizes = value["per_class"], value.get("size")
    place = (*here, "per_class")
    problems: list[Problem] = [] if listed else [(place, "names no size")]
    for position, n in enumerate(listed):
        if not _is_size(n):
            told = f"neither a number of images nor 'all' (it is {n!r})"
            problems.append(((*place, position), told))
        elif n in listed[:position]:
            problems.append(((*place, position), f"{n} twice"))
    if isinstance(sizes, list) and len(sizes) != len(listed):
        problems.append(((*here, "size"), f"{len(sizes)} names for {len(listed)} sizes"))
    return problems


def _scenarios(name: object, value: Data) -> list[tuple[int, Data]]:
    """Each size that is one, with its place in the list and the scenario that it makes."""
    listed = [(place, n) for place, n in enumerate(value["per_class"]) if _is_size(n)]
    ranks = [_rank(n) for _, n in listed]
    given: Data = {**implied(name), **value}
    made = []
    for place, n in listed:
        one = dict(given) | {"per_class": n}
        if isinstance(given.get("size"), list):
            one["size"] = (given["size"] + [None] * (place + 1))[place]
        elif "size" not in given and len(ranks) > 1:
            one["size"] = _by_rank(_rank(n), min(ranks), max(ranks))
        made.append((place, one))
    return made


def _is_size(n: object) -> bool:
    return n == "all" or (isinstance(n, int) and not isinstance(n, bool) and n > 0)


def _rank(n: int | str) -> float:
    return math.inf if isinstance(n, str) else n


def _by_rank(rank: float, least: float, most: float) -> str:
    if rank == least:
        return "small"
    return "large" if rank == most else "medium"
