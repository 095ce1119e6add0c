"""What installed packages provide by name: found in their metadata, without importing their code.

A package names its classes in its `pyproject.toml`:

    [project.entry-points."transfer_lab.regimes"]
    tune_first = "my_regimes.tuning:TuneFirst"
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple


class ProvidedError(ValueError):
    """A name that cannot be told to mean one class with Python source; the message says why."""


class Provided(NamedTuple):
    """A class that a distribution provides: `module`, its name there, and who it is from."""

    module: str
    cls: str
    distribution: str


def provided(group: str) -> Mapping[str, tuple[Provided, ...]]:
    """Every name of an entry point group, with all that is provided under it."""
    return _provided(group, tuple(sys.path))


def look_anew() -> None:
    """Forget what was installed: packages come and are upgraded while a notebook runs."""
    _provided.cache_clear()
    importlib.invalidate_caches()


@cache
def _provided(group: str, _: tuple[str, ...]) -> Mapping[str, tuple[Provided, ...]]:
    found: dict[str, tuple[Provided, ...]] = {}
    for entry in entry_points(group=group):
        owner = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
        known = Provided(entry.module, entry.attr, owner)
        found[entry.name] = tuple(dict.fromkeys((*found.get(entry.name, ()), known)))
    return found


def the_one(group: str, name: str) -> Provided:
    """What is provided under a name; raises ProvidedError where several distributions do so."""
    entries = provided(group)[name]
    if len(entries) > 1:
        owners = " and ".join(entry.distribution for entry in entries)
        raise ProvidedError(f"'{name}' is provided by {owners}: uninstall all but one")
    return entries[0]


def source_of(entry: Provided) -> Path:
    """The Python file of the entry's module, found without importing it or its packages.

    Raises ProvidedError where there is none.
    """
    where: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in entry.module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _spec(name, where)
        if spec is None:
            break
        where = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ProvidedError(
            f"{entry.distribution} names the module {entry.module}, of which there is no Python "
            "source: install it anew"
        )
    return Path(spec.origin)


def _spec(name: str, where: Sequence[str] | None) -> ModuleSpec | None:
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    specs = (find(name, where) for find in finders if find)
    return next((spec for spec in specs if spec is not None), None)
