"""Results that belong to a content: a file each, with its checksum, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import write_atomically
from transfer_lab.system.sealed_json import opened, sealed


class Sealed(BaseModel):
    """A result that names what it belongs to, so that a file that was moved is not taken."""

    of: str
    """Id of what was measured."""


T = TypeVar("T", bound=Sealed)


class SealedStore(Generic[T]):
    """`<runs>/<folder>/<id>.json`, one result each.

    `again`: what is said to happen to a damaged one, as "measured again".
    """

    def __init__(self, store: RecordStore, folder: str, kind: type[T], again: str):
        self.runs, self._folder, self._kind, self._again = store, folder, kind, again

    def path(self, of: str) -> Path:
        """Where the result lies."""
        return self.runs.root / self._folder / f"{of}.json"

    def get(self, of: str) -> T | None:
        """The stored result, or None; a damaged one is named, and counts as absent."""
        path = self.path(of)
        try:
            found = self._kind.model_validate_json(opened(path.read_bytes()))
            if found.of != of:
                raise ValueError(f"it belongs to {found.of}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as problem:
            reason = str(problem).partition("\n")[0]
            self.runs.warn(f"{path}: damaged ({reason}); will be {self._again}")
            return None
        return found

    def put(self, result: T) -> None:
        """Store a result durably."""
        content = sealed(result.model_dump(mode="json"))
        write_atomically(self.path(result.of), lambda handle: handle.write(content))
