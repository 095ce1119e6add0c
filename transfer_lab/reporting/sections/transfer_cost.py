"""What a target task costs with a pretrained network, cold and cached, and when that pays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Note, Section, Table, cell
from transfer_lab.reporting.costs import cold as cold_seconds
from transfer_lab.reporting.costs import total
from transfer_lab.reporting.sections.backbones import largest
from transfer_lab.reporting.sections.time import mixed_conditions
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import amount

if TYPE_CHECKING:
    import pandas as pd

CACHED = ["fit_seconds", "eval_seconds"]
PARTS = {"extraction": "feature", "search": "tune", "fit": "fit", "evaluation": "eval"}


def transfer_cost(study: Study) -> Section | None:
    """Regimes that start from a source against training from scratch."""
    scenario = largest(study)
    done = study.done[study.done["scenario"] == scenario]
    scratch = _best_from_scratch(study, done)
    transferred = done[done["init_id"].notna() & ~done["regime"].isin(study.controls)]
    if scratch is None or transferred.empty:
        return None
    backbone, regime, plain = scratch
    text = (
        f"Seconds a target task takes in scenario {scenario}, means over seeds. Cold: decoding, "
        "extraction of frozen features, search for options if any, fit and evaluation. Cached: "
        "search, fit and evaluation, with images and the final fit's frozen features stored "
        "before. The reference is the training from scratch of "
        f"the best validation accuracy, {regime} on {backbone}: {amount(plain)} s cold. Pays "
        "after: the number of target tasks from which pretraining and transfer together take "
        "less time than the reference; ready-made weights were paid for by others."
    )
    parts = {
        name: f"{column}_seconds"
        for name, column in PARTS.items()
        if done[f"{column}_seconds"].notna().any()
    }
    groups = transferred.groupby(["backbone", "regime"], sort=False)
    rows = tuple(_row(names, group, plain, tuple(parts.values())) for names, group in groups)
    head = (
        *("backbone", "regime", "accuracy (%)", *parts),
        *("cold", "cached", "pretraining", "pays after"),
    )
    table = Table("What the pretrained way costs (s)", head, rows, texts=2)
    blocks = (*mixed_conditions(study), table, Note(text))
    return Section("What the pretrained way costs", blocks)


def _best_from_scratch(study: Study, done: pd.DataFrame) -> tuple[str, str, float] | None:
    rows = done[done["regime_kind"] == "from_scratch"].dropna(subset=["val_accuracy"])
    if rows.empty:
        return None
    backbone, regime = rows.groupby(["backbone", "regime"])["val_accuracy"].mean().idxmax()
    chosen = rows[(rows["backbone"] == backbone) & (rows["regime"] == regime)]
    return backbone, regime, cold_seconds(chosen).mean()


def _row(
    names: tuple[str, str], rows: pd.DataFrame, plain: float, parts: tuple[str, ...]
) -> tuple[Cell, ...]:
    cold, pretraining = cold_seconds(rows).mean(), rows["pretrain_seconds"].mean()
    return (
        *(cell(name) for name in names),
        cell(f"{100 * rows['test_accuracy'].mean():.1f}"),
        *(cell(amount(rows[part].mean())) for part in parts),
        cell(amount(cold)),
        cell(amount(total(rows, CACHED).mean())),
        cell(amount(pretraining) if not math.isnan(pretraining) else "ready-made"),
        cell(tasks_until(pretraining, plain, cold)),
    )


def tasks_until(pretraining: float, plain: float, transfer: float) -> str:
    """The number of target tasks n from which pretraining + n transfer < n plain, in words."""
    if math.isnan(transfer) or math.isnan(plain):
        return "–"
    if transfer >= plain:
        return "never: no faster"
    if math.isnan(pretraining):
        return "the first"
    needed = math.floor(pretraining / (plain - transfer)) + 1
    return f"{needed:,} task{'s' if needed > 1 else ''}"
