"""Runs of MLflow: in a database below the store, or where MLFLOW_TRACKING_URI says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.reporting.trackers.copies import Copy

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger
    from mlflow.entities import Metric

DATABASE = "mlflow.db"
_ID = "transfer_lab.id"
_AT_ONCE = 1000
"""Metrics that MLflow takes in one call."""
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""A server out of reach is given up soon, and nobody is told of what is logged."""


def write(copy: Copy, folder: Path) -> Path | None:
    """Write one cell; one that was written before is deleted. Returns the database, or None where
    it is a server's."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    from lightning.pytorch.loggers import MLFlowLogger

    elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
    database = folder.absolute() / DATABASE
    if not elsewhere:
        folder.mkdir(parents=True, exist_ok=True)
    logger = MLFlowLogger(
        copy.group,
        run_name=copy.place,
        tracking_uri=elsewhere or f"sqlite:///{database}",
        tags={_ID: copy.id, "job_type": copy.job_type, **dict.fromkeys(copy.tags, "true")},
        artifact_location=None if elsewhere else (folder.absolute() / "artifacts").as_uri(),
    )
    _forget(logger, copy)
    logger.log_hyperparams(copy.options)
    metrics = [*_metrics(copy)]
    for first in range(0, len(metrics), _AT_ONCE):  # the logger's own calls are one an epoch
        logger.experiment.log_batch(logger.run_id, metrics[first : first + _AT_ONCE])
    logger.finalize("success")
    return None if elsewhere else database


def _forget(logger: MLFlowLogger, copy: Copy) -> None:
    """Delete what an interrupted copy has left, all but the run that was just begun."""
    client, begun = logger.experiment, logger.run_id
    for run in client.search_runs([logger.experiment_id], f"tags.`{_ID}` = '{copy.id}'"):
        if run.info.run_id != begun:
            client.delete_run(run.info.run_id)


def _metrics(copy: Copy) -> Iterator[Metric]:
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    for row in copy.curve:
        for name, value in row.items():
            yield Metric(name, value, now, int(row["epoch"]))
    for name, value in copy.numbers.items():
        yield Metric(name, value, now, copy.last)
