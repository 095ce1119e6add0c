"""The part of an experiment that is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer_lab.experiment.budget import under
from transfer_lab.experiment.spec import Experiment
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.reporting.study import StoredResults, Study

if TYPE_CHECKING:
    import pandas as pd

AXES = ("scenario", "backbone", "regime", "seed")


@dataclass(frozen=True)
class Selection:
    """What is looked at on each axis; an axis that is absent is looked at as a whole."""

    wanted: dict[str, frozenset]

    def has(self, axis: str, value: object) -> bool:
        """Whether a value of an axis is looked at."""
        return not self.wanted.get(axis) or value in self.wanted[axis]

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """The cells that are looked at."""
        for axis in AXES:
            if self.wanted.get(axis):
                table = table[table[axis].isin(self.wanted[axis])]
        return table

    def studies(
        self, experiment: Experiment, table: pd.DataFrame, name: str, predictions: Predictions
    ) -> dict[str, Study]:
        """The report's view of what is looked at under each budget: that under the main one by the
        name, those under others with theirs behind it."""
        study = self.study(experiment, table, predictions)
        if study is None:
            return {}
        main = {} if study.frame.empty else {name: study}
        return main | {f"{name}{under(budget)}": one for budget, one in study.further.items()}

    def study(
        self, experiment: Experiment, table: pd.DataFrame, predictions: Predictions
    ) -> Study | None:
        """The report's view of what is looked at, or None if nothing of the experiment is.

        Every number of the dashboard comes from here, so that it is the report's; scores are
        accuracies whatever leads there, since experiments stand side by side.
        """
        rows = self.rows(table)
        if rows.empty:
            return None
        groups = {"scenarios": "scenario", "regimes": "regime"}
        kept = {
            group: {n: v for n, v in getattr(experiment, group).items() if self.has(axis, n)}
            for group, axis in groups.items()
        }
        kept["backbones"] = {
            name: choice
            for name, choice in experiment.backbones.items()
            if self.has("backbone", choice.label)
        }
        changes = {**kept, "claims": {}, "measure": "accuracy"}
        looked_at = experiment.model_copy(update=changes)
        return Study.of(looked_at, StoredResults(rows, predictions=predictions))


def values(tables: Iterable[pd.DataFrame], axis: str) -> list:
    """Every value that an axis takes in the tables, in their order; seeds by number."""
    found = list(dict.fromkeys(value for table in tables for value in table[axis].unique()))
    return sorted(found) if axis == "seed" else found
