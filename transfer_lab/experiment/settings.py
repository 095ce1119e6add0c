"""Parts of an experiment that determine no run: claims, similarity, trackers; and where trials are
tried."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from transfer_lab.experiment.budget import Float, Int
from transfer_lab.experiment.choices import Spec
from transfer_lab.experiment.looks import Seed

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Claim(Spec):
    """A statement of an article about one arm (`backbone/regime`), to be measured.

    Of several arms it is about the one with the best validation accuracy.
    The arm's measure is said to lie above or below that of another arm, of the `majority` class,
    or a number. `published` is the number that the article gives.
    """

    text: str
    arm: str | tuple[str, ...]
    relation: Literal["above", "below"]
    than: str | Float
    measure: Literal["test_accuracy", "seconds_per_epoch", "total_seconds"] = "test_accuracy"
    scenario: Slug | None = None
    published: Float | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms among which validation chooses."""
        return (self.arm,) if isinstance(self.arm, str) else self.arm


class SimilaritySettings(Spec):
    """How source and target are compared; never part of a run's identity.

    `far`: the domain that is 1 on the axis, by default images of independent random pixels.
    `images`: images of each domain's training pool that are looked at, at most.
    """

    far: str | None = None
    images: Int = Field(1000, ge=20, le=10_000)


TrackerName = Literal["wandb", "tensorboard", "mlflow", "csv"]


class Tracking(Spec):
    """Where copies of the results go at Weights & Biases; never part of a run's identity."""

    mode: Literal["disabled", "offline", "online"] = "disabled"
    project: str = "transfer_lab"
    entity: str | None = None


class SearchSettings(Spec):
    """Where trials are tried once for the whole grid: at a seed of its own, which no cell has, in
    the scenarios whose mean validation accuracy chooses (those with the fewest images unless
    named).

    `epochs`: a trial takes no more than so many, or as many as the budget's `min_steps` ask for.
    """

    seed: Seed = 0
    scenarios: tuple[str, ...] | None = Field(None, min_length=1)
    epochs: Int | None = Field(None, ge=1)
