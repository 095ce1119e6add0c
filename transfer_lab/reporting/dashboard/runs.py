"""Every run that is looked at as a row, with the options in which they differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from transfer_lab.experiment.spec import Run
from transfer_lab.reporting.dashboard.lab import Lab, Shown
from transfer_lab.reporting.dashboard.selection import Selection
from transfer_lab.reporting.dashboard.wire import Told, value
from transfer_lab.reporting.render.csv import to_csv

if TYPE_CHECKING:
    import pandas as pd

PLACES = ("experiment", "scenario", "backbone", "regime", "budget", "seed", "status")
RESULTS = (
    *("test_accuracy", "val_accuracy", "train_accuracy", "test_macro_f1", "test_log_loss"),
    *("fit_seconds", "epochs", "trainable_params", "started_at"),
)

_SELDOM = ("experiment", "budget")
"""Columns that are left out where all rows have the same."""
_PERCENT = ("test_accuracy", "val_accuracy", "train_accuracy", "test_macro_f1")

Row = dict[str, object]


def runs(shown: Iterable[Shown], selection: Selection) -> Told:
    """One row a cell, the newest first: its place, its results as far as any has them, accuracies
    in percent, and its options as far as they differ. Failed and missing ones are there, too."""
    rows = [row for one in shown for row in _rows(one, selection)]
    rows.sort(key=lambda row: str(row["started_at"] or ""), reverse=True)
    options = sorted({name for row in rows for name in row["options"]})  # type: ignore[attr-defined]
    differing = [name for name in options if len({_option(row, name) for row in rows}) > 1]
    places = [name for name in PLACES if name not in _SELDOM or _differ(rows, name)]
    results = [name for name in RESULTS if any(row[name] is not None for row in rows)]
    return {
        "columns": {"places": places, "results": results, "options": differing},
        "ids": [row["run_id"] for row in rows],
        "rows": [
            [
                *(row[name] for name in places),
                *(_in_percent(row, name) for name in results),
                *(_shown(_option(row, name)) for name in differing),
            ]
            for row in rows
        ],
    }


def as_csv(lab: Lab, selection: Selection) -> bytes:
    """The records of all cells that are looked at, in the columns of records.csv."""
    import pandas as pd

    tables = [
        kept(lab.study(name, selection.seeds).cells, selection) for name in selection.experiments
    ]
    return to_csv(pd.concat(tables, ignore_index=True)) if tables else b""


def kept(cells: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The cells that are looked at."""
    for axis, values in selection.wanted.items():
        cells = cells[cells[axis].isin(values)]
    return cells


def options_of(run: Run) -> dict[str, object]:
    """What a run was made with, by names that say of what: network, regime, budget."""
    groups = {
        "backbone": run.backbone.options,
        "regime": run.regime.options,
        "fit": run.fit.model_dump(),
    }
    found: dict[str, object] = {"per_class": run.per_class}
    for group, options in groups.items():
        for name, option in options.items():
            found |= _flat(f"{group}.{name}", option)
    return found


def _flat(name: str, option: object) -> dict[str, object]:
    if isinstance(option, Mapping):
        parts = (_flat(f"{name}.{key}", inner) for key, inner in option.items())
        return {key: inner for part in parts for key, inner in part.items()}
    return {name: option}


def _rows(shown: Shown, selection: Selection) -> list[Row]:
    wanted = ("scenario", "backbone", "regime", "budget", "seed", "status", "run_id", *RESULTS)
    table = kept(shown.study.frame, selection)
    columns = [table[name].tolist() for name in (*wanted, "chosen_options")]
    found = []
    for entries in zip(*columns, strict=True):
        row: Row = dict(zip((*wanted, "chosen"), map(value, entries), strict=True))
        run = shown.planned.runs[str(row["run_id"])]
        row["experiment"] = shown.experiment
        row["options"] = options_of(run) | _chosen(row["chosen"])
        found.append(row)
    return found


def _chosen(text: object) -> dict[str, object]:
    """What a search has chosen, in place of what stands in the experiment."""
    try:
        options = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return {f"regime.{name}": option for name, option in options.items()}


def _differ(rows: Sequence[Row], name: str) -> bool:
    return len({row[name] for row in rows}) > 1


def _in_percent(row: Row, name: str) -> object:
    found = row[name]
    return 100 * found if name in _PERCENT and isinstance(found, int | float) else found


def _option(row: Row, name: str) -> object:
    options: Mapping[str, object] = row["options"]
    found = options.get(name)
    return found if isinstance(found, str | int | float | None) else json.dumps(found, default=str)


def _shown(option: object) -> object:
    return str(option).lower() if isinstance(option, bool) else value(option)
