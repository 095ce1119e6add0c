"""Arrays on disk with their checksum: what a damaged or exchanged file cannot pass for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from transfer_lab.system.files import write_atomically
from transfer_lab.system.sealed_json import opened, sealed

if TYPE_CHECKING:
    import numpy as np


class Stored(NamedTuple):
    """An array and the seconds that making it took."""

    array: np.ndarray
    seconds: float


class _Note(NamedTuple):
    """`<name>.json`, beside `<name>.npy`: which array that is, the checksum of its whole file, in
    which its shape and its type stand, and the seconds that making it took."""

    of: str
    sha256: str
    seconds: float


class Sealing:
    """A file that is written, and the checksum of what was."""

    def __init__(self, handle: IO[bytes]):
        self._handle, self._digest = handle, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        """Write all of it."""
        self._digest.update(content)
        return self._handle.write(content)

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()


def put(folder: Path, name: str, write: Callable[[Sealing], float]) -> float:
    """Store the array file that `write` writes, with the seconds that it returns; raises OSError.
    Until both are there, nothing is."""
    notes: list[_Note] = []

    def sealing(handle: IO[bytes]) -> None:
        file = Sealing(handle)
        seconds = write(file)
        notes.append(_Note(name, file.sha256, seconds))

    write_atomically(folder / f"{name}.npy", sealing)
    note = sealed(notes[0]._asdict())
    write_atomically(folder / f"{name}.json", lambda handle: handle.write(note))
    return notes[0].seconds


def find(folder: Path, name: str) -> Stored | None:
    """The array, mapped; None where there is none that is as it was written."""
    try:
        note = _Note(**json.loads(opened((folder / f"{name}.json").read_bytes())))
        stamp = (path := folder / f"{name}.npy").stat()
        sha256 = _sha256(path, stamp.st_ino, stamp.st_mtime_ns, stamp.st_size)
        if (note.of, note.sha256) != (name, sha256) or not math.isfinite(note.seconds):
            return None
        return Stored(mapped(folder, name), note.seconds)
    except (OSError, ValueError, TypeError):
        return None


def older(folder: Path, name: str) -> np.ndarray | None:
    """An array from a time when a note held the seconds alone: good enough to be looked at, and
    made again where a result is to come of it. None where there is none."""
    try:
        seconds = json.loads((folder / f"{name}.json").read_bytes())
        return mapped(folder, name) if isinstance(seconds, float) else None
    except (OSError, ValueError):
        return None


def mapped(folder: Path, name: str) -> np.ndarray:
    """The array of that name; raises OSError or ValueError where there is none."""
    import numpy as np

    found: np.ndarray = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return found


@lru_cache(maxsize=256)
def _sha256(path: Path, _ino: int, _mtime: int, _size: int) -> str:
    """Once per process for as long as the file does not change: every run asks for its images."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
