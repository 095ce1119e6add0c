"""Which classes the best arm of each scenario finds, and which it misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import (
    Block,
    Bullets,
    Cell,
    Fold,
    Line,
    Note,
    Paragraph,
    Section,
    Table,
    cell,
)
from transfer_lab.reporting.costs import Arm, arms
from transfer_lab.reporting.predictions import Outcome
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import whole

if TYPE_CHECKING:
    import numpy as np

LONG = 20
LEAD = "Which classes the best arm of each scenario finds, and which it misses."
LEGEND = (
    "Recall in percent: of a class's test images the share that is answered rightly, by the arm of "
    "best mean {measure} in the scenario, and its 95 % interval: Wilson's, at the number of "
    "images that the spread of the seeds and of the class's test images leaves of them. F1: the "
    "harmonic mean of recall and precision, over the seeds. The last row is of all classes: "
    "accuracy, and the means of recall and F1 over classes that occur. "
    "Exploratory, and not corrected for the number of classes. From the "
    "predictions stored beside each record; classes are named where these hold the names, and "
    "numbered otherwise."
)


def per_class(study: Study) -> Section | None:
    """One table a target; none where nothing was measured."""
    best = {s: found[0] for s in study.scenarios if (found := arms(study, s))}
    if not best:
        return None
    targets: dict[str, list[str]] = {}
    for scenario in best:
        targets.setdefault(study.experiment.scenarios[scenario].target, []).append(scenario)
    blocks: list[Block] = []
    for target, scenarios in targets.items():
        blocks += _blocks(study, target, {s: best[s] for s in scenarios})
    note = Note(LEGEND.format(measure=study.measure.title))
    return Section("Class by class", (*blocks, note), LEAD)


def _blocks(study: Study, target: str, best: dict[str, Arm]) -> tuple[Block, ...]:
    import numpy as np

    found = {scenario: _outcomes(study, arm) for scenario, arm in best.items()}
    known = [outcomes for outcomes in found.values() if outcomes]
    if not known:
        return (Paragraph(f"{target}: – ({_why(study)})."),)
    labels, names = known[0][0].labels, _names(known)
    classes = np.unique(labels)
    columns = {s: _column(outcomes, labels, classes) for s, outcomes in found.items()}
    rows = tuple(
        (
            cell(names.get(int(label), f"class {label}")),
            cell(whole((labels == label).sum())),
            *(column[number] for column in columns.values()),
        )
        for number, label in enumerate(classes)
    )
    whole_set = (cell("all"), cell(whole(len(labels))), *(c[-1] for c in columns.values()))
    whose = Bullets(tuple(f"{scenario}: {arm.name}" for scenario, arm in best.items()))
    table = Table(
        f"Recall (%) by class, {target}", ("class", "test images", *best), (*rows, whole_set)
    )
    if len(classes) <= LONG:
        return whose, table
    return whose, Fold(f"Recall of the {len(classes):,} classes of {target}", (table,))


def _outcomes(study: Study, arm: Arm) -> list[Outcome]:
    """The arm's seeds, as far as they were tested on the same images; empty if one is lacking."""
    runs = study.measured.tested(arm.place).values()
    found = [study.measured.outcome(run) for run in runs]
    if any(one is None for one in found) or any(o.labels is not found[0].labels for o in found):
        return []
    return found


def _names(known: list[list[Outcome]]) -> dict[int, str]:
    named = next((one.classes for outcomes in known for one in outcomes if one.classes), ())
    return dict(enumerate(named))


def _column(outcomes: list[Outcome], labels: np.ndarray, classes: np.ndarray) -> list[Cell]:
    import numpy as np

    if not outcomes or outcomes[0].labels is not labels:
        return [(Line("–", "(no predictions)"),)] * (len(classes) + 1)
    right = np.stack([one.right for one in outcomes])
    predicted = np.stack([one.predicted for one in outcomes])
    f1 = [_f1(predicted, labels, label) for label in classes]
    recalls = [right[:, labels == label] for label in classes]
    cells = [_recall(hits, score) for hits, score in zip(recalls, f1, strict=True)]
    mean = 100 * np.mean([hits.mean() for hits in recalls])
    text = f"mean recall {mean:.1f}, mean F1 {100 * np.mean(f1):.1f}"
    return [*cells, cell(f"{100 * right.mean():.1f}", text)]


def _f1(predicted: np.ndarray, labels: np.ndarray, label: int) -> float:
    """Of one class, the mean over runs (runs, images)."""
    answered, own = predicted == label, labels == label
    both = answered.sum(axis=1) + own.sum()
    return float((2 * (answered & own).sum(axis=1) / both).mean())


def _recall(right: np.ndarray, f1: float) -> Cell:
    import numpy as np

    from transfer_lab.stats.shares import share_interval
    from transfer_lab.stats.two_way import Crossed

    found = Crossed.of(right[None], np.zeros(right.shape[1])).contrast([1])
    ends = share_interval(found)
    note = f"[{100 * ends[0]:.0f} to {100 * ends[1]:.0f}]" if ends else ""
    return Line(f"{100 * found.mean:.1f}", note), Line("", f"F1 {100 * f1:.1f}")


def _why(study: Study) -> str:
    reasons = ", ".join(sorted(study.predictions.problems))
    return f"predictions {reasons}" if reasons else "test sets differ between seeds"
