"""What fine-tuning changed in the stages that came from the source."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from transfer_lab.reporting.accuracies import rows_of
from transfer_lab.reporting.blocks import Cell, Note, Paragraph, Section, Table, cell
from transfer_lab.reporting.study import Place, Study, interval
from transfer_lab.reporting.wording import count

TITLE = "What fine-tuning changed"
LEAD = "How much each stage gives other features after the fit than before (CKA, 1: the same)."
LEGEND = (
    "Linear CKA (Kornblith et al. 2019, with the unbiased HSIC of Song et al. 2012, so that it may "
    "fall a little below 0) of what each stage gives, flattened, before and after the fit, on up "
    "to {images:,} images of the target's training pool (fewer where maps are large), the same "
    "ones for every run of a backbone on it, drawn or not, and never of the test set. 1: the same "
    "up to rotation and scale; about 0: unrelated. Stages are numbered from the input; nothing "
    "changes frozen ones, which stay at 1. Means over seeds with their 95 % t-interval: "
    "exploratory, and much change is neither good nor bad by itself. Regimes that fine-tune "
    "nothing are not shown."
)
UNDEFINED = "A dash: not defined there in some seed, as where a stage answers the same to all."

Stages = dict[int, list[float]]
"""The values of a stage's seeds; a NaN was not defined."""


def stage_drift(study: Study) -> Section | None:
    """A table for each backbone; no section where no run has left what it needs."""
    found = _by_place(study)
    if not found:
        return None
    frozen = _frozen(study)
    tables = tuple(
        _table(study, backbone, here, frozen)
        for backbone in study.backbones
        if (here := {p: stages for p, stages in found.items() if p.backbone == backbone})
    )
    images = max(int(table["images"].max()) for table in study.changes.values())
    blocks = [*tables, Note(LEGEND.format(images=images))]
    if any(math.isnan(v) for stages in found.values() for vs in stages.values() for v in vs):
        blocks.append(Paragraph(UNDEFINED))
    return Section(TITLE, tuple(blocks), LEAD)


def _runs(study: Study) -> Iterator[tuple[Place, str]]:
    for *names, run_id in rows_of(study.done, "scenario", "backbone", "regime", "run_id"):
        if run_id in study.changes:
            yield Place(*names), run_id


def _by_place(study: Study) -> dict[Place, Stages]:
    found: dict[Place, Stages] = defaultdict(lambda: defaultdict(list))
    for place, run_id in _runs(study):
        table = study.changes[run_id]
        for stage, value in zip(table["stage"], table["cka"], strict=True):
            found[place][int(stage)].append(float(value))
    return found


def _frozen(study: Study) -> dict[Place, set[int]]:
    """The stages that were frozen in every seed: a tuned search may freeze others."""
    found: dict[Place, set[int]] = {}
    for place, run_id in _runs(study):
        table = study.changes[run_id]
        here = {int(stage) for stage in table["stage"][table["frozen"].astype(bool)]}
        found[place] = found.get(place, here) & here
    return found


def _table(
    study: Study,
    backbone: str,
    found: Mapping[Place, Stages],
    frozen: Mapping[Place, set[int]],
) -> Table:
    last = max(stage for stages in found.values() for stage in stages)
    rows = tuple(
        (cell(scenario), cell(regime, _seeds(study, place, found[place])), *cells)
        for scenario in study.scenarios
        for regime in study.regimes
        if (place := Place(scenario, backbone, regime)) in found
        for cells in [[_cell(found[place], n, frozen[place]) for n in range(1, last + 1)]]
    )
    head = ("scenario", "regime", *(f"stage {number}" for number in range(1, last + 1)))
    caption = f"CKA of each stage with the source's, {backbone}"
    return Table(caption, head, rows, texts=2, about=(("backbone", backbone),))


def _seeds(study: Study, place: Place, stages: Stages) -> str:
    measured = max(len(values) for values in stages.values())
    return count(measured, study.summary(*place).planned)


def _cell(stages: Stages, stage: int, frozen: set[int]) -> Cell:
    values = stages.get(stage, [])
    if not values or any(map(math.isnan, values)):
        return cell("–")
    known = interval(values)
    if stage in frozen:
        return cell(f"{known.mean:.2f}", "frozen")
    return cell(
        f"{known.mean:.2f}" if known.half is None else f"{known.mean:.2f} ± {known.half:.2f}"
    )
