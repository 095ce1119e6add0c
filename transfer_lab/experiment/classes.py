"""Choice -> class: a registered one, one from a Python file of the user's own, or one that an
installed package provides; what has changed since the experiment was read is refused."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from transfer_lab.experiment.catalog import Registry
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.installed import Provided, ProvidedError, source_of, the_one
from transfer_lab.system.pulse import telling

C = TypeVar("C")

IMPORTING = "importing "
"""What is told of code that is not the lab's own, while that is going on."""
_IMPORTED_AS: dict[str, str | None] = {}
"""Modules of installed packages -> hash of the file when this process imported it."""
_IMPORTED_FROM: dict[str, str] = {}
"""Installed packages -> the same with the version that this process has imported a module of."""


class ModuleError(ValueError):
    """Code that is not the lab's own and gives no class of the kind; the message names it."""


def class_of(choice: Choice, registry: Registry[Any], base: type[C]) -> type[C]:
    """The class behind a choice; a file of the user's own is imported, once per process.

    Raises ModuleError for code that has changed, cannot be imported, or does not define such a
    class.
    """
    if not choice.is_own:
        return registry.load(choice.kind)
    module, name, place = _module(choice, registry)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ModuleError(
            f"{place}: no class {name} that derives from {base.__module__}.{base.__qualname__} in "
            "it"
        )
    if found.__module__ != module.__name__:
        raise ModuleError(
            f"{place}: {name} is defined in {found.__module__}, whose content would not be known: "
            "name the module that defines it"
        )
    return found


def _module(choice: Choice, registry: Registry[Any]) -> tuple[ModuleType, str, str]:
    """The module, the class's name in it, and what to call the module."""
    if choice.module is not None:
        return _from_file(Path(choice.module), choice.code), choice.kind, choice.module
    try:
        entry = the_one(registry.group, choice.kind)
        path = source_of(entry)
    except (KeyError, ProvidedError) as error:
        absent = "no installed package provides it: install it, and load the experiment anew"
        reason = error if isinstance(error, ProvidedError) else absent
        raise ModuleError(f"{registry.kind} '{choice.kind}': {reason}") from error
    place = f"{entry.module} of {entry.distribution}"
    if entry.distribution != choice.distribution:
        told = f"it was {choice.distribution} when the experiment was read: load it anew"
        raise ModuleError(f"{place}: {told}")
    return _installed(entry, path, choice.code, place), entry.cls, place


def _from_file(path: Path, code: str | None) -> ModuleType:
    name = f"transfer_lab_module_{code}"
    if name in sys.modules:
        return sys.modules[name]
    content = _checked(path, code, str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # What was checked, and nothing that the interpreter has kept of the file in __pycache__.
        with telling(f"{IMPORTING}{path.name}"):
            # To run the file that the experiment names is what it is named for.
            exec(  # nosec B102
                compile(content, str(path), "exec", dont_inherit=True), module.__dict__
            )
    except (Exception, SystemExit) as error:  # anything may go wrong in somebody's file
        del sys.modules[name]
        raise _not_imported(str(path), error) from error
    return module


def _installed(entry: Provided, path: Path, code: str | None, place: str) -> ModuleType:
    if _IMPORTED_AS.get(entry.module, code) != code:
        raise ModuleError(f"{place}: this process imported it before it changed; start it anew")
    _checked(path, code, place)
    package = entry.distribution.rpartition(" ")[0]
    if _IMPORTED_FROM.setdefault(package, entry.distribution) != entry.distribution:
        told = f"this process has imported {_IMPORTED_FROM[package]}; start it anew"
        raise ModuleError(f"{place}: {told}")
    try:
        with telling(f"{IMPORTING}{entry.module}"):
            module = importlib.import_module(entry.module)
    except (Exception, SystemExit) as error:
        raise _not_imported(place, error) from error
    _IMPORTED_AS[entry.module] = code
    return module


def _checked(path: Path, code: str | None, place: str) -> bytes:
    """The file's content, if it is what the experiment was read with."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"{place}: cannot read the module ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != code:
        raise ModuleError(f"{place}: the module has changed since the experiment was read")
    return content


def _not_imported(place: str, error: BaseException) -> ModuleError:
    return ModuleError(f"{place}: cannot be imported ({type(error).__name__}: {error})")
