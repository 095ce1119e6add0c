"""Results belong to contents: folders, weights files and code that is not the lab's own go into an
experiment by hash."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from transfer_lab.experiment.catalog import BACKBONES, DOMAINS
from transfer_lab.experiment.declared import DeclarationError, declared_entry, taken_from_beside
from transfer_lab.experiment.installed import ProvidedError, source_of, the_one
from transfer_lab.experiment.packaged import packaged_for
from transfer_lab.experiment.published import published_sha256
from transfer_lab.experiment.shorthand import REGISTRIES, Problem, choices
from transfer_lab.experiment.yaml_source import Data
from transfer_lab.system.files import WeightsError, regular
from transfer_lab.system.image_folder import DataUnavailable, FileKind, list_files


def pin_contents(data: Data, base: Path) -> list[Problem]:
    """Fill in the hash of every folder, weights file and module that the experiment names.

    `data` is in full form and is changed in place. Modules, weights and what a domain of one's own
    reads are looked for beside the experiment (`base`) first, then from where the command runs.
    Returns what cannot be read.
    """
    problems: list[Problem] = []
    for group in REGISTRIES:
        for name, choice in choices(data, group):
            problems += _pin_code(group, name, choice, base)
    for name, choice in choices(data, "domains"):
        kind = choice["kind"]
        if "code" in choice:
            problems += _pin_root(name, choice, base)
        elif isinstance(kind, str) and kind in DOMAINS and (files := DOMAINS[kind].in_folder):
            problems += [((*place,), text) for place, text in _pin_folder(name, choice, files)]
        elif "root" in choice["options"]:
            # Published data are the same wherever they lie.
            choice["root"] = choice["options"].pop("root")
    for name, choice in choices(data, "backbones"):
        problems += _pin_start(name, choice, base)
    return problems


def _pin_start(name: str, choice: Data, base: Path) -> Iterable[Problem]:
    start, kind = choice.get("pretrained"), choice["kind"]
    if isinstance(start, dict) and "file" in start:
        return _pin_weights(name, choice, base)
    if start == {"origin": "package"}:
        return _pin_package(name, choice)
    if start == {"origin": "imagenet"} and isinstance(kind, str) and kind in BACKBONES:
        start["sha256"] = published_sha256(kind, choice["options"])
    return ()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content; raises OSError."""
    with regular(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _pin_folder(name: str, choice: Data, kind: FileKind) -> Iterator[Problem]:
    options = choice["options"]
    root = options.pop("root", None)
    if not isinstance(root, str):
        yield ("domains", name), f"'root' is missing: the folder of the {kind.noun}"
        return
    try:
        groups = options.get("groups")
        known = list_files(root, kind).known_by(groups if isinstance(groups, str) else None)
        options["content"] = known
    except (DataUnavailable, ValueError) as error:
        yield ("domains", name, "root"), str(error)
    choice["root"] = root


def _pin_root(name: str, choice: Data, base: Path) -> Iterator[Problem]:
    """What a domain of one's own reads is known by content, wherever it lies."""
    root = choice["options"].get("root")
    if not isinstance(root, str):
        return
    found = _located(root, base)
    try:
        choice.update(holds=_sha256_below(found), root=str(found.absolute()))
        del choice["options"]["root"]
    except (OSError, ValueError) as error:
        yield ("domains", name, "root"), f"{found}: cannot be read ({_reason(error)})"


def _sha256_below(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder but hidden
    ones; raises OSError, and ValueError where a link leads back to a folder above it."""
    if not path.is_dir():
        return sha256_of(path)
    seen = sorted(file.relative_to(path).as_posix() for file in _files_below(path, ()))
    lines = (f"{sha256_of(path / name)} {name}\n" for name in seen)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files_below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """All but hidden ones, those behind links as well: a domain that opens them reads them."""
    real = folder.resolve()
    if real in above:
        raise ValueError(f"{folder.name} is a link to a folder above it: take it out")
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files_below(entry, (*above, real))
        elif entry.is_file():
            yield entry


def _pin_code(group: str, name: str, choice: Data, base: Path) -> Iterator[Problem]:
    """The hash of code that is not the lab's own, and what it says of a regime."""
    place, registry = (group, name), REGISTRIES[group]
    if choice.get("module") is not None:
        yield from _pin_module((*place, "module"), choice, base, taken=registry)
    elif isinstance(choice["kind"], str) and registry.is_installed(choice["kind"]):
        try:
            entry = the_one(registry.group, choice["kind"])
            text = source_of(entry).read_bytes()
        except (OSError, ProvidedError) as error:
            yield place, str(error)
            return
        choice.update(code=hashlib.sha256(text).hexdigest(), distribution=entry.distribution)
        yield from _declare(place, choice, text, entry.cls)


def _pin_module(
    place: tuple[str, ...], choice: Data, base: Path, taken: Mapping[str, object]
) -> Iterator[Problem]:
    path, kind = choice["module"], choice["kind"]
    if not isinstance(path, str) or not kind or kind in taken:
        choice.update(module=None, kind=place[1])
        told = "write it as path/to/file.py:ClassName"
        yield place, f"{kind} is the name of one of the lab's own; {told}" if kind else told
        return
    found = _located(path, base)
    try:
        text = found.read_bytes()
    except (OSError, ValueError) as error:
        yield (
            place,
            f"{found}: cannot read the module ({_reason(error)}); runs are known by its content, "
            "for status and report, too: correct the path, or put the file back there",
        )
        return
    choice.update(code=hashlib.sha256(text).hexdigest(), module=str(found.absolute()))
    tree = _parsed(text)
    for beside in taken_from_beside(tree, found):
        yield (
            place,
            f"{found}: imports {beside} from its own folder, but a module is known by its own "
            "content alone: put all of it into one file, or install it as a package",
        )
    yield from _declare(place, choice, text, kind)


def _declare(place: tuple[str, ...], choice: Data, text: bytes, cls: str) -> Iterator[Problem]:
    if place[0] == "regimes":
        try:
            choice["entry"] = declared_entry(_parsed(text), cls, f"{place[1]}:{cls}")
        except DeclarationError as error:
            choice["entry"] = declared_entry(_parsed(b""), cls, f"{place[1]}:{cls}")
            yield place, str(error)


def _parsed(text: bytes) -> ast.Module:
    """The file's syntax tree; an empty one where it has none, which is told when it is imported."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.parse("")


def _pin_weights(name: str, choice: Data, base: Path) -> Iterator[Problem]:
    given, place = choice["pretrained"], ("backbones", name, "pretrained")
    choice["pretrained"] = "none"
    if unknown := [key for key in given if key not in ("file", "sha256")]:
        yield (*place, unknown[0]), "unknown key; weights have 'file' and 'sha256'"
        return
    if not isinstance(given["file"], str):
        yield (*place, "file"), f"a path is needed (it is {given['file']!r})"
        return
    path, sha256 = _located(given["file"], base), given.get("sha256")
    if sha256 is None:
        # With a hash in the experiment the file need not be there to report on what is stored.
        try:
            sha256 = sha256_of(path)
        except (OSError, ValueError) as error:
            why = f"{path}: cannot read the weights ({_reason(error)})"
            yield (*place, "file"), f"{why}; with its sha256 given, status and report do without it"
            return
    choice["pretrained"] = {"origin": "file", "sha256": sha256, "path": str(path)}


def _pin_package(name: str, choice: Data) -> Iterator[Problem]:
    """The hash that is known of the package's file, which need not be there to report on what is
    stored; the file is held against it when it is read."""
    member = choice["options"].get("name")
    network = f"{choice['kind']}:{member}" if member else f"{choice['kind']}"
    if choice.get("module") is not None:
        network = f"a class of one's own ({choice['kind']})"
    try:
        choice["pretrained"] = {"origin": "package", "sha256": packaged_for(network).sha256}
    except WeightsError as error:
        choice["pretrained"] = "none"
        yield ("backbones", name, "pretrained"), str(error)


def _located(path: str, base: Path) -> Path:
    beside = base / path
    try:
        return beside if beside.exists() else Path(path)
    except ValueError:  # as of a name with a NUL in it
        return Path(path)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
