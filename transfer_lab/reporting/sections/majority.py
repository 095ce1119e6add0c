"""Networks that do no better than an answer that looks at no image, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean, variance
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Note, Section, Table, cell
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import percent
from transfer_lab.stats.hypotheses import LEVEL, holm
from transfer_lab.stats.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = 0.99
"""The share of one class among all predictions from which an answer is called constant."""
_DEAD = 0.5
LEAD = "Networks not shown to be better than an answer that looks at no image, and why."
LEGEND = (
    "Every trained arm of which some network is not shown to be better than the majority class and "
    "chance. Each network is tested by itself: if it were no better, so many of its test images "
    "would be right by luck, by the exact binomial, with a probability above "
    f"{100 * LEVEL:g} % after Holm's correction over all trained networks of the experiment. Not "
    "shown to be better is not shown to be as bad. The majority class is the "
    "test accuracy of always answering the training subset's most frequent class; where all are "
    "equally frequent the first one stands for it, and may be rare in the test set: the bar is "
    "chance, 100 / number of classes %, where that is higher. Accuracy is the arm's mean; the "
    "columns behind the bar are of the networks in question. Dead units: rectified units (of a "
    "map: channels) that none of about 256 test images makes positive. An answer is called "
    f"constant where one class is {100 * CONSTANT:.0f} % of all predictions or more."
)


def majority(study: Study) -> Section | None:
    """Which arms a constant answer would have beaten."""
    rows = tuple(_rows(study))
    if not rows:
        return None
    head = (
        *("backbone", "regime", "scenario", "accuracy (%)", "majority or chance (%)"),
        "not shown to be better",
        *("classes answered", "commonest (%)", "dead units (%)", "why"),
    )
    table = Table("Arms not above the majority class", head, rows, texts=3)
    return Section("Against the majority class", (table, Note(LEGEND)), LEAD)


def not_above(study: Study) -> Iterator[tuple[Place, pd.DataFrame]]:
    """Every trained arm with networks that are not shown to be above the majority class and chance,
    and the records of these networks."""
    import numpy as np

    done = study.done.dropna(subset=["test_accuracy"])
    trained = done[~done["regime"].isin(study.controls)]
    unshown = trained[np.array(holm(_p_above(trained).tolist())) > LEVEL]
    for names, rows in unshown.groupby(["scenario", "backbone", "regime"], sort=False):
        yield Place(*names), rows


def _p_above(rows: pd.DataFrame) -> pd.Series:
    """The exact p of each network that it is no better than the bar: the probability of at least
    so many right answers; 1 where the number of test images is not known."""
    from scipy.special import bdtrc

    images = rows["n_test"].fillna(0)
    right = (rows["test_accuracy"] * images).round()
    # Of k = -1 (not one right) scipy's tail is a NaN: at least none is certain.
    return bdtrc(right - 1, images.astype(int), bar(rows)).where(right > 0, 1.0)


def bar(rows: pd.DataFrame) -> pd.Series:
    """What is reached without a look at the image: by the majority class, or by chance; by chance
    alone where there are no labels of which one could be the commonest."""
    return rows["majority_accuracy"].fillna(0).clip(lower=1 / rows["num_classes"])


def _rows(study: Study) -> Iterator[tuple[Cell, ...]]:
    for place, rows in not_above(study):
        yield (
            *(cell(place.backbone), cell(place.regime), cell(place.scenario)),
            cell(percent(study.accuracies.estimate(place).interval())),
            cell(_share(bar(rows))),
            cell(networks(study, place, rows)),
            cell(f"{rows['predicted_classes'].mean():.1f} of {rows['num_classes'].max():.0f}"),
            cell(_share(rows["commonest_prediction"])),
            cell(_share(rows["dead_units"])),
            cell("", _why(rows)),
        )


def networks(study: Study, place: Place, rows: pd.DataFrame) -> str:
    """'2 of 3 networks': of all that the place has."""
    return f"{len(rows)} of {len(study.finished(place))} networks"


def gain(study: Study, place: Place, gains: list[float]) -> Interval | None:
    """The interval of an accuracy minus something fixed, given the differences by seed.

    Such is the majority class: in a given mix of classes the accuracy of a constant answer has no
    sampling error.
    """
    found = study.accuracies.estimate(place)
    if found is None or not gains:
        return None
    over_seeds = None
    if len(gains) > 1:
        over_seeds = variance(gains) / len(gains)
    return replace(found, mean=fmean(gains), over_seeds=over_seeds, seeds=len(gains)).interval()


def _share(values: pd.Series) -> str:
    mean = values.mean()
    return f"{100 * mean:.1f}" if mean == mean else "–"


def _why(rows: pd.DataFrame) -> str:
    """The plainest sign of what went wrong, for the seeds that show it."""
    seeds = len(rows)
    signs = (
        ("constant answer", rows["commonest_prediction"] >= CONSTANT),
        ("most units dead", rows["dead_units"] >= _DEAD),
        (
            "training accuracy not above majority",
            rows["train_accuracy"] <= rows["majority_accuracy"],
        ),
    )
    found = [f"{name} in {int(hits.sum())} of {seeds} seeds" for name, hits in signs if hits.any()]
    return "; ".join(found) or "learns its training images, but not what they have in common"
