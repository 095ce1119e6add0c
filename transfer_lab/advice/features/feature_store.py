"""Features of photographs on disk, by content: computed once, whatever becomes of the file. No
torch."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transfer_lab.advice.features.looks import THUMBNAIL, Look

MOST_ROWS = 200_000
"""In one file; the oldest go first. One and a half gigabytes of Lite0's."""
_PATIENCE_S = 5.0
_TABLE = "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, body BLOB)"
_PART = 500


class Row(NamedTuple):
    """What a photograph's extraction gave, its thumbnail among it, and the seconds that it took."""

    values: np.ndarray
    look: Look
    thumbnail: np.ndarray
    seconds: float


def cache_folder() -> Path:
    """Where features are kept for the next time: in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "transfer_lab" / "advice"


class FeatureStore:
    """`<folder>/<key>.sqlite`: a row a photograph, by the hash of its content, with a checksum.

    A damaged row or file counts as absent and is replaced. A place that cannot be read or written
    costs the cache, not the result; `problem` then says why. Several processes may share it.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, object]):
        self.problem: str | None = None
        self._db: sqlite3.Connection | None = None
        if folder is None:
            return
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
        self.path = folder / f"{name}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def get(self, hashes: Iterable[str]) -> dict[str, Row]:
        """The rows that are there and whole."""
        if self._db is None:
            return {}
        wanted = list(dict.fromkeys(hashes))
        found: dict[str, Row] = {}
        try:
            for start in range(0, len(wanted), _PART):
                part = wanted[start : start + _PART]
                marks = ",".join("?" * len(part))
                # Of others' text there are only question marks in it.
                query = f"SELECT key, body FROM rows WHERE key IN ({marks})"  # nosec B608
                for key, body in self._db.execute(query, part):
                    with suppress(ValueError, TypeError, KeyError):
                        found[key] = _unpacked(key, body)
        except sqlite3.DatabaseError:
            self._begin_anew()
        return found

    def put(self, rows: Mapping[str, Row]) -> None:
        """Keep these rows."""
        if self._db is None or not rows:
            return
        packed = [(key, _packed(key, row)) for key, row in rows.items()]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", packed)
                self._db.execute(
                    "DELETE FROM rows WHERE rowid <= (SELECT max(rowid) FROM rows) - ?",
                    (MOST_ROWS,),
                )
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def close(self) -> None:
        """Nothing can be got or put any more."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.OperationalError:  # a place that cannot be written: to begin anew helps none
            raise
        except sqlite3.DatabaseError:
            self._begin_anew()

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.path, timeout=_PATIENCE_S)
        # What is lost with the power is computed again: no need to wait for the disk.
        self._db.execute("PRAGMA synchronous = OFF")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            with self._db:
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, body BLOB)"
                )
                self._db.execute("PRAGMA user_version = 1")

    def _begin_anew(self) -> None:
        self.close()
        try:
            self.path.unlink(missing_ok=True)
            Path(f"{self.path}-journal").unlink(missing_ok=True)
            self._connect()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = f"{self.path.parent}: nothing can be kept there ({error})"
        with suppress(sqlite3.Error):
            self.close()
        self._db = None


def _packed(key: str, row: Row) -> bytes:
    head = json.dumps([*row.look, row.seconds]).encode()
    values = np.ascontiguousarray(row.values, np.float32).tobytes()
    body = head + b"\n" + np.ascontiguousarray(row.thumbnail, np.uint8).tobytes() + values
    return _sum(key, body) + body


def _unpacked(key: str, content: bytes) -> Row:
    """Raises ValueError where it is damaged."""
    body = content[4:]
    if content[:4] != _sum(key, body):
        raise ValueError("checksum does not match")
    head, _, rest = body.partition(b"\n")
    width, height, taken, frame, seconds = json.loads(head)
    look = Look(width, height, taken, tuple(frame))
    pixels, values = rest[: THUMBNAIL**2], rest[THUMBNAIL**2 :]
    thumbnail = np.frombuffer(pixels, np.uint8).reshape(THUMBNAIL, THUMBNAIL)
    return Row(np.frombuffer(values, np.float32), look, thumbnail, seconds)


def _sum(key: str, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(key.encode())).to_bytes(4, "big")
