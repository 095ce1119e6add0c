"""Engines: where runs execute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.grid.engines.errors import EngineError
from transfer_lab.system import host
from transfer_lab.system.workers import Workers

if TYPE_CHECKING:
    from transfer_lab.grid.engines.local import LocalEngine
    from transfer_lab.grid.engines.ray import RayEngine


def start(
    workers: Workers, runs: int, store: Path, warn: Callable[[str], None]
) -> LocalEngine | RayEngine:
    """The engine, with no more workers than there are runs. EngineError if it cannot be had."""
    if workers.engine == "ray":
        from transfer_lab.grid.engines.ray import RayEngine

        return RayEngine(
            store=store,
            runs=runs,
            jobs=workers.jobs,
            threads=workers.threads,
            gpus_per_run=workers.gpus_per_run,
            warn=warn,
        )
    if workers.gpus_per_run is not None:
        raise EngineError("--gpus-per-run needs --engine ray: local workers share the first GPU")
    from transfer_lab.grid.engines.local import LocalEngine

    return LocalEngine(min(workers.jobs or host.cores(), runs), workers.threads)
