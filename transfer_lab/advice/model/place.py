"""A folder that is there whole or not at all. No torch."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transfer_lab.advice.model.manifest import (
    ADVICE,
    CARD,
    CHECKPOINT,
    EXPERIMENT,
    MANIFEST,
    ONNX,
    REFERENCE,
    TENSORS,
    TIMM_CONFIG,
    ModelFolderError,
)
from transfer_lab.system.files import FULL

_OWN = {
    *(ADVICE, CARD, CHECKPOINT, EXPERIMENT, MANIFEST, ONNX, REFERENCE, TENSORS, TIMM_CONFIG),
}
_NAMED = 3


def check_place(folder: Path, *, force: bool = False) -> None:
    """Raise ModelFolderError where a model cannot be written; best asked before training.

    A model that is there already is overwritten with `force` alone, and anything else never.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise ModelFolderError(f"{folder}: is a file; name a folder for the model")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if held:
        _check_held(folder, held, force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_prefix(folder), dir=folder.parent):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


@contextmanager
def replaced(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """An empty folder beside it that takes its place at the end, flushed to disk, or leaves no
    trace where anything goes wrong; raises ModelFolderError as `check_place` does, and where the
    disk is full."""
    check_place(folder, force=force)
    folder = folder.resolve()
    try:
        beside = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield beside
        beside.chmod(0o755)
        for path in (*beside.iterdir(), beside):
            _flush(path)
        _exchange(beside, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_held(folder: Path, held: list[str], force: bool) -> None:
    if MANIFEST not in held:
        raise ModelFolderError(
            f"{folder}: holds other things than a model, and is left alone; name a folder that "
            "is not there yet"
        )
    if foreign := [name for name in held if name not in _OWN]:
        raise ModelFolderError(
            f"{folder}: holds {', '.join(foreign[:_NAMED])} beside a model, and is left alone; "
            "name another folder"
        )
    if not force:
        raise ModelFolderError(
            f"{folder}: holds a model already; overwrite it with --force, or name another folder"
        )


def _exchange(beside: Path, folder: Path) -> None:
    """Rename it to its place; what was there is taken away only once it stands."""
    old = None
    if folder.exists() and any(folder.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent)) / "old"
        os.rename(folder, old)
    try:
        os.rename(beside, folder)
    except OSError:
        if old:
            os.rename(old, folder)
        raise
    finally:
        if old:
            shutil.rmtree(old.parent, ignore_errors=True)
    _flush(folder.parent)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.partly-"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> ModelFolderError:
    if error.errno in FULL:
        return ModelFolderError(
            f"{folder}: the disk is full; make room, or name a folder on another disk. Nothing "
            "was left behind"
        )
    reason = error.strerror or str(error)
    return ModelFolderError(f"{folder}: cannot be written ({reason}); name another folder")
