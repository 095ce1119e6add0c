"""What a search tried, and which trial validation chose. No torch."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from transfer_lab.experiment.choices import Options


class Trial(NamedTuple):
    """One fit on the training images alone, and what the validation images say of it.

    `seconds` are those of the fit, `feature_seconds` those of frozen outputs that neither an
    earlier trial nor the final fit computes; what a diverged trial measured is not known.
    """

    options: Options
    val_accuracy: float | None
    val_loss: float | None
    epochs: int
    steps: int
    seconds: float
    status: Literal["done", "diverged"] = "done"
    feature_seconds: float = 0.0


def choose(trials: Iterable[Trial]) -> int | None:
    """Place of the trial with the best validation accuracy; among equals that with the lowest
    validation loss, then the first. None if all have diverged."""
    done = [(place, trial) for place, trial in enumerate(trials) if trial.status == "done"]
    if not done:
        return None
    return min(done, key=lambda item: (-item[1].val_accuracy, item[1].val_loss, item[0]))[0]


def trial_of(options: Options, last: dict[str, float | None], seconds: float) -> Trial:
    """The trial that ended with this epoch; diverged if its validation loss is not finite."""
    loss, accuracy = last.get("val_loss"), last.get("val_accuracy")
    sound = loss is not None and math.isfinite(loss)
    return Trial(
        options,
        accuracy if sound else None,
        loss if sound else None,
        last.get("epoch", 0),
        last.get("steps", 0),
        seconds,
        "done" if sound else "diverged",
    )


def to_csv(trials: Iterable[Trial], chosen: int | None) -> bytes:
    """One row a trial, in the order in which they were tried."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("trial", *Trial._fields, "chosen"))
    for place, trial in enumerate(trials):
        options = json.dumps(trial.options, sort_keys=True)
        writer.writerow((place + 1, options, *trial[1:], place == chosen))
    return text.getvalue().encode()
