"""What Ray workers execute for the tests of the engine: imported there, so kept light."""

import os
import time
from pathlib import Path

from transfer_lab.grid.engines.ray_worker import Place, PlaceError, Worker


class LightWorker(Worker):
    """Begins without importing torch, which takes seconds."""

    def begin(self, place: Place, threads: int, gpus: float) -> str:
        if problem := place.problem():
            raise PlaceError(problem)
        return "light"


class DyingWorker(Worker):
    """Never begins."""

    def begin(self, place: Place, threads: int, gpus: float) -> str:
        os._exit(5)


def node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()


def whoami(seconds: float = 0.0) -> tuple[int, str]:
    time.sleep(seconds)
    return os.getpid(), node_id()


def gpu_ids(seconds: float = 0.0) -> list[str]:
    import ray

    time.sleep(seconds)
    return [str(gpu) for gpu in ray.get_gpu_ids()]


def refuse(message: str) -> None:
    raise ValueError(message)


def die(diary: Path, times: int) -> int:
    """End the process the first `times` times; the diary has a line for each time."""
    with diary.open("a") as handle:
        handle.write("begun\n")
    begun = len(diary.read_text().splitlines())
    if begun <= times:
        os._exit(9)
    return begun


def hold(diary: Path, seconds: float = 120.0) -> str:
    """Say where this runs, and take long."""
    diary.write_text(node_id())
    time.sleep(seconds)
    return node_id()


def held_at_first(diary: Path, held: str, train, runs, keep_weights: bool):
    """Train, but take long over one run when it is trained for the first time."""
    if held in {run.id for run in runs} and not diary.exists():
        hold(diary)
    return train(runs, keep_weights)
