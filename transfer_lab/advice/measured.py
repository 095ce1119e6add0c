"""Constants of the advice that were measured on other data sets: evidence.json."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Exponent(_Part):
    """Of the law error(g n) = error(n) g^-mean, and its standard deviation between data sets."""

    mean: float
    spread: float


class Gain(_Part):
    """What another way to learn names right more than the default, in points of mean recall: mean
    and standard deviation over data sets."""

    mean: float
    spread: float


class Evidence(_Part):
    """What `make evidence` found on the data sets that constants are chosen on."""

    exponents: dict[str, Exponent]
    """By regime."""
    dependence: float
    """Images are worth so many times fewer, since folds share what they learn from."""
    dependence_after_switch: float
    """The same where a challenger won: larger by the proportion that an earlier measurement, of
    other constants, had found (1.6 to 1.3); `make evidence` does not measure it."""
    gains: dict[str, Gain]
    """By regime; of a linear probe, on another network or size. As likely a loss as a gain until
    `make evidence` has drawn from three sets."""
    tuned_on: tuple[str, ...]

    def exponent(self, regime: str = "linear_probe") -> Exponent:
        """Of a regime, else of the default."""
        return self.exponents.get(regime, self.exponents["linear_probe"])

    def gain(self, regime: str) -> Gain:
        """Of a regime, else of full fine-tuning, from which most can be had and lost."""
        return self.gains.get(regime, self.gains["full_finetune"])


@cache
def evidence() -> Evidence:
    """As shipped with the package."""
    return Evidence.model_validate(
        json.loads(files(__package__).joinpath("evidence.json").read_text())
    )
