"""What a search tried, and which trial validation chose. No torch."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from transfer_lab.experiment.choices import Options


class TrialsError(RuntimeError):
    """A search has left no trials, or others than a run asks for."""


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


def choose_over(searches: Sequence[Sequence[Trial]]) -> int | None:
    """Place of the trial with the best mean validation accuracy over searches of the same trials;
    among equals that with the lowest mean validation loss, then the first. One that has diverged in
    any search loses; None if every one has."""
    return choose(over(searches))


def over(searches: Sequence[Sequence[Trial]]) -> tuple[Trial, ...]:
    """The trials of several searches as if they were of one: their means, and diverged if they have
    in any."""
    return tuple(_over(tried) for tried in zip(*searches, strict=True))


def _over(tried: Sequence[Trial]) -> Trial:
    first = tried[0]
    if any(trial.status == "diverged" for trial in tried):
        return first._replace(val_accuracy=None, val_loss=None, status="diverged")
    accuracy, loss = (
        fmean(scores) for scores in zip(*(trial[1:3] for trial in tried), strict=True)
    )
    return first._replace(val_accuracy=accuracy, val_loss=loss)


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


def from_csv(content: bytes) -> tuple[Trial, ...]:
    """The trials of a file that `to_csv` has written; ValueError for any other."""
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    try:
        return tuple(_trial(row) for row in rows)
    except (KeyError, TypeError) as error:
        raise ValueError("not a table of trials") from error


def _trial(row: dict[str, str]) -> Trial:
    return Trial(
        json.loads(row["options"]),
        float(row["val_accuracy"]) if row["val_accuracy"] else None,
        float(row["val_loss"]) if row["val_loss"] else None,
        int(row["epochs"]),
        int(row["steps"]),
        float(row["seconds"]),
        "done" if row["status"] == "done" else "diverged",
        float(row["feature_seconds"]),
    )
