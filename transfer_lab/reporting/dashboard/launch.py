"""Start the dashboard: a server for this machine alone, until it is stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.dashboard.lab import Lab
from transfer_lab.reporting.dashboard.server import Server
from transfer_lab.store.running import running

FOLDER = Path("experiments")


def launch(
    experiments: Sequence[Path], overrides: Sequence[str], runs: Path, *, host: str, port: int
) -> None:
    """Serve the page until it is stopped. Raises ConfigError where there is nothing to look at, or
    the port is taken."""
    with opened(experiments, overrides, runs, host=host, port=port) as server:
        print(f"dashboard: {server.url} (Ctrl-C ends it)", flush=True)
        threading.Thread(target=_warm, args=(server,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def opened(
    experiments: Sequence[Path], overrides: Sequence[str], runs: Path, *, host: str, port: int
) -> Server:
    """The server, its port taken; raises ConfigError as `launch`."""
    for path in experiments:
        load_experiment(path, overrides)  # what is named must be valid; what is found may be not
    if not experiments and not offered(FOLDER) and not running(runs):
        raise ConfigError([f"{FOLDER}/: no experiments there; name one or more"])
    named = tuple(experiments)
    lab = Lab(lambda: named or offered(FOLDER), overrides, runs)
    try:
        return Server(lab, host, port)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            [f"--port {port}: cannot be served at {host} ({what}); choose another"]
        ) from error


def offered(folder: Path) -> list[Path]:
    """The experiments that lie in a folder, by name."""
    return sorted(folder.glob("*.yaml"))


def _warm(server: Server) -> None:
    """Compute what is shown first while the browser starts."""
    with server.lab.lock:
        name = server.lab.default()
    if name is not None:
        for path in ("/api/facets", "/api/comparison", "/api/cards"):
            server.answer(path, {"experiment": [name]})
