"""Rendered or decoded images on disk: computed once, memory-mapped by every run and process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from transfer_lab.records import write_atomically


def stored_array(
    folder: Path | None, name: str, build: Callable[[], np.ndarray]
) -> tuple[np.ndarray, float]:
    """The array that `build` makes and the seconds that making it took, then or now.

    `name` is the hash of what determines it; a file that does not read back whole is built again.
    Without a folder, or where it cannot be written, the array lives in memory.
    """
    if folder is None:
        return _timed(build)
    path, note = folder / f"{name}.npy", folder / f"{name}.json"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False), json.loads(note.read_text())
    except (OSError, ValueError):
        pass  # absent or damaged: either way it is built below and replaced
    array, seconds = _timed(build)
    try:
        write_atomically(path, lambda handle: np.save(handle, array, allow_pickle=False))
        write_atomically(note, lambda handle: handle.write(json.dumps(seconds).encode()))
    except OSError:
        return array, seconds  # a full or read-only disk costs the cache, not the result
    return np.load(path, mmap_mode="r", allow_pickle=False), seconds


def digest(key: object) -> str:
    """Hash of a key, for a file name."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def _timed(build: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    array = build()
    return array, time.perf_counter() - start
