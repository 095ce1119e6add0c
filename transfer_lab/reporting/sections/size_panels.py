"""What was measured at several sizes: a panel for each source, target and backbone."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from transfer_lab.reporting.study import Study

FEWEST = 3
"""Sizes from which a curve is drawn."""


class Panel(NamedTuple):
    """A source, a target and a backbone, and the scenarios of each number of images per class."""

    source: str
    target: str
    similarity: str
    backbone: str
    scenarios: dict[float, str]

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"{self.source} → {self.target} ({self.similarity}), {self.backbone}"


def panels(study: Study) -> list[Panel]:
    """Every source, target and backbone with enough sizes."""
    groups: dict[tuple[str | None, str, str], dict[float, str]] = defaultdict(dict)
    for name, place in study.experiment.scenarios.items():
        n = images_per_class(study, name)
        if n is not None:
            groups[place.source, place.target, place.similarity].setdefault(n, name)
    return [
        Panel(study.source(sizes[min(sizes)], backbone), target, similarity, backbone, sizes)
        for (_, target, similarity), sizes in groups.items()
        for backbone in study.backbones
        if len(sizes) >= FEWEST and _measured(study, backbone, sizes)
    ]


def images_per_class(study: Study, scenario: str) -> float | None:
    """What the experiment says; for 'all' what the records counted, None before there are any."""
    per_class = study.experiment.scenarios[scenario].per_class
    if per_class != "all":
        return float(per_class)
    rows = study.done[study.done["scenario"] == scenario]
    counts = ((rows["n_train"] + rows["n_val"].fillna(0)) / rows["num_classes"]).dropna()
    return None if counts.empty else float(counts.iloc[0])


def _measured(study: Study, backbone: str, sizes: dict[float, str]) -> bool:
    return any(
        study.accuracy(scenario, backbone, regime)
        for scenario in sizes.values()
        for regime in study.trained_on(backbone)
    )
