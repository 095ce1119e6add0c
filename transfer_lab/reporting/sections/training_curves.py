"""Training curves, and which of them have not flattened."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Literal

from transfer_lab.reporting.blocks import Block, Note, Paragraph, Picture, Section, Table, cell
from transfer_lab.reporting.study import Place, Study

Shape = Literal["flat", "falling", "not falling", "too short"]

LEAD = "Loss and validation accuracy by epoch, and which runs had not flattened."
CRITERION = (
    "A run counts as still falling if its training loss falls by more than 5 % of its whole fall "
    "(first to last epoch) in the last fifth of its epochs: more epochs might change its place in "
    "the tables. The budget is the same for every regime and is not extended for those."
)


def training_curves(study: Study) -> Section | None:
    """How training went, and whether the budget was enough."""
    if not study.with_curves:
        return None
    return Section("Training curves", (*_pictures(study), *_verdict(study), Note(CRITERION)), LEAD)


def shape(losses: list[float]) -> Shape:
    """Whether a training loss has flattened by the end of its run."""
    if len(losses) < 2:
        return "too short"
    last_fifth = -(-len(losses) // 5)
    whole, late = losses[0] - losses[-1], losses[-1 - last_fifth] - losses[-1]
    if whole <= 0:
        return "not falling"
    return "falling" if late > 0.05 * whole else "flat"


def _verdict(study: Study) -> list[Block]:
    shapes: dict[Place, Counter[Shape]] = defaultdict(Counter)
    for place, run_id in study.with_curves:
        shapes[place][shape(_losses(study, run_id))] += 1
    rows = tuple(
        (
            cell(regime),
            cell(backbone),
            cell(scenario),
            cell(f"{counts['falling']} of {counts.total()}"),
            cell(f"{counts['not falling']} of {counts.total()}"),
        )
        for (scenario, backbone, regime), counts in shapes.items()
        if counts["falling"] or counts["not falling"]
    )
    short = sum(counts["too short"] for counts in shapes.values())
    blocks: list[Block] = []
    if rows:
        head = ("regime", "backbone", "scenario", "still falling", "did not fall")
        blocks.append(Table("Runs whose training loss has not flattened", head, rows, texts=3))
    elif not short:
        blocks.append(Paragraph("All flattened."))
    if short:
        blocks.append(Paragraph(f"Too short to judge (fewer than two epochs): {short} runs."))
    return blocks


def _losses(study: Study, run_id: str) -> list[float]:
    return [v for v in study.curves[run_id]["train_loss"].tolist() if v == v]


def _pictures(study: Study) -> Iterator[Picture]:
    from transfer_lab.reporting.figures.training_curves import figure, mean_curves

    for column, what in (("train_loss", "Training loss"), ("val_accuracy", "Validation accuracy")):
        means = mean_curves(study, column)
        for number, backbone in enumerate(study.backbones, start=1):
            if not any(place.backbone == backbone for place in means):
                continue
            slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{column}-{number}-{backbone}").strip("-.")
            caption = f"{what} by epoch, {backbone}: mean over seeds, one panel for each scenario."
            alt = f"Lines of {what.lower()} by epoch, one line for each regime, {backbone}"
            drawn, about = figure(study, backbone, column, means), (("backbone", backbone),)
            yield Picture(f"{slug}.png", caption, alt, drawn, about)
