"""Networks that do no better than an answer that looks at no image, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean, variance
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Paragraph, Section, Table, cell
from transfer_lab.reporting.study import Place, Study
from transfer_lab.reporting.wording import percent
from transfer_lab.stats.intervals import Interval
from transfer_lab.stats.verdicts import Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = 0.99
"""The share of one class among all predictions from which an answer is called constant."""
_DEAD = 0.5
LEGEND = (
    "Every trained arm that is not above the majority class and chance by the 95 % interval of the "
    "difference (seeds and test set; single comparisons, not corrected). The majority class is the "
    "test accuracy of always answering the training subset's most frequent class; where all are "
    "equally frequent the first one stands for it, and may be rare in the test set: the bar is "
    "chance, 100 / number of classes %, where that is higher. Dead units: rectified units (of a "
    "map: channels) that none of about 256 test images makes positive. An answer is called "
    f"constant where one class is {100 * CONSTANT:.0f} % of all predictions or more."
)
STANDS: dict[Verdict, str] = {
    "refuted": "below",
    "undecided": "not separated",
}


def majority(study: Study) -> Section:
    """Which arms a constant answer would have beaten."""
    rows = tuple(_rows(study))
    if study.done.empty:
        return Section("Against the majority class", (Paragraph("Nothing measured yet."),))
    if not rows:
        text = (
            "Every trained arm of every scenario is above the majority class (where all classes "
            "are equally frequent in training the first one stands for it) and above chance, "
            "which is 100 / number of classes %."
        )
        return Section("Against the majority class", (Paragraph(text),))
    head = (
        *("backbone", "regime", "scenario", "accuracy (%)", "majority or chance (%)", "stands"),
        *("classes predicted", "commonest prediction (%)", "dead units (%)", "why"),
    )
    table = Table("Arms not above the majority class", head, rows, texts=3)
    return Section("Against the majority class", (Paragraph(LEGEND, warning=True), table))


def not_above(study: Study) -> Iterator[tuple[Place, pd.DataFrame, str]]:
    """Every trained arm that is not above the majority class and chance, its records, and how it
    stands to the higher of them."""
    done = study.done
    places = [done["scenario"], done["backbone"], done["regime"]]
    for names, found in (done["test_accuracy"] - bar(done)).groupby(places, sort=False):
        place = Place(*names)
        if study.is_control(place.regime):
            continue
        gains = found.dropna().tolist()
        stands = STANDS.get(verdict(gain(study, place, gains), "above"))
        if gains and not any(gains):
            stands = "equal"
        if stands:
            yield place, done.loc[found.index], stands


def bar(rows: pd.DataFrame) -> pd.Series:
    """What is reached without a look at the image: by the majority class, or by chance; by chance
    alone where there are no labels of which one could be the commonest."""
    return rows["majority_accuracy"].fillna(0).clip(lower=1 / rows["num_classes"])


def _rows(study: Study) -> Iterator[tuple[Cell, ...]]:
    for place, rows, stands in not_above(study):
        yield (
            *(cell(place.backbone), cell(place.regime), cell(place.scenario)),
            cell(percent(study.accuracy(*place))),
            cell(_share(bar(rows))),
            cell(stands),
            cell(f"{rows['predicted_classes'].mean():.1f} of {rows['num_classes'].max():.0f}"),
            cell(_share(rows["commonest_prediction"])),
            cell(_share(rows["dead_units"])),
            cell(_why(rows)),
        )


def gain(study: Study, place: Place, gains: list[float]) -> Interval | None:
    """The interval of an accuracy minus something fixed, given the differences by seed.

    Such is the majority class: in a given mix of classes the accuracy of a constant answer has no
    sampling error.
    """
    found = study.measured.estimate(place)
    if found is None or not gains:
        return None
    over_seeds = None
    if len(gains) > 1:
        over_seeds = variance(gains) / len(gains)
        if folds := study.experiment.folds:
            from transfer_lab.stats.cross_validation import inflation

            over_seeds *= inflation(len(gains), folds)
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
