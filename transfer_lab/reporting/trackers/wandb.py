"""What Weights & Biases is sent: a run for each cell, and one that sums an experiment up."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from transfer_lab.experiment.settings import Tracking
from transfer_lab.reporting.blocks import pictures
from transfer_lab.reporting.sections.answer import answer
from transfer_lab.reporting.sections.training_curves import training_curves
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.trackers.copies import Copy
from transfer_lab.reporting.wording import accuracy_text
from transfer_lab.store.records import RecordStore

if TYPE_CHECKING:
    import wandb

_INIT_TIMEOUT_S = 15
MATRIX = (
    *("scenario", "size", "similarity", "source", "target", "per_class", "backbone", "regime"),
    *("control", "best", "n", "planned", "accuracy", "half_width", "fit_seconds"),
)
"""The columns of the summary's table of places; a number that was not measured is absent."""


class WeightsAndBiases:
    """Runs of W&B, below the store until they are uploaded; one of the same id is written anew."""

    name, title, sums_up = "wandb", "W&B", True

    def __init__(self, tracking: Tracking, store: RecordStore):
        self._tracking, self._store = tracking, store
        self.note = {"mode": tracking.mode}

    def holds(self, noted: str | None) -> bool:
        """Whether a copy that was noted is still there: what was sent is not asked for again."""
        return True

    def copy(self, copy: Copy) -> str | None:
        """Send one cell: its place as flat keys, its run, its curve and its record."""
        run = self._begin(
            id=copy.id,
            name=copy.name,
            group=copy.group,
            job_type=copy.job_type,
            tags=copy.tags,
            config=copy.config,
        )
        try:
            for row in copy.curve:
                run.log(row, step=int(row["epoch"]))
            run.summary.update(copy.record)
            return run.url
        finally:
            run.finish()

    def summarise(self, study: Study) -> str | None:
        """Send or renew the one run of an experiment that holds its matrix as tables and
        figures."""
        import wandb
        from PIL import Image

        from transfer_lab.reporting.figures.mpl import png

        name = study.experiment.name
        run = self._begin(
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
            counts = {f"cells_{s.replace(' ', '_')}": int(n) for s, n in states.items()}
            run.summary.update(counts)
            return run.url
        finally:
            run.finish()

    def _begin(self, **options: object) -> wandb.Run:
        import wandb

        os.environ.setdefault("WANDB_SILENT", "true")
        return wandb.init(
            project=self._tracking.project,
            entity=self._tracking.entity,
            mode=self._tracking.mode,
            dir=str(self._store.root),
            settings=wandb.Settings(init_timeout=_INIT_TIMEOUT_S, console="off", disable_git=True),
            **options,
        )


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
