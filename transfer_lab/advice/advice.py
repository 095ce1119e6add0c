"""What is advised, as it stands in advice.json: schema 1. No torch.

Shares of right answers are fractions of 1, times seconds of this machine.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Part):
    """What was handed over; `groups`: photographs that are no near-copies of each other."""

    root: str
    images: int
    groups: int
    classes: tuple[str, ...]
    per_class: tuple[int, ...]
    unreadable: tuple[str, ...]
    content_hash: str


class Recommendation(_Part):
    """What to train. `paired_lead` and `se`: over the default, in points of the folds, where it was
    left; never a gain to expect."""

    backbone: str
    regime: str
    image_size: int
    options: dict[str, float | int | str] = Field(default_factory=dict)
    left_default: bool = False
    paired_lead: float | None = None
    se: float | None = None


class Promise(_Part):
    """What share of new photographs like these will be named right."""

    metric: Literal["mean_recall", "accuracy"]
    value: float
    low: float
    high: float
    level: float
    accuracy: float
    protocol: str
    n_effective: float
    majority: float
    exponent: float | None = None
    """How steeply error falls with photographs: as their number^-exponent."""
    exponent_spread: float | None = None


class Alternative(_Part):
    """A challenger: what it would do, what the paired folds said, and what it costs.

    `state`: `clearly better` or `likely better` of the one that is recommended; `not clearly
    better`, `worse`, `dropped` after its first fold as less promising, `no time` or `failed` of the
    others. `fit_seconds`: of one training on all photographs.
    """

    backbone: str
    regime: str
    image_size: int
    state: str
    lead: float | None
    se: float | None
    fit_seconds: float


class MoreImages(_Part):
    """The promise with `factor` times as many photographs."""

    factor: float
    value: float
    low: float
    high: float


class Cost(_Part):
    """Seconds, bytes of the model's weights, and the machine that they were measured on."""

    features_s: float
    fit_s: float
    predict_s_per_image: float
    bytes: int
    machine: str


class Similarity(_Part):
    """Where the photographs lie between those that the network was trained on (0) and noise (1)."""

    position: float
    low: float
    high: float


class ClassOutcome(_Part):
    """One class: photographs, share named right, and what it is most taken for."""

    name: str
    images: int
    recall: float
    low: float
    high: float
    taken_for: str | None
    taken_for_share: float


class Flag(_Part):
    """Something to look at: `kind` for programs, `text` for people, `paths` below the root."""

    kind: str
    text: str
    paths: tuple[tuple[str, ...], ...] = ()
    """Each a file, or files that belong together."""


class Abstention(_Part):
    """A question that is not answered, and why."""

    question: Literal["recommendation", "promise", "more_images", "regime"]
    reason: str


class Advice(_Part):
    """The whole of advice.json."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
    data: Data
    recommendation: Recommendation | None
    promise: Promise | None
    alternatives: tuple[Alternative, ...]
    more_images: tuple[MoreImages, ...]
    cost: Cost | None
    similarity: Similarity | None
    per_class: tuple[ClassOutcome, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows: the owner's class; columns: the answer on the folds that held the photograph out."""
    flags: tuple[Flag, ...]
    abstentions: tuple[Abstention, ...]
    versions: dict[str, str]
    seed: int

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @property
    def abstained(self) -> bool:
        """Whether nothing can be recommended: exit code 3."""
        return self.recommendation is None
