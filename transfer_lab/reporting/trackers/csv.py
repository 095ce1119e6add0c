"""Plain files: `<folder>/<experiment>/<place>/metrics.csv`, and hparams.yaml beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from transfer_lab.reporting.trackers.copies import Copy


def write(copy: Copy, folder: Path) -> Path:
    """Write one cell; one that was written before is written anew. Returns the folder of its
    files."""
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(folder, name=copy.group, version=copy.folder)
    shutil.rmtree(logger.log_dir, ignore_errors=True)
    logger.log_hyperparams(copy.options)
    for row in copy.curve:
        logger.log_metrics(dict(row), step=int(row["epoch"]))
    logger.log_metrics(copy.numbers, step=copy.last)
    logger.finalize("success")
    return Path(logger.log_dir)
