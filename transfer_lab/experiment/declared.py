"""What a Python file says without being run: facts of its classes, and what it takes from beside.

A regime of one's own says what plan and report must know of it as attributes of its class, each
written out in the class itself; the first words of its docstring say what it does:

    class Mine(TransferModule):
        from_source = False
        sees = ("source",)

Those that are left out are as in `RegimeEntry`, and a regime that spends no budget has nothing to
tune. Since they stand in the file, its hash covers them; before any training they are compared with
what the class does.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from transfer_lab.experiment.registry import Entry, Family, RegimeEntry, Role, TargetLabels

Literals = tuple[str, ...]

FACTS = tuple(
    field.name
    for field in fields(RegimeEntry)
    if field.name not in ("off", "gloss") and field not in fields(Entry)
)
"""Names of the attributes."""
_SAID: dict[str, Literals] = {
    "sees": get_args(Role),
    "target_labels": get_args(TargetLabels),
    "method_family": get_args(Family),
}
"""What the attributes say that are not True or False."""
_LONG = 60
"""Letters of a gloss at most."""


class DeclarationError(ValueError):
    """A fact that cannot be read without running the file; the message names it."""


def declared_entry(tree: ast.Module, cls: str, path: str) -> RegimeEntry:
    """What the class of that name says of itself; raises DeclarationError.

    A class that is not there says nothing: it is found missing when it is asked for.
    """
    facts: dict[str, Any] = {}
    doc = None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == cls:
            facts, doc = dict(_facts(node)), ast.get_docstring(node)
    return entry_of(path, facts, doc)


def entry_of(path: str, facts: Mapping[str, Any], doc: str | None = None) -> RegimeEntry:
    """What attributes say, and what follows from them: what is solved spends no budget, and what
    spends none and is not solved has nothing to tune. The docstring's first words are the gloss."""
    solves = facts.get("solves", False)
    spends = facts.get("spends_budget", not solves)
    said = {"tunable": spends or solves, "spends_budget": spends, "gloss": _gloss(doc)}
    return RegimeEntry(path, **said | dict(facts))


def _gloss(doc: str | None) -> str:
    """The docstring's first sentence or less of it, without its full stop."""
    start = re.split(r"[.:;(]|\n\n", doc or "", maxsplit=1)[0]
    words = " ".join(start.split())
    return textwrap.shorten(words, _LONG, placeholder=" …") or "a regime of one's own"


def _facts(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        for name, value in _assigned(statement):
            if name in FACTS:
                yield name, _said(node.name, name, value, statement.lineno)


def _said(cls: str, name: str, value: ast.expr | None, line: int) -> Any:
    """True or False, or one or several of the words that the attribute takes."""
    words = _SAID.get(name, ())
    try:
        found = ast.literal_eval(value) if value is not None else None
    except ValueError:
        found = None
    if name == "sees":
        if isinstance(found, tuple) and all(role in words for role in found):
            return found
        wanted = f"a tuple of {', '.join(map(repr, words))}"
    elif words:
        if found in words:
            return found
        wanted = f"one of {', '.join(map(repr, words))}"
    else:
        if isinstance(found, bool):
            return found
        wanted = "True or False"
    raise DeclarationError(
        f"line {line}: {cls}.{name} must be written as {wanted}: the plan is made without running "
        "the file"
    )


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a statement of a class binds, and to what."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        yield part.id, value if part is target else None
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            yield name, value
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None


def taken_from_beside(tree: ast.Module, path: Path) -> list[str]:
    """Modules that the file imports and that lie in its own folder."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _is_beside(alias.name, path)]
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            if node.level or _is_beside(name, path):
                found.append(name)
    return list(dict.fromkeys(found))


def _is_beside(name: str, path: Path) -> bool:
    first = name.partition(".")[0]
    if first in sys.stdlib_module_names or first == "transfer_lab":
        return False
    return any((path.parent / end).is_file() for end in (f"{first}.py", f"{first}/__init__.py"))
