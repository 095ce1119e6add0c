"""What an arm costs on one target, and what its pretraining adds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.report.study import Place, Study

if TYPE_CHECKING:
    import pandas as pd

COLD = ["decode_seconds", "feature_seconds", "fit_seconds", "eval_seconds"]
"""What one target takes when nothing is stored yet."""


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
    """Cold seconds of each run; NaN where a part of them was not measured."""
    return rows[COLD].sum(axis=1, skipna=False)


def arms(study: Study, scenario: str) -> tuple[Arm, ...]:
    """Every measured arm that may win in a scenario, the best first."""
    done = study.done[study.done["scenario"] == scenario]
    costs = done.assign(cold=cold(done)).groupby(["backbone", "regime"], sort=False)
    means = costs[["cold", "pretrain_seconds"]].mean()
    known = {names: Cost(*row) for names, *row in means.itertuples(name=None)}
    found = []
    for backbone in study.backbones:
        for regime in study.trained_on(backbone):
            accuracy = study.accuracy(scenario, backbone, regime)
            if accuracy:
                place = Place(scenario, backbone, regime)
                found.append(Arm(place, accuracy.mean, known[backbone, regime]))
    return tuple(sorted(found, key=lambda arm: -arm.accuracy))
