"""Runs for TensorBoard: `<folder>/<experiment>/<place>`, an event file each."""

from __future__ import annotations

import shutil
from pathlib import Path

from transfer_lab.reporting.trackers.copies import Copy


def write(copy: Copy, folder: Path) -> Path:
    """Write one cell; one that was written before is written anew. Returns the folder of its
    run."""
    from lightning.pytorch.loggers import TensorBoardLogger

    logger = TensorBoardLogger(
        folder, name=copy.group, version=copy.folder, default_hp_metric=False
    )
    shutil.rmtree(logger.log_dir, ignore_errors=True)
    for row in copy.curve:
        logger.log_metrics(dict(row), step=int(row["epoch"]))
    logger.log_hyperparams(copy.options, copy.numbers)
    logger.finalize("success")
    return Path(logger.log_dir)
