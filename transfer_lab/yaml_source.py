"""A YAML file with the place of every key, and all its duplicate keys."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

Key = str | int
KeyPath = tuple[Key, ...]
_MAX_BYTES = 1_000_000


class ConfigError(Exception):
    """Everything that is wrong with an experiment, one line a problem."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Source:
    """The data of one YAML file and where each key stands in it."""

    path: Path
    data: dict[Key, object]
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    overrides: dict[KeyPath, str] = field(default_factory=dict)
    duplicates: list[tuple[KeyPath, tuple[int, int]]] = field(default_factory=list)

    def where(self, path: KeyPath) -> str:
        """`file:line:col` of the key, or of the nearest one around it; `--set ...` if so set."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.overrides:
                return f"--set {self.overrides[path[:end]]}"
            if path[:end] in self.places:
                line, column = self.places[path[:end]]
                return f"{self.path}:{line}:{column}"
        return f"{self.path}:1:1"

    def problem(self, path: KeyPath, message: str) -> str:
        """One line: place, field, message."""
        name = ".".join(map(str, path))
        return f"{self.where(path)}: {name + ': ' if name else ''}{message}"

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
        target = self.data
        for key in keys[:-1]:
            if not isinstance(target.get(key), dict):
                target[key] = {}
            target = target[key]
        try:
            target[keys[-1]] = YAML(typ="safe", pure=True).load(text)
        except YAMLError as error:
            raise ConfigError([f"--set {assignment}: {_reason(error)}"]) from error
        self.overrides[keys] = assignment


def read_yaml(path: Path) -> Source:
    """Parse one file safely; raises ConfigError naming the file and, where known, the place."""
    try:
        content = path.read_bytes()
        if len(content) > _MAX_BYTES:
            raise ConfigError([f"{path}: larger than {_MAX_BYTES} bytes; is it an experiment?"])
        text = content.decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot read the experiment ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not a text file ({error.reason})"]) from error
    try:
        root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
        source = Source(path, {})
        if root is not None:
            _walk(root, (), source)
        loader = YAML(typ="safe", pure=True)
        loader.allow_duplicate_keys = True
        data = loader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError([f"{path}{place}: not valid YAML: {_reason(error)}"]) from error
    except YAMLError as error:
        raise ConfigError([f"{path}: not valid YAML: {_reason(error)}"]) from error
    if not isinstance(data, dict):
        raise ConfigError([f"{path}:1:1: an experiment is a mapping of keys to values"])
    source.data = data
    return source


def _walk(node: Node, path: KeyPath, source: Source) -> None:
    source.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if here in source.places:
                source.duplicates.append((here, place))
                continue
            source.places[here] = place
            _walk(value, here, source)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), source)


def _reason(error: YAMLError) -> str:
    reason = getattr(error, "problem", None) or str(error)
    return " ".join(str(reason).split())
