"""What a Ray worker does: takes its place, then executes call after call."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from transfer_lab.grid.engines.worker_process import become_worker
from transfer_lab.system import host


class PlaceError(OSError):
    """A worker stands where it cannot do the runs' work."""


@dataclass(frozen=True)
class Place:
    """What every worker must find: the store, the folder of the command, and the same code."""

    marker: Path
    folder: Path
    code: str

    @classmethod
    def of_this_process(cls, store: Path) -> Place:
        """This process's folder and code, and a new file in the store for others to find.

        A new one for each grid, so that no copy of the store can pass for the store.
        """
        marker = store.resolve() / "ray" / f".tmp-{secrets.token_hex(8)}"
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return cls(marker, Path.cwd(), code())

    def problem(self) -> str | None:
        """Why runs cannot be executed here, or None."""
        if not self.marker.exists():
            store = self.marker.parent.parent
            return f"does not see the store {store}; --runs must be a path that all nodes share"
        if not os.access(self.marker.parent.parent, os.W_OK):
            return f"cannot write into the store {self.marker.parent.parent}"
        if not self.folder.is_dir():
            return f"does not see {self.folder}; give the command in a folder that all nodes share"
        if code() != self.code:
            return "has another version of transfer_lab; install the same one on all nodes"
        return None

    def leave(self) -> None:
        """Remove the file from the store."""
        self.marker.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another grid's file is there
            self.marker.parent.rmdir()


class Worker:
    """A process of the cluster that executes one call at a time."""

    def begin(self, place: Place, threads: int, gpus: float) -> str:
        """Take the place and import what is heavy; gives the host's name."""
        if problem := place.problem():
            raise PlaceError(f"Ray node {host.name()}: {problem}")
        os.chdir(place.folder)  # relative paths of an experiment start there
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        become_worker(threads)
        if gpus:
            take_gpu_share(gpus)
        return host.name()

    def alive(self) -> None:
        """Answer: what is called next begins in a living process."""

    def run(self, call: Callable[..., object], args: tuple[object, ...]) -> object:
        """Execute the call."""
        return call(*args)


def take_gpu_share(share: float) -> None:
    """Keep this process to its share of the GPU's memory: Ray's shares only count."""
    import torch

    if not torch.cuda.is_available():
        raise PlaceError(
            f"Ray node {host.name()}: Ray counts a GPU there, but torch finds none; install a "
            "torch for it, or run on CPUs with --gpus-per-run 0"
        )
    if share < 1:
        torch.cuda.set_per_process_memory_fraction(share)


@cache
def code() -> str:
    """Hash of the source files of the whole package."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
