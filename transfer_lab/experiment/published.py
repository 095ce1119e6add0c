"""Weights that others publish for a network, as they lie on this machine: what they hold goes into
an experiment, since a hub's cache keeps them by name."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.registry import MissingExtraError
from transfer_lab.experiment.spec import Experiment
from transfer_lab.system.files import regular

VGG16 = {False: "vgg16-397923af.pth", True: "vgg16_bn-6c64b313.pth"}
"""By whether there is batch norm, the file of torchvision, which is asked for no other network
without being imported."""


def published_sha256(kind: str, options: Mapping[str, object]) -> str | None:
    """SHA-256 of the published weights of a network of the lab's own.

    None where they are not on this machine, or are not what their name says: either is told by
    whoever needs them. For any network but VGG16 its library is asked, which takes seconds to
    import.
    """
    path = _place(kind, options)
    if path is None:
        return None
    try:
        with regular(path) as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return None
    return sha256 if sha256.startswith(named_sha256(path)) else None


def unknown_weights(experiment: Experiment) -> list[str]:
    """The backbones whose published weights are not on this machine and are not named by content,
    so that runs which start from them cannot be told from others."""
    starts = {name: choice.pretrained for name, choice in experiment.backbones.items()}
    return [n for n, w in starts.items() if w == Weights(origin="imagenet")]


def named_sha256(path: Path) -> str:
    """The SHA-256 by which the file is called, or its beginning, or nothing: torchvision's end in
    some digits of it, and a file of the Hugging Face cache is a link to one of that name."""
    blob = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", blob):
        return blob
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    return found[1] if found else ""


def hub_folder() -> Path:
    """Where torch.hub keeps what it has downloaded."""
    if torch := sys.modules.get("torch"):
        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _place(kind: str, options: Mapping[str, object]) -> Path | None:
    if kind == "vgg16":
        return hub_folder() / "checkpoints" / VGG16[bool(options.get("batch_norm"))]
    try:
        found = BACKBONES.load(kind).publishes(**options)  # type: ignore[attr-defined]
    except (MissingExtraError, ValueError, TypeError, LookupError):  # told where it is built
        return None
    return found.find() if found else None
