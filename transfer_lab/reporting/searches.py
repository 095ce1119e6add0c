"""Trials that were tried once for the whole grid, by the arms that go by them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer_lab.experiment.budget import under
from transfer_lab.experiment.plan import searches_of
from transfer_lab.experiment.spec import Run
from transfer_lab.reporting.study import Study
from transfer_lab.store.trials import Trial, choose, over

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tried:
    """An arm, its searches by scenario, and their trials as one; None where a search is missing."""

    backbone: str
    regime: str
    budget: str | None
    runs: dict[str, Run]
    found: dict[str, tuple[Trial, ...]]

    @property
    def name(self) -> str:
        """'full_finetune', and the budget's name if it is a further one."""
        return f"{self.regime}{under(self.budget)}"

    @property
    def trials(self) -> tuple[Trial, ...] | None:
        """Each with its means over the searches, None before all have ended."""
        distinct = {run.id: self.found.get(name) for name, run in self.runs.items()}
        known = [tried for tried in distinct.values() if tried is not None]
        return over(known) if len(known) == len(distinct) else None

    @property
    def place(self) -> int | None:
        """Of the chosen trial, None where there is none."""
        return choose(self.trials) if self.trials else None


def searched(study: Study) -> tuple[Tried, ...]:
    """Every arm whose trials are tried once for the whole grid."""
    known = study.searches
    return tuple(
        Tried(*arm, runs, {n: known[run.id] for n, run in runs.items() if run.id in known})
        for arm, runs in searches_of(study.experiment).items()
    )


def searches_frame(study: Study) -> pd.DataFrame:
    """Every trial of every search, and whether its arm goes by it."""
    import pandas as pd

    rows = [
        {
            "backbone": arm.backbone,
            "regime": arm.regime,
            "budget": arm.budget,
            "scenario": scenario,
            "run_id": arm.runs[scenario].id,
            "trial": place + 1,
            **trial._asdict(),
            "options": json.dumps(trial.options, sort_keys=True),
            "chosen": place == arm.place,
        }
        for arm in searched(study)
        for scenario, trials in arm.found.items()
        for place, trial in enumerate(trials)
    ]
    return pd.DataFrame(rows)
