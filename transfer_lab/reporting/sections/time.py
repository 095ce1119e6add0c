"""The time matrix, the ledger behind it, and what pretraining adds."""

from __future__ import annotations

import math

from transfer_lab.reporting.blocks import (
    Block,
    Cell,
    Fold,
    Line,
    Note,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.sections.grid import grid_tables
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import absent, amount, count, regime_name, seconds, timed

LEDGER = {
    "decode": "decode_seconds",
    "features": "feature_seconds",
    "search": "tune_seconds",
    "fit": "fit_seconds",
    "evaluation": "eval_seconds",
    "pretraining": "pretrain_seconds",
}
CONDITIONS = ("host", "device", "precision", "threads", "concurrency", "commit")

MEANING = (
    "Seconds on a monotonic clock. Fit is the training loop alone: validation, set-up and imports "
    "are excluded. Linear heads of several seeds are fitted in one pass where they learn on the "
    "same stored features: each then has the seconds of the whole pass, up to about twice what it "
    "takes alone, and the mean and its interval are over passes; the same goes for searches. "
    "Decode is reading and preparing the images. Features is the cold computation "
    "of the frozen prefix's output, even where it came from the cache. Search is the fit of all "
    "trials where options were tuned, and the features of prefixes that only trials needed. "
    "Evaluation is the pass over the test set. Pretraining is the source run's fit, paid once and "
    "shared by every run that starts from it; it is in no other column."
)


def training_time(study: Study) -> Section:
    """What every regime costs."""
    caption = "Fit time (s): mean ± 95 % t-interval over seeds"
    blocks: list[Block] = [*mixed_conditions(study)]
    blocks += grid_tables(study, caption, lambda place: _entry(study, place))
    blocks += _pretraining(study)
    ledgers = tuple(_ledger(study, backbone) for backbone in study.backbones)
    if not study.done.empty:
        blocks.append(Fold("The time ledger of every regime and scenario", ledgers))
    return Section("Training time", (*blocks, Note(MEANING)))


def mixed_conditions(study: Study) -> tuple[Paragraph, ...]:
    """A warning where times were taken under different conditions."""
    mixed = [name for name in CONDITIONS if study.done[name].nunique() > 1]
    if not mixed:
        return ()
    listed = ", ".join(mixed)
    warning = f"Times are not comparable: the records differ in {listed} (see Provenance)."
    return (Paragraph(warning, warning=True),)


def _entry(study: Study, place: Place) -> Cell:
    summary = study.summary(*place)
    if summary.seconds is None:
        return (absent(summary),)
    passes, seeds = summary.seconds.n, summary.seconds.n + summary.in_one_pass
    told = timed(passes, seeds, summary.planned)
    return cell(seconds(summary.seconds), "" if told == f"(n={study.usual_seeds})" else told)


def _pretraining(study: Study) -> list[Block]:
    source_runs = study.done.dropna(subset=["init_id", "pretrain_seconds"]).drop_duplicates(
        "init_id"
    )
    rows = []
    for (backbone, source), group in source_runs.groupby(["backbone", "source"], sort=False):
        cost = interval(group["pretrain_seconds"].tolist())
        rows.append(
            (
                cell(backbone),
                cell(source),
                cell(seconds(cost), count(cost.n, cost.n)),
                cell(amount(cost.mean / 10)),
                cell("0"),
            )
        )
    if not rows:
        return []
    head = ("backbone", "source", "one target", "ten targets", "infinitely many")
    caption = "Pretraining (s) that each target bears, by the number of targets that share it"
    return [Table(caption, head, tuple(rows), texts=2)]


def _ledger(study: Study, backbone: str) -> Table:
    done = study.done[study.done["backbone"] == backbone]
    means = done.groupby(["scenario", "regime"], sort=False)[list(LEDGER.values())].mean()
    known = means.to_dict("index")
    ledger = {what: column for what, column in LEDGER.items() if means[column].notna().any()}
    rows = tuple(
        (
            (regime_name(study, regime),),
            cell(scenario),
            *(_mean(known[scenario, regime][column]) for column in ledger.values()),
        )
        for scenario in study.scenarios
        for regime in study.regimes_on(backbone)
        if (scenario, regime) in known
    )
    caption = f"Time ledger (s), {backbone}: means over the finished seeds"
    head = ("regime", "scenario", *ledger)
    return Table(caption, head, rows, texts=2, about=(("backbone", backbone),))


def _mean(value: float) -> Cell:
    return (Line("–"),) if math.isnan(value) else cell(amount(value))
