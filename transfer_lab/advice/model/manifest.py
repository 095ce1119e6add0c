"""What a model's folder holds, by its model.json, with the checksum of each file. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from transfer_lab.advice.album.album import RefusedError
from transfer_lab.system.sealed_json import opened, sealed

MANIFEST = "model.json"
ONNX, TENSORS, TIMM_CONFIG = "model.onnx", "model.safetensors", "config.json"
BATCH = "n"
"""What the ONNX file calls the number of images."""
CHECKPOINT, REFERENCE = "model.ckpt", "reference.npz"
ADVICE, EXPERIMENT, CARD = "advice.json", "experiment.yaml", "README.md"

Format = Literal["safetensors", "onnx", "checkpoint"]
FORMATS: tuple[Format, ...] = ("safetensors", "onnx", "checkpoint")
"""In which the network is written; everything else is always there."""


class ModelFolderError(RefusedError):
    """A folder that a model cannot be written to, or that holds no whole model; the message names
    it and the way out."""


class Manifest(BaseModel):
    """The content of model.json.

    `network`: as the lab writes it; `backbone`: what it is built from. `head`: the name of the
    classifier's tensors in model.safetensors. `timm`: the network's name there, where timm loads
    the folder. `mean`, `std`: of images scaled to 0 to 1, for each channel. `files`: SHA-256 by
    name.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_: Literal[1] = Field(1, alias="schema")
    classes: tuple[str, ...]
    network: str
    backbone: dict[str, Any]
    module: str | None = None
    """The Python file of a backbone of one's own, where it lay."""
    shaped_by: dict[str, Any] | None = None
    """The regime that it was trained by, where that may have left stages out."""
    head: str
    timm: str | None = None
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    files: dict[str, str]
    versions: dict[str, str]

    def write(self, folder: Path) -> None:
        """Last of all: without it a folder is no model."""
        content = sealed(self.model_dump(mode="json", by_alias=True))
        (folder / MANIFEST).write_bytes(content)


def read_manifest(folder: Path) -> Manifest:
    """What the folder holds; raises ModelFolderError where that is no model, or a damaged one."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        what = "no such folder" if not folder.is_dir() else f"no model: {MANIFEST} is missing in it"
        if folder.is_dir() and path.exists():
            what = f"{MANIFEST} cannot be read ({error.strerror})"
        told = "name the folder that `transfer-lab train` has written"
        raise ModelFolderError(f"{folder}: {what}; {told}") from error
    try:
        return Manifest.model_validate_json(opened(content))
    except ValueError as error:  # pydantic's is one, too
        reason = str(error).partition("\n")[0]
        raise ModelFolderError(
            f"{path}: damaged, or of another version of the lab ({reason}); train the model anew, "
            "or copy the folder again"
        ) from error


def whole(folder: Path, manifest: Manifest, name: str) -> Path | None:
    """A file of the model, None where the folder has none of that name; raises ModelFolderError
    where it is not the one that was written."""
    path = folder / name
    if name not in manifest.files or not path.exists():
        return None
    if sha256_of(path) != manifest.files[name]:
        raise ModelFolderError(
            f"{path}: damaged: it is not the file that was written with the model; copy the "
            "folder again, or train the model anew"
        )
    return path


def sha256_of(path: Path) -> str:
    """Of a file's content; raises ModelFolderError where it cannot be read."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise ModelFolderError(f"{path}: cannot be read ({error.strerror})") from error
