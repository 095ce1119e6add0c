"""What an arm costs on one target, and what its pretraining adds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.study import Place, Study

if TYPE_CHECKING:
    import pandas as pd

COLD = ["decode_seconds", "feature_seconds", "fit_seconds", "eval_seconds"]
"""What one target takes when nothing is stored yet, apart from a search for options."""


class Cost(NamedTuple):
    """Means over seeds, in seconds; NaN where they were not measured.

    `pretraining` is 0 from scratch and NaN for ready-made weights.
    """

    cold: float
    pretraining: float

    def shared_by(self, targets: float) -> float:
        """Seconds for each target if so many share the pretraining; ready-made weights are paid
        for by others."""
        bought = 0.0 if math.isnan(self.pretraining) else self.pretraining
        return self.cold + bought / targets


class Arm(NamedTuple):
    """A trained regime on a backbone in one scenario, measured."""

    place: Place
    accuracy: float
    cost: Cost

    @property
    def name(self) -> str:
        """'lp_ft on cnn'."""
        return f"{self.place.regime} on {self.place.backbone}"


def cold(rows: pd.DataFrame) -> pd.Series:
    """Cold seconds of each run, its search for options included."""
    return total(rows, COLD)


def total(rows: pd.DataFrame, parts: list[str]) -> pd.Series:
    """These parts and the search for options, which most runs have none of, of each run; NaN where
    one of the parts was not measured."""
    return rows[parts].sum(axis=1, skipna=False) + rows["tune_seconds"].fillna(0)


def arms(study: Study, scenario: str) -> tuple[Arm, ...]:
    """Every measured arm that may win in a scenario, the best first."""
    done = study.done[study.done["scenario"] == scenario]
    costs = done.assign(cold=cold(done)).groupby(["backbone", "regime"], sort=False)
    means = costs[["cold", "pretrain_seconds"]].mean()
    known = {names: Cost(*row) for names, *row in means.itertuples(name=None)}
    found = []
    for backbone in study.backbones:
        for regime in study.contenders(scenario, backbone):
            accuracy = study.accuracy(scenario, backbone, regime)
            if accuracy:
                place = Place(scenario, backbone, regime)
                found.append(Arm(place, accuracy.mean, known[backbone, regime]))
    return tuple(sorted(found, key=lambda arm: -arm.accuracy))
