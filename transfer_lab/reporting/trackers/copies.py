"""What trackers are given: a finished cell with its place, its run, its curve and its numbers."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transfer_lab.experiment.spec import Cell
from transfer_lab.store.layout import CURVE
from transfer_lab.store.records import Record, RecordStore

_PLACE = (
    *("scenario", "size", "similarity", "source", "target", "backbone", "regime", "budget"),
    *("seed", "fold"),
)


@dataclass(frozen=True)
class Copy:
    """One cell of one experiment, as plain values.

    `id` is the same whenever the same run is copied for the same place. `backbone` is its name in
    the experiment, which is the `group`; `job_type` is the regime. `config`: the place as flat
    keys, and the run. `curve`: a row an epoch. `record`: what the run's record holds.
    """

    id: str
    name: str
    backbone: str
    group: str
    job_type: str
    tags: list[str]
    config: dict[str, Any]
    curve: list[Mapping[str, float]]
    record: dict[str, object]

    @property
    def place(self) -> str:
        """Where it stands in the experiment: `small_similar/cnn/linear_probe/seed0`."""
        known = self.config
        parts = (known["scenario"], self.backbone, self.job_type, known["budget"])
        unit = f"seed{known['seed']}" + ("" if known["fold"] is None else f"-fold{known['fold']}")
        return "/".join([*filter(None, parts), unit])

    @property
    def folder(self) -> str:
        """The same for a folder, which another run for this place does not share."""
        return f"{self.place}-{self.config['run_id'][:8]}"

    @property
    def numbers(self) -> dict[str, float]:
        """What was measured in the end, as `final/<column>`: a curve has columns of these names."""
        found = self.record.items()
        return {f"final/{k}": v for k, v in found if isinstance(v, int | float)}

    @property
    def options(self) -> dict[str, object]:
        """What a tracker shows beside the numbers: the place, the run's options, the record's
        words."""
        words = {k: v for k, v in self.record.items() if isinstance(v, str)}
        own = {"backbone": self.backbone, "tags": ", ".join(self.tags), "record": words}
        return {**self.config, **own}

    @property
    def last(self) -> int:
        """The last epoch; 0 without any."""
        return int(self.curve[-1]["epoch"]) if self.curve else 0


def place_of(cell: Cell) -> str:
    """The name of a cell within its experiment."""
    place = f"{cell.scenario}/{cell.backbone}/{cell.regime}/{cell.seed}"
    place += "" if cell.fold is None else f"-{cell.fold}"
    return f"{place}/{cell.budget}" if cell.budget else place


def copy_of(cell: Cell, backbone: str, record: Record, store: RecordStore) -> Copy:
    """What trackers are given of a cell, whose backbone the experiment calls so, and of its run's
    record; the curve is read from the store."""
    kind = cell.run.backbone.kind
    short = hashlib.sha256(place_of(cell).encode()).hexdigest()[:8]
    name = (cell.scenario, kind, cell.regime, cell.budget, f"s{cell.seed}")
    name += () if cell.fold is None else (f"f{cell.fold}",)
    return Copy(
        id=f"{record.run_id}-{short}-{cell.experiment}",
        name="-".join(filter(None, name)),
        backbone=backbone,
        group=cell.experiment,
        job_type=cell.regime,
        tags=sorted({cell.scenario, cell.size, cell.similarity, kind}),
        config={name: getattr(cell, name) for name in ("experiment", *_PLACE)}
        | {"per_class": cell.run.per_class, "regime_kind": cell.run.regime.kind}
        | {"run_id": cell.run.id, "run": cell.run.model_dump(mode="json")},
        curve=_curve(store, record.run_id),
        record=record.model_dump(exclude_none=True),
    )


def _curve(store: RecordStore, run_id: str) -> list[Mapping[str, float]]:
    import pandas as pd

    for _, content in store.contents([run_id], CURVE):
        with contextlib.suppress(ValueError):
            table = pd.read_csv(io.BytesIO(content))
            return [row.dropna().to_dict() for _, row in table.iterrows()]
    return []
