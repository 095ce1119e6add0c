"""Start the dashboard: Streamlit, for this machine alone, without usage statistics."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.yaml_source import ConfigError

FOLDER = Path("experiments")
_SETTINGS = {
    "server.address": "127.0.0.1",
    "server.showEmailPrompt": "false",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
}


def launch(experiments: list[Path], runs: Path, port: int) -> NoReturn:
    """Serve the page until it is stopped."""
    absent = [name for name in ("streamlit", "plotly") if find_spec(name) is None]
    if absent:
        how = "install it with: pip install 'transfer-lab[dashboard]', or make dashboard"
        raise ConfigError([f"the dashboard needs {' and '.join(absent)}; {how}"])
    for path in experiments:
        load_experiment(path)  # what is named must be valid; what is found may be left out
    if not experiments and not offered(FOLDER):
        raise ConfigError([f"{FOLDER}/: no experiments there; name one or more"])
    words = command(experiments, runs, port)
    os.execv(words[0], words)  # the server is this process, so that it ends with it


def command(experiments: list[Path], runs: Path, port: int) -> list[str]:
    """The words that start the server."""
    page = Path(__file__).with_name("page.py")
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    words = ["-m", "streamlit", "run", str(page), *settings, f"--server.port={port}"]
    return [sys.executable, *words, "--", str(runs), *map(str, experiments)]


def offered(folder: Path) -> list[Path]:
    """The experiments that lie in a folder, by name."""
    return sorted(folder.glob("*.yaml"))
