"""Seeds only where they are needed: `seeds: {start: 3, at_most: 8, until: 2}`, and the looks that
such an experiment takes at its results."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from transfer_lab.experiment.budget import Float, Int
from transfer_lab.experiment.choices import Spec

EXAMPLE = "{start: 3, at_most: 8, until: 2}"
GROWTH = 1.6
"""Of the seeds from look to look, about."""
_MOST = 1000

Seed = Annotated[Int, Field(ge=0, lt=2**31)]


class Looks(Spec):
    """How many seeds every arm has, how many it may come to, and when that is enough; never part
    of a run's identity.

    `until`: percentage points; a place is settled once nothing tried is so much better than what
    leads. `settle`: the places, each backbone of a scenario and the scenario over all of them, or
    the scenario alone. `first`: the number of the first seed.
    """

    start: Int = Field(ge=2, le=_MOST)
    at_most: Int = Field(ge=2, le=_MOST)
    until: Float = Field(gt=0, le=100)
    settle: Literal["backbones", "scenarios"] = "backbones"
    first: Seed = 1

    @field_validator("at_most")
    @classmethod
    def _no_fewer(cls, at_most: int, info: ValidationInfo) -> int:
        start = info.data.get("start", 0)
        if at_most < start:
            raise ValueError(f"is less than start, which is {start}")
        return at_most

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that an arm may come to, in the order in which it gets them."""
        return tuple(range(self.first, self.first + self.at_most))

    @property
    def counts(self) -> tuple[int, ...]:
        """How many seeds an arm that is still in question has at each look: (3, 5, 8)."""
        growth = math.log(self.at_most / self.start)
        steps = max(1, round(growth / math.log(GROWTH)))
        grown = (round(self.start * math.exp(growth * i / steps)) for i in range(steps + 1))
        return tuple(dict.fromkeys(grown))

    def share(self, error: float) -> float:
        """Each look's share of the error that all of them may make together (Bonferroni)."""
        return error / len(self.counts)


def spelt_out(data: Any) -> Any:
    """The data of an experiment whose seeds are written as looks, with those and all seeds.

    Looks that are wrong leave one seed, so that theirs is the only error.
    """
    looks = data.get("seeds") if isinstance(data, dict) else None
    if not isinstance(looks, dict) or not looks:
        return data
    try:
        seeds = Looks.model_validate(looks).seeds
    except ValueError:
        seeds = (0,)
    return data | {"seeds": seeds, "looks": looks}
