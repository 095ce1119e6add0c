"""Results belong to contents: folders, weights files and modules go into an experiment by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.experiment.shorthand import Problem, choices
from transfer_lab.experiment.yaml_source import Data
from transfer_lab.system.image_folder import DataUnavailable, list_images


def pin_contents(data: Data, base: Path) -> list[Problem]:
    """Fill in the hash of every folder, weights file and module that the experiment names.

    `data` is in full form and is changed in place. Modules and weights are looked for beside the
    experiment (`base`) first, then from where the command runs. Returns what cannot be read.
    """
    problems = []
    for name, choice in choices(data, "domains"):
        kind = choice["kind"]
        if isinstance(kind, str) and kind in DOMAINS and DOMAINS[kind].in_folder:
            problems += [((*place,), text) for place, text in _pin_folder(name, choice)]
        elif "root" in choice["options"]:
            # Published data are the same wherever they lie.
            choice["root"] = choice["options"].pop("root")
    for name, choice in choices(data, "backbones"):
        problems += _pin_module(name, choice, base)
        if isinstance(choice.get("pretrained"), dict) and "file" in choice["pretrained"]:
            problems += _pin_weights(name, choice, base)
    return problems


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content; raises OSError."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _pin_folder(name: str, choice: Data) -> Iterator[Problem]:
    options = choice["options"]
    root = options.pop("root", None)
    if not isinstance(root, str):
        yield ("domains", name), "'root' is missing: the folder of the images"
        return
    try:
        options["content"] = list_images(root).fingerprint
    except (DataUnavailable, ValueError) as error:
        yield ("domains", name, "root"), str(error)
    choice["root"] = root


def _pin_module(name: str, choice: Data, base: Path) -> Iterator[Problem]:
    path = choice.get("module")
    if path is None:
        return
    place = ("backbones", name, "module")
    if not isinstance(path, str) or not choice["kind"]:
        choice.update(module=None, kind=str(name))
        yield place, "write it as path/to/file.py:ClassName"
        return
    found = _located(path, base)
    try:
        choice.update(code=sha256_of(found), module=str(found))
    except (OSError, ValueError) as error:
        yield (
            place,
            f"{found}: cannot read the module ({_reason(error)}); runs are known by its content, "
            "for status and report, too: correct the path, or put the file back there",
        )


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


def _located(path: str, base: Path) -> Path:
    beside = base / path
    try:
        return beside if beside.exists() else Path(path)
    except ValueError:  # as of a name with a NUL in it
        return Path(path)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
