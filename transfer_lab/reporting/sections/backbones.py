"""The networks side by side: what each is, learns from scratch, gains by transfer, and costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from transfer_lab.experiment.spec import Scenario
from transfer_lab.reporting.blocks import Cell, Line, Note, Section, Table, cell
from transfer_lab.reporting.study import Study, interval
from transfer_lab.reporting.wording import accuracy_cell, amount, whole

if TYPE_CHECKING:
    import pandas as pd


def backbones(study: Study) -> Section:
    """One row a backbone, in the largest similar scenario."""
    scenario = largest(study)
    text = (
        f"Accuracies and times are those in scenario {scenario}. Seconds per epoch are those of "
        "from_scratch; parameters and multiply-accumulates (MACs) count the whole network."
    )
    head = (
        "backbone",
        "as configured",
        "from scratch (%)",
        "best transfer (%)",
        "s / epoch",
        "parameters",
        "MACs / image",
        "majority (%)",
    )
    rows = tuple(_row(study, scenario, backbone) for backbone in study.backbones)
    table = Table(f"Networks compared, in {scenario}", head, rows, texts=2)
    return Section("Networks compared", (table, Note(text)))


def largest(study: Study) -> str:
    """Name of the large similar scenario; without one, that with most images per class; one with
    labels, where there is any."""

    def rank(item: tuple[str, Scenario]) -> tuple[bool, bool, float]:
        place = item[1]
        images = math.inf if place.per_class == "all" else place.per_class
        given = place.labels == "given"
        return given, (place.size, place.similarity) == ("large", "similar"), images

    return max(study.experiment.scenarios.items(), key=rank)[0]


def _row(study: Study, scenario: str, backbone: str) -> tuple[Cell, ...]:
    scratch = study.of_kind("from_scratch")
    transferred = tuple(r for r in study.contenders(scenario, backbone) if r not in scratch)
    plain = study.best(scenario, backbone, scratch) or next(iter(scratch), None)
    best = study.best(scenario, backbone, transferred)
    done = study.done
    here = done[(done["scenario"] == scenario) & (done["backbone"] == backbone)]
    own = here[here["regime"] == plain]
    pace = interval((own["fit_seconds"] / own["epochs"]).tolist())
    majority = interval(here["majority_accuracy"].tolist())
    return (
        cell(backbone),
        cell(study.experiment.backbones[backbone].label),
        _accuracy(study, scenario, backbone, plain),
        _accuracy(study, scenario, backbone, best) + ((Line("", best),) if best else ()),
        cell(amount(pace.mean) if pace else "–"),
        _size(own["total_params"]),
        _size(own["macs_per_image"]),
        cell(f"{100 * majority.mean:.1f}" if majority else "–"),
    )


def _accuracy(study: Study, scenario: str, backbone: str, regime: str | None) -> Cell:
    if regime is None:
        return (Line("–"),)
    return accuracy_cell(study.summary(scenario, backbone, regime), usual=study.usual_seeds)


def _size(values: pd.Series) -> Cell:
    known = values.dropna()
    return cell("–" if known.empty else whole(known.max()))
