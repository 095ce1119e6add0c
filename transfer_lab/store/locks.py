"""Which runs this process is training, so that no other one trains them at the same time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None

NAME = ".lease"
_TRIES = 100


class RunLocks:
    """A lock on a file in the folder of each run that this process trains.

    The lock belongs to the process and ends with it, however that ends. Where the file system has
    no such locks, every lease is granted: two calls may then train the same run, and the record
    that is stored last stays.
    """

    def __init__(self, root: Path):
        self._root = root
        self._held: dict[str, int] = {}

    def __enter__(self) -> RunLocks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for run_id in tuple(self._held):
            self.give_back(run_id)

    def take(self, run_id: str) -> bool:
        """Whether the run is now this process's to train; False while another one has it."""
        if fcntl is None:
            return True
        path = self._root / run_id / NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = _locked(path)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._held[run_id] = handle
        return True

    def give_back(self, run_id: str) -> None:
        """Let others have the run, even if its file cannot be removed: only the lock counts."""
        handle = self._held.pop(run_id, None)
        if handle is None:
            return
        try:
            # Removed while it is locked: who has opened it meanwhile finds that it is not the file.
            with contextlib.suppress(OSError):
                (self._root / run_id / NAME).unlink(missing_ok=True)
        finally:
            with contextlib.suppress(OSError):
                os.close(handle)


def _locked(path: Path) -> int:
    """The file, open and locked. Raises BlockingIOError while another process has it."""
    for _ in range(_TRIES):
        handle = _locked_once(path)
        if handle is not None:
            return handle
    raise OSError(f"{path}: what is locked is never the file of that name")


def _locked_once(path: Path) -> int | None:
    """None where the owner removed the file after it was opened here and before it was locked."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
