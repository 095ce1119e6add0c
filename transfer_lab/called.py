"""Modules that are functions too: the library's `records` and `report` share their names."""

from __future__ import annotations

import sys
from types import ModuleType


def callable_as_in_library(name: str) -> None:
    """Let the module be called as the function of the same name in `library`.

    `from transfer_lab import records` gives the module wherever it has been loaded before, and
    there is no telling whether it has.
    """
    sys.modules[name].__class__ = _Called


class _Called(ModuleType):
    def __call__(self, *arguments: object, **options: object) -> object:
        """See the function of this name in the module `library`."""
        from transfer_lab import library

        return getattr(library, self.__name__.rpartition(".")[2])(*arguments, **options)
