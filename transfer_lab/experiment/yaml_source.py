"""A YAML file with the place of every key, and all its duplicate keys."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from transfer_lab.experiment.shipped import advice

Key = str | int
KeyPath = tuple[Key, ...]
Data = dict[Any, Any]
"""A mapping as YAML gives it: keys and values may be anything until they are validated."""
_MAX_BYTES = 250_000
_MAX_NODES = 10_000
_MAX_DEPTH = 40
_TAG = "tag:yaml.org,2002:"
_TAGS = ("str", "int", "float", "bool", "null", "seq", "map")
"""What may be written out of the types of values; others make what no field can hold."""


class ConfigError(Exception):
    """Everything that is wrong with an experiment, one line a problem."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Source:
    """The data of one YAML file and where each key stands in it."""

    path: Path
    data: Data
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    overrides: dict[KeyPath, str] = field(default_factory=dict)
    duplicates: list[tuple[KeyPath, tuple[int, int]]] = field(default_factory=list)
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)
    """Keys that stand for others of the file, and which those are."""

    def where(self, path: KeyPath) -> str:
        """`file:line:col` of the key, or of the nearest one around it; `--set ...` if so set."""
        for end in range(len(path), 0, -1):
            for keys, assignment in self.overrides.items():
                if keys == path[:end] or (keys[:end] == path and path not in self.places):
                    return f"--set {assignment}"
            if path[:end] in self.places:
                line, column = self.places[path[:end]]
                return f"{self.path}:{line}:{column}"
        return f"{self.path}:1:1"

    def problem(self, path: KeyPath, message: str) -> str:
        """One line: place, field, message."""
        path = self._written(path)
        name = ".".join(map(str, path))
        return f"{self.where(path)}: {name + ': ' if name else ''}{message}"

    def _written(self, path: KeyPath) -> KeyPath:
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]] + path[end:]
        return path

    def duplicate_keys(self) -> list[str]:
        """One line for each key that stands in its mapping twice, at its second place."""
        return [
            f"{self.path}:{line}:{column}: {'.'.join(map(str, path))}: the same key twice; "
            f"it first stands in line {self.places[path][0]}"
            for path, (line, column) in self.duplicates
        ]

    def override(self, assignment: str) -> None:
        """Apply `a.b=value`; the value is read as YAML. Raises ConfigError if it is not that."""
        name, equals, text = assignment.partition("=")
        keys = tuple(name.split("."))
        if not equals or not all(keys):
            raise ConfigError([f"--set {assignment}: write it as key=value or outer.inner=value"])
        self._assign(keys, _parse(text, f"--set {assignment}", None), assignment)

    def set(self, name: str, value: object) -> None:
        """Apply a value from Python to `a.b`. Raises ConfigError if the name is not one."""
        assignment = f"{name}={json.dumps(plain(value), default=repr)}"
        keys = tuple(name.split("."))
        if not all(keys):
            raise ConfigError([f"--set {assignment}: name a field, as 'key' or 'outer.inner'"])
        self._assign(keys, plain(value), assignment)

    def _assign(self, keys: KeyPath, value: object, assignment: str) -> None:
        target = self.data
        for key in keys[:-1]:
            inner = _as_mapping(target.get(key))
            target[key] = inner
            target = inner
        target[keys[-1]] = value
        self.overrides.pop(keys, None)  # the order of assignments counts
        self.overrides[keys] = assignment


class Given(Source):
    """An experiment handed over in Python: a problem has a field, and no line."""

    def where(self, path: KeyPath) -> str:
        """The name of the experiment where no assignment is to blame."""
        place = super().where(path)
        return place if place.startswith("--set ") else str(self.path)


def given(data: Mapping[Any, Any]) -> Given:
    """An experiment that is no file but a mapping, copied; as if written in YAML."""
    return Given(Path("experiment"), plain(data))


def plain(value: object) -> Any:
    """A copy in the types that YAML has: sequences as lists, paths as text."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def read_yaml(path: Path) -> Source:
    """Parse one file safely; raises ConfigError naming the file and, where known, the place."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        way = f"; {hint}" if (hint := advice(path)) else ""
        raise ConfigError(
            [f"{path}: cannot read the experiment ({error.strerror}){way}"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not a text file ({error.reason})"]) from error
    if len(content) > _MAX_BYTES:
        raise ConfigError([f"{path}: larger than {_MAX_BYTES} bytes; is it an experiment?"])
    source = Source(path, {})
    data = _parse(text, str(path), source)
    if not isinstance(data, dict):
        raise ConfigError([f"{path}:1:1: an experiment is a mapping of keys to values"])
    source.data = data
    return source


def _parse(text: str, origin: str, source: Source | None) -> Any:
    """The data of a YAML text, no object in it twice; fills in the places of `source`.

    ruamel.yaml lets some values that no type can hold, and some nesting that no stack can hold,
    end in plain Python errors; they say as little as a ConfigError should.
    """
    try:
        _bound(text)
        root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
        if root is not None:
            _Walk(source).visit(root, ())
        loader = YAML(typ="safe", pure=True)
        loader.allow_duplicate_keys = True
        return _unshared(loader.load(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark and source else ""
        raise ConfigError([f"{origin}{place}: not valid YAML: {_reason(error)}"]) from error
    except (YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError([f"{origin}: not valid YAML: {_reason(error)}"]) from error


def _bound(text: str) -> None:
    """Raise ValueError for a text of more values, deeper ones or others than an experiment has, as
    soon as that is seen: to take a large one apart takes minutes."""
    values = depth = 0
    for event in YAML(typ="safe", pure=True).parse(io.StringIO(text)):
        values += isinstance(event, NodeEvent)
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        if values > 2 * _MAX_NODES or depth > _MAX_DEPTH:
            raise _too_much()
        tag = str(getattr(event, "tag", None) or "")
        if tag and tag.removeprefix(_TAG) not in _TAGS:
            raise ValueError(f"the tag {tag} is not for an experiment: write the value without it")


def _too_much() -> ValueError:
    return ValueError(f"more than {_MAX_NODES} values, or deeper than {_MAX_DEPTH} levels")


class _Walk:
    """Visits every node of a document, as often as it is used, within bounds."""

    def __init__(self, source: Source | None):
        self.source, self.nodes = source, 0

    def visit(self, node: Node, path: KeyPath) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise _too_much()
        if self.source:
            self.source.places.setdefault(path, _place(node))
        if isinstance(node, MappingNode):
            for key, value in node.value:
                self._visit_key(key, value, path)
        elif isinstance(node, SequenceNode):
            for index, value in enumerate(node.value):
                self.visit(value, (*path, index))

    def _visit_key(self, key: Node, value: Node, path: KeyPath) -> None:
        if not isinstance(key, ScalarNode):
            raise ValueError("a list or a mapping cannot be a key")
        here = (*path, key.value)
        if self.source and here in self.source.places and key.value != "<<":
            self.source.duplicates.append((here, _place(key)))
            return
        if self.source:
            self.source.places[here] = _place(key)
        self.visit(value, here)


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _unshared(data: Any) -> Any:
    """A copy in which every use of an anchor is an object of its own."""
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_unshared(value) for value in data]
    return data


def _as_mapping(value: object) -> Data:
    """What an override may reach into: a mapping, or its short form, a list of names."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value)
    return {}


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    reason = getattr(error, "problem", None) or str(error)
    return " ".join(str(reason).split())[:300]
