"""Folders that results are written to, and whether they can be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

RUNS, REPORTS = Path("runs"), Path("reports")
IMAGES, ACTIVATIONS = "images", "activations"
"""Where, below the runs, decoded images and the outputs of frozen stages are kept for all runs."""


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
