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
    """What another way to learn may be expected to name right more than the default, in points of
    mean recall, before it was tried: mean and standard deviation."""

    mean: float
    spread: float


class Gains(_Part):
    """What a way to learn has gained on other data sets: `mean` and `spread` over all of them; and,
    where it is known by how many points a head on the last stage but one is ahead of the default
    (`challengers.earlier`), a straight line: `level` where it is as good, `slope` a point, `rest`
    what is left to chance. Leads outside what was seen, `least` to `most`, count as its ends."""

    mean: float
    spread: float
    level: float
    slope: float
    rest: float
    least: float
    most: float

    def expected(self, earlier: float | None) -> Gain:
        """Of photographs on which an earlier stage has this lead; of any where it is not known."""
        if earlier is None:
            return Gain(mean=self.mean, spread=self.spread)
        seen = min(max(earlier, self.least), self.most)
        return Gain(mean=self.level + self.slope * seen, spread=self.rest)


class Evidence(_Part):
    """What `make evidence` found on the data sets that constants are chosen on."""

    exponents: dict[str, Exponent]
    """By regime."""
    dependence: float
    """Images are worth so many times fewer, since folds share what they learn from."""
    dependence_after_switch: float
    """The same where a challenger won: larger by the proportion that an earlier measurement, of
    other constants, had found (1.6 to 1.3); `make evidence` does not measure it."""
    lead_dependence: float
    """Leads of folds' heads over those of halves vary so many times more from draw to draw than
    paired images alone tell, since heads of the same images differ less than those of new ones."""
    gains: dict[str, Gains]
    """By regime; of a linear probe, on another network or size."""
    tuned_on: tuple[str, ...]

    def exponent(self, regime: str = "linear_probe") -> Exponent:
        """Of a regime, else of the default."""
        return self.exponents.get(regime, self.exponents["linear_probe"])

    def gain(self, regime: str, earlier: float | None = None) -> Gain:
        """Of a regime, else of full fine-tuning, from which most can be had and lost. `earlier`:
        the lead of an earlier stage, in points."""
        return self.gains.get(regime, self.gains["full_finetune"]).expected(earlier)


@cache
def evidence() -> Evidence:
    """As shipped with the package."""
    return Evidence.model_validate(
        json.loads(files(__package__).joinpath("evidence.json").read_text())
    )
