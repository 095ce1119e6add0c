"""Names of domains, backbones and regimes, known without importing the code behind them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Entry:
    """One registered name: where its class lives, as `module:Class` inside the package.

    A family has members, written `family:member`; the class gets the member's as option `name`.
    `extra` is a package the class needs that not everybody has: an extra of transfer-lab.
    """

    path: str
    family: bool = False
    extra: str = ""


E = TypeVar("E", bound=Entry)


class UnknownNameError(KeyError):
    """A name that no registry entry has; the message names the nearest ones."""

    def __str__(self) -> str:
        return self.args[0]


class MissingExtraError(ImportError):
    """A package that a registered class needs and that is not installed; the message says how."""


class Registry(Mapping[str, E], Generic[E]):
    """Name -> entry. The class is imported when it is first asked for.

    Names must be checkable in milliseconds, and importing the classes costs seconds, so the
    registry is a table of paths and not a decorator that runs on import.
    """

    def __init__(self, kind: str, package: str, entries: Mapping[str, E]):
        self.kind, self.package, self._entries = kind, package, dict(entries)

    def __getitem__(self, name: str) -> E:
        if name not in self._entries:
            raise UnknownNameError(f"no {self.kind} named '{name}'; {suggest(name, self)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str) -> type:
        """Import and return the class behind `name`; raises UnknownNameError, or MissingExtraError
        where what it needs is not installed."""
        entry = self[name]
        if entry.extra and find_spec(entry.extra) is None:
            how = f"pip install 'transfer-lab[{entry.extra}]'"
            told = f"{self.kind} '{name}' needs {entry.extra}, which is not installed: {how}"
            raise MissingExtraError(told)
        module, _, attribute = entry.path.partition(":")
        return getattr(importlib.import_module(f"{self.package}.{module}"), attribute)


def suggest(name: str, choices: Iterable[str]) -> str:
    """'did you mean ...?' with the nearest valid names, or the whole list if none is near."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "choose from " + ", ".join(choices) if choices else "none is known"
