"""The search for options: what was tried, what won, and what choosing is worth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from statistics import fmean, median
from typing import TYPE_CHECKING

from transfer_lab.experiment.choices import Options, Trials
from transfer_lab.experiment.plan import trials_of
from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Fold,
    Note,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.study import Study, interval
from transfer_lab.reporting.wording import amount, percent
from transfer_lab.stats.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

UNTUNED = (
    "Untuned: rates set by hand. A regime may stand behind another because its rates suit it less; "
    "the key tune of the experiment file gives every regime the same number of trials."
)
LEAD = "What the search for options tried, which won, and what choosing is worth."
LEGEND = (
    "Validation accuracy of the best, the median and the worst trial, each as a mean over seeds; "
    "trials that diverged lose and are counted apart. Optimism: validation accuracy of the chosen "
    "trial minus test accuracy of the model fitted anew with its options, in points ± the 95 % "
    "t-interval over seeds; the best of several trials looks better than it is, and the final fit "
    "has more images. Search: seconds of fitting all trials, in no other column of fit times, and "
    "of the frozen features that only trials needed; where linear heads of several seeds were "
    "fitted in one pass, of that whole pass."
)
WITHOUT_FEATURES = (
    " {} of {} searches were stored by an earlier version, which counted the fits alone."
)


def tried(study: Study) -> dict[str, Trials]:
    """The trials of every regime that is tuned."""
    experiment = study.experiment
    return {r: found for r in study.regimes if (found := trials_of(experiment, r))}


def untuned(study: Study) -> tuple[Paragraph, ...]:
    """The flag of an experiment whose options nobody tuned."""
    return () if tried(study) else (Paragraph(UNTUNED, warning=True),)


def tuning(study: Study) -> Section | None:
    """Best, median and worst trial of every regime that is tuned in each place, and which options
    won."""
    if not tried(study) or study.experiment.search:
        return None
    rows = study.done[study.done["run_id"].isin(study.trials)]
    if rows.empty:
        return Section("Tuning", (Paragraph("No search has been finished yet."),))
    blocks: list[Block] = []
    winners = []
    for backbone in study.backbones:
        here = rows[rows["backbone"] == backbone]
        if not here.empty:
            blocks.append(_sensitivity(study, backbone, here))
            winners.append(_winners(study, backbone, here))
    blocks.append(Fold("How often each trial was chosen", tuple(winners)))
    ends = tuple(_at_the_end(study, rows))
    if ends:
        told = "Chosen most often at the end of what was tried, so that more lies beyond:"
        blocks += [Paragraph(told), Bullets(ends)]
    legend = Note(LEGEND + _older(study, rows))
    return Section("Tuning", (*blocks, legend), LEAD)


def _older(study: Study, rows: pd.DataFrame) -> str:
    searches = [study.trials[run_id] for run_id in rows["run_id"].unique()]
    without = sum("feature_seconds" not in search for search in searches)
    return WITHOUT_FEATURES.format(without, len(searches)) if without else ""


def words(options: Options) -> str:
    """'lr=0.01, k=1'."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in options.items()
    )


def _sensitivity(study: Study, backbone: str, rows: pd.DataFrame) -> Table:
    head = (
        *("regime", "scenario", "best (%)", "median (%)", "worst (%)", "diverged"),
        *("optimism (points)", "search (s)", "final fit (s)"),
    )
    made = tuple(
        _row(study, regime, scenario, group)
        for regime in study.regimes
        for scenario in study.scenarios
        if not (group := _at(rows, regime, scenario)).empty
    )
    return Table(f"Trials by validation accuracy, {backbone}", head, made, texts=2)


def _at(rows: pd.DataFrame, regime: str, scenario: str) -> pd.DataFrame:
    return rows[(rows["regime"] == regime) & (rows["scenario"] == scenario)]


def _row(study: Study, regime: str, scenario: str, rows: pd.DataFrame) -> tuple[Cell, ...]:
    searches = [study.trials[run_id] for run_id in rows["run_id"]]
    scores = [search["val_accuracy"].dropna().tolist() for search in searches]
    tested = (rows["val_accuracy"] - rows["test_accuracy"]).tolist()
    lost = sum(int((search["status"] == "diverged").sum()) for search in searches)
    return (
        cell(regime),
        cell(scenario),
        *(cell(f"{100 * fmean(pick(s) for s in scores):.1f}") for pick in (max, median, min)),
        cell(f"{lost} of {sum(map(len, searches))}"),
        cell(_signed(interval(tested))),
        cell(amount(rows["tune_seconds"].mean())),
        cell(amount(rows["fit_seconds"].mean())),
    )


def _signed(found: Interval | None) -> str:
    return percent(found) if found else "–"


def _winners(study: Study, backbone: str, rows: pd.DataFrame) -> Table:
    made = []
    for regime, trials in tried(study).items():
        if (rows["regime"] == regime).any():
            for trial in trials:
                counts = (_won(_at(rows, regime, s), trial) for s in study.scenarios)
                made.append((cell(regime), cell(words(trial)), *map(cell, counts)))
    head = ("regime", "options", *study.scenarios)
    caption = f"How often each trial was chosen, {backbone}: of the finished seeds"
    return Table(caption, head, tuple(made), texts=2)


def _won(rows: pd.DataFrame, trial: Options) -> str:
    if rows.empty:
        return "–"
    wins = sum(json.loads(chosen) == trial for chosen in rows["chosen_options"])
    return f"{wins} of {len(rows)}"


def _at_the_end(study: Study, rows: pd.DataFrame) -> Iterator[str]:
    """Numbers of which at least three were tried and the first or the last won most often."""
    for regime, trials in tried(study).items():
        runs = rows[rows["regime"] == regime].drop_duplicates("run_id")
        chosen = [json.loads(text) for text in runs["chosen_options"]]
        for option in dict.fromkeys(name for trial in trials for name in trial):
            values = sorted({t[option] for t in trials if _number(t.get(option))})
            wins = Counter(c[option] for c in chosen if _number(c.get(option)))
            for value in {values[0], values[-1]} if len(values) > 2 else ():
                if 2 * wins[value] > wins.total():
                    yield f"{regime}: {option}={value:g} in {wins[value]} of {wins.total()} runs"


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
