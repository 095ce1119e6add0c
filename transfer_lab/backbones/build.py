"""Architecture -> backbone: registered kinds, and classes from a Python file of the user's own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Architecture


class ModuleError(ValueError):
    """A Python file of the user's own that gives no backbone; the message names it."""


def backbone_class(choice: Architecture) -> type[Backbone]:
    """The class behind a choice; a file of the user's own is imported, once per process.

    Raises ModuleError for a file that has changed, cannot be imported, or has no such Backbone.
    """
    if choice.module is None:
        return BACKBONES.load(choice.kind)
    path = Path(choice.module)
    found = getattr(_imported(path, choice.code), choice.kind, None)
    if not (isinstance(found, type) and issubclass(found, Backbone)):
        raise ModuleError(
            f"{path}: no class {choice.kind} that derives from "
            "transfer_lab.backbones.base.Backbone in it"
        )
    return found


def build_backbone(choice: Architecture, image_size: int) -> Backbone:
    """The backbone with fresh weights."""
    backbone = backbone_class(choice)(image_size, **choice.arguments)
    return described(backbone, choice, image_size)


def described(backbone: Backbone, choice: Architecture, image_size: int) -> Backbone:
    """The backbone with what it was built from noted on it."""
    backbone.options, backbone.image_size = choice.arguments, image_size
    return backbone


def _imported(path: Path, code: str | None) -> object:
    name = f"transfer_lab_module_{code}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"{path}: cannot read the module ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != code:
        raise ModuleError(f"{path}: the module has changed since the experiment was read")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ModuleError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anything may go wrong in somebody's file
        del sys.modules[name]
        raise ModuleError(
            f"{path}: cannot be imported ({type(error).__name__}: {error})"
        ) from error
    return module
