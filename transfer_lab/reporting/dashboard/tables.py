"""The tables of the dashboard, in the words and numbers of the report."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from transfer_lab.experiment.budget import under
from transfer_lab.reporting.ranking import rule_regime
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import RULE_MARK, accuracy_text, seconds
from transfer_lab.store.results import NOT_NEEDED, WAITING

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

NEWEST = (
    *("scenario", "backbone", "regime", "budget", "seed", "status", "test_accuracy"),
    "fit_seconds",
    "started_at",
)
_STATES = ("done", "failed", "blocked", "missing", WAITING, NOT_NEEDED)


def accuracy_matrix(study: Study, backbone: str) -> Styler:
    """Regimes by scenarios: mean and interval in percent, seeds, the best of each column bold."""
    import pandas as pd

    regimes = study.regimes_on(backbone)
    text = pd.DataFrame(
        {
            scenario: [_accuracy(study, scenario, backbone, regime) for regime in regimes]
            for scenario in study.scenarios
        },
        index=pd.Index(regimes, name="regime"),
    )
    best = {s: study.best(s, backbone, study.contenders(s, backbone)) for s in study.scenarios}
    bold = pd.DataFrame(
        {s: ["font-weight: bold" if r == best[s] else "" for r in regimes] for s in text},
        index=text.index,
    )
    return text.style.apply(lambda _: bold, axis=None)


def time_matrix(study: Study, backbone: str) -> pd.DataFrame:
    """Regimes by scenarios: mean fit time and interval in seconds."""
    import pandas as pd

    regimes = study.regimes_on(backbone)
    found = {
        scenario: [study.summary(scenario, backbone, r).seconds for r in regimes]
        for scenario in study.scenarios
    }
    return pd.DataFrame(
        {s: [seconds(time) if time else "–" for time in times] for s, times in found.items()},
        index=pd.Index(regimes, name="regime"),
    )


def states(table: pd.DataFrame) -> dict[str, int]:
    """How many cells are done, failed, blocked and missing; waiting and not needed, if any are."""
    counts = table["status"].value_counts()
    found = {state: int(counts.get(state, 0)) for state in _STATES}
    return {s: n for s, n in found.items() if n or s not in (WAITING, NOT_NEEDED)}


def newest(table: pd.DataFrame, limit: int = 8) -> pd.DataFrame:
    """The runs that were started last."""
    known = table.dropna(subset=["started_at"]).drop_duplicates("run_id")
    recent = known.sort_values("started_at", ascending=False, kind="stable")
    shown = recent.head(limit)[list(NEWEST)].reset_index(drop=True)
    return shown if recent["budget"].notna().any() else shown.drop(columns="budget")


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """Failed and blocked cells with their reason, equal reasons together."""
    import pandas as pd

    broken = table[table["status"].isin(("failed", "blocked"))]
    cells: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in broken.fillna({"error_kind": "", "error": ""}).itertuples():
        cell = f"{row.scenario} / {row.backbone} / {row.regime} / seed {row.seed}"
        place = f"{cell}{under(row.budget)}"
        cells[row.status, row.error_kind, row.error].append(place)
    rows = [(*reason, len(places), ", ".join(places)) for reason, places in cells.items()]
    return pd.DataFrame(rows, columns=["status", "kind", "error", "number", "cells"])


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """Records as columns, without the values that none of them has, what differs first."""
    turned = rows.dropna(axis="columns", how="all").astype(object).T
    differs = turned.apply(lambda line: line.astype(str).nunique() > 1, axis=1)
    ordered = [*turned.index[differs], *turned.index[~differs]]
    return turned.loc[ordered].astype(str)


def _accuracy(study: Study, scenario: str, backbone: str, regime: str) -> str:
    summary = study.summary(scenario, backbone, regime)
    mark = f"{RULE_MARK} " if regime == rule_regime(study, scenario, backbone) else ""
    return accuracy_text(summary, mark=mark)
