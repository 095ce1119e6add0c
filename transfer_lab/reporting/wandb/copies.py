"""What Weights & Biases is sent: a run for each cell, and one that sums an experiment up."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transfer_lab.experiment.spec import Cell, Tracking
from transfer_lab.reporting.blocks import pictures
from transfer_lab.reporting.sections.answer import answer
from transfer_lab.reporting.sections.training_curves import training_curves
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.wording import accuracy_text
from transfer_lab.store.layout import CURVE
from transfer_lab.store.records import Record, RecordStore

if TYPE_CHECKING:
    import wandb

_INIT_TIMEOUT_S = 15
_PLACE = (
    *("scenario", "size", "similarity", "source", "target", "backbone", "regime", "budget"),
    "seed",
)
MATRIX = (
    *("scenario", "size", "similarity", "source", "target", "per_class", "backbone", "regime"),
    *("control", "best", "n", "planned", "accuracy", "half_width", "fit_seconds"),
)
"""The columns of the summary's table of places; a number that was not measured is absent."""


def place_of(cell: Cell) -> str:
    """The name of a cell within its experiment."""
    place = f"{cell.scenario}/{cell.backbone}/{cell.regime}/{cell.seed}"
    return f"{place}/{cell.budget}" if cell.budget else place


def copy_cell(tracking: Tracking, cell: Cell, record: Record, store: RecordStore) -> str | None:
    """Send one cell: its place as flat keys, its run, its curve and its record."""
    place = hashlib.sha256(place_of(cell).encode()).hexdigest()[:8]
    kind = cell.run.backbone.kind
    name = (cell.scenario, kind, cell.regime, cell.budget, f"s{cell.seed}")
    run = _begin(
        tracking,
        store,
        id=f"{record.run_id}-{place}-{cell.experiment}",
        name="-".join(filter(None, name)),
        group=cell.experiment,
        job_type=cell.regime,
        tags=sorted({cell.scenario, cell.size, cell.similarity, kind}),
        config={name: getattr(cell, name) for name in ("experiment", *_PLACE)}
        | {"per_class": cell.run.per_class, "regime_kind": cell.run.regime.kind}
        | {"run_id": cell.run.id, "run": cell.run.model_dump(mode="json")},
    )
    try:
        for row in _curve(store, record.run_id):
            run.log(row, step=int(row["epoch"]))
        run.summary.update(record.model_dump(exclude_none=True))
        return run.url
    finally:
        run.finish()


def copy_summary(tracking: Tracking, study: Study, store: RecordStore) -> str | None:
    """Send or renew the one run of an experiment that holds its matrix as tables and figures."""
    import wandb
    from PIL import Image

    from transfer_lab.reporting.figures.mpl import png

    name = study.experiment.name
    run = _begin(
        tracking,
        store,
        id=f"summary-{name}",
        name=f"summary of {name}",
        group=name,
        job_type="summary",
        tags=["summary"],
        config={"experiment": name, "definition": study.experiment.model_dump(mode="json")},
    )
    try:
        led = study.by_accuracy
        tables = {"matrix": (MATRIX, [*_places(led)]), "accuracy (%)": _in_words(led)}
        logged: dict[str, Any] = {
            title: wandb.Table(columns=[*head], data=rows, allow_mixed_types=True)
            for title, (head, rows) in tables.items()
        }
        for picture in pictures((answer(study), training_curves(study))):
            image = Image.open(io.BytesIO(png(picture.figure)))
            title = picture.name.removesuffix(".png").replace(".", "_")  # a dot would nest
            logged[title] = wandb.Image(image, caption=picture.caption)
        run.log(logged)
        states = study.cells["status"].value_counts()
        counts = {f"cells_{s.replace(' ', '_')}": int(number) for s, number in states.items()}
        run.summary.update(counts)
        return run.url
    finally:
        run.finish()


def _begin(tracking: Tracking, store: RecordStore, **options: object) -> wandb.Run:
    """A run of W&B; one of the same id is written anew."""
    import wandb

    os.environ.setdefault("WANDB_SILENT", "true")
    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        mode=tracking.mode,
        dir=str(store.root),
        settings=wandb.Settings(init_timeout=_INIT_TIMEOUT_S, console="off", disable_git=True),
        **options,
    )


def _curve(store: RecordStore, run_id: str) -> list[Mapping[str, float]]:
    import pandas as pd

    path = store.file(run_id, CURVE)
    if not path.exists():
        return []
    return [row.dropna().to_dict() for _, row in pd.read_csv(path).iterrows()]


def _places(study: Study) -> Iterator[list[object]]:
    """A row for each place of the matrix, in the order of `MATRIX`."""
    for scenario, place in study.experiment.scenarios.items():
        for backbone in study.backbones:
            best = study.best(scenario, backbone, study.contenders(scenario, backbone))
            for regime in study.planned(scenario, backbone):
                found = study.summary(scenario, backbone, regime)
                accuracy, seconds = found.accuracy, found.seconds
                yield [
                    *(scenario, place.size, place.similarity, place.path or None, place.target),
                    *(place.per_class, backbone, regime, study.is_control(regime), regime == best),
                    *(accuracy.n if accuracy else 0, found.planned),
                    *(accuracy.mean if accuracy else None, accuracy.half if accuracy else None),
                    seconds.mean if seconds else None,
                ]


def _in_words(study: Study) -> tuple[tuple[str, ...], list[list[str]]]:
    """The matrix as people read it: a row for each backbone and regime, scenarios as columns."""
    rows = [
        [
            backbone,
            regime,
            *(accuracy_text(study.summary(s, backbone, regime)) for s in study.scenarios),
        ]
        for backbone in study.backbones
        for regime in study.regimes_on(backbone)
    ]
    return ("backbone", "regime", *study.scenarios), rows
