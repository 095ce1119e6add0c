"""Folders that results are written to, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from io import BufferedReader
from pathlib import Path
from typing import IO

RUNS, REPORTS = Path("runs"), Path("reports")


class WeightsError(RuntimeError):
    """A weights file that is missing, damaged, or of another architecture."""


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a file finds no room: on the disk, or in what a user may take."""


class DiskFullError(OSError):
    """No room for a file; the message names it, how much of it was written, and what is free."""

    @classmethod
    def of(cls, path: Path, written: int, number: int) -> DiskFullError:
        """With what is free where the file was to be."""
        there = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(there).free
        text = f"{os.strerror(number)}: {written:,} bytes of it were written, {free:,} are free"
        return cls(number, text, str(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def regular(path: Path) -> BufferedReader:
    """A file of somebody's, open for reading; raises OSError, also where it is a pipe or a device,
    for which one might wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def unwritable(folders: Iterable[Path]) -> list[str]:
    """One line for each folder that cannot be made or written to."""
    problems = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            problems.append(f"{folder}: cannot write there ({error.strerror}); choose another")
    return problems


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # read once: reading it sets it, which is not safe among threads


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Temporary file in the same folder, flush, fsync, rename, fsync of the folder. Raises OSError,
    of which DiskFullError where there is no room; then nothing is there that was not before."""
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
        with os.fdopen(descriptor, "wb") as handle:
            write(handle)
            os.fchmod(handle.fileno(), 0o666 & ~_UMASK)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(name, path)
    except BaseException as error:
        written = _remove(name) if name else 0
        if isinstance(error, OSError) and error.errno in FULL:
            raise DiskFullError.of(path, written, error.errno) from error
        raise
    # The file is there by now, and whole: that its name outlives a power cut is all that is left.
    with contextlib.suppress(OSError):
        _sync(path.parent)


def _remove(name: str) -> int:
    """Remove a file, and say how large it was."""
    try:
        size = os.stat(name).st_size
        os.unlink(name)
    except OSError:
        return 0
    return size


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
