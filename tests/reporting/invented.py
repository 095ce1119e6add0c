"""Experiments and records that nobody measured, for tests of the report."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell, Experiment, Run
from transfer_lab.reporting.collect import read_exactly
from transfer_lab.reporting.gallery import Gallery
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.reporting.render.markdown import to_markdown
from transfer_lab.reporting.report import write
from transfer_lab.reporting.sections.order import sections
from transfer_lab.reporting.study import StoredResults, Study
from transfer_lab.similarity.pairs import Compared, comparisons
from transfer_lab.store.records import Record
from transfer_lab.store.results import frame
from transfer_lab.store.trials import Trial, choose, to_csv

REGIMES = ("from_scratch", "linear_probe", "partial_finetune", "full_finetune", "lp_ft")
CONTROLS = ("majority", "random_features")
SOURCES = {"similar": "latin", "dissimilar": "textures"}
PER_CLASS = {"small": 5, "large": 200}
CORNERS = [
    ("small", "similar"),
    ("small", "dissimilar"),
    ("large", "dissimilar"),
    ("large", "similar"),
]
SKILL = {
    "from_scratch": (0.08, 0.61),
    "linear_probe": (0.34, 0.55),
    "partial_finetune": (0.29, 0.66),
    "full_finetune": (0.20, 0.64),
    "lp_ft": (0.33, 0.665),
    "majority": (0.03, 0.03),
    "random_features": (0.06, 0.2),
}
TIME = {"from_scratch": 30.0, "full_finetune": 31.0, "lp_ft": 24.0, "partial_finetune": 17.0}

PACE = {"from_scratch": 0.4, "full_finetune": 0.7, "partial_finetune": 0.85, "lp_ft": 1.3}


def _drawn_by(run: Run) -> str:
    """What a run's numbers are drawn by: its id under protocol 2, whatever the protocol is."""
    return hashlib.sha256(f"[2, {run.canonical}]".encode()).hexdigest()[:16]


def experiment(
    *,
    corners: Iterable[tuple[str, str]] = CORNERS,
    backbones: dict[str, dict] | None = None,
    regimes: Iterable[str] = (*REGIMES, *CONTROLS),
    seeds: int = 5,
    **more: object,
) -> Experiment:
    """A grid of letters with as many corners, backbones and seeds as a test needs."""
    return Experiment(
        name="letters",
        title="Cyrillic letters from two sources",
        image_size=32,
        domains={name: {"kind": name} for name in ("cyrillic", "latin", "textures")},
        scenarios={
            f"{size}_{similarity}": {
                "source": SOURCES[similarity],
                "target": "cyrillic",
                "per_class": PER_CLASS[size],
                "size": size,
                "similarity": similarity,
            }
            for size, similarity in corners
        },
        backbones=backbones or {"cnn": {"kind": "cnn"}},
        regimes={name: {"kind": name} for name in regimes},
        seeds=tuple(range(seeds)),
        **more,
    )


def record(cell: Cell, **changes: object) -> Record:
    """A finished record that is plausible for the cell, and the same every time."""
    kind, run = cell.run.regime.kind, cell.run
    chance = random.Random(_drawn_by(run))
    small = cell.size == "small"
    images = 300 if run.per_class == "all" else run.per_class
    skill = SKILL.get(kind, SKILL["partial_finetune"])[0 if small else 1]
    if run.init is not None and cell.similarity == "dissimilar":
        skill *= 0.45 if small else 0.8
    if kind != "majority":
        skill += chance.gauss(0, 0.02 if small else 0.01)
    values = {
        "run_id": run.id,
        "init_id": run.init_id,
        "status": "done",
        "num_classes": 37,
        "n_train": 37 * images * 4 // 5,
        "n_val": 37 * images // 5,
        "n_test": 2220,
        "test_accuracy": min(max(skill, 0.0), 1.0),
        "val_accuracy": min(max(skill + 0.01, 0.0), 1.0),
        "majority_accuracy": 1 / 37,
        "train_accuracy": min(max(skill + 0.05, 0.0), 1.0),
        "predicted_classes": 37,
        "commonest_prediction": 0.1,
        "dead_units": 0.02,
        "decode_seconds": 0.4,
        "feature_seconds": 1.5 if kind in ("linear_probe", "random_features") else 0.0,
        "fit_seconds": TIME.get(kind, 1.0) * (0.2 if small else 1) * chance.uniform(0.9, 1.1),
        "eval_seconds": 0.8,
        "pretrain_seconds": 40.0 + len(cell.source) if run.init else None,
        "epochs": 20,
        "steps": 600,
        "trainable_params": 60_000,
        "total_params": 1_234_567,
        "macs_per_image": 4_500_000,
        "precision": "fp32",
        "device": "cpu",
        "host": "laptop",
        "threads": 1,
        "concurrency": 2,
        "torch": "2.15.0",
        "lightning": "2.6.6",
        "transfer_lab": "0.1.0",
        "commit": "0123abc",
        "started_at": f"2026-01-0{1 + run.seed % 9}T10:00:00+00:00",
    }
    return Record(**(values | changes))


def curve(cell: Cell, *, epochs: int = 20, rate: float = 0.35) -> pd.DataFrame:
    """The metrics.csv of a run whose loss falls exponentially."""
    chance = random.Random(_drawn_by(cell.run))
    rate *= chance.uniform(0.95, 1.05) * PACE.get(cell.run.regime.kind, 1.0)
    loss = [0.4 + 3.2 * (1 - rate) ** epoch for epoch in range(epochs)]
    accuracy = [0.02 + 0.6 * (1 - (1 - rate) ** epoch) for epoch in range(epochs)]
    return pd.DataFrame(
        {
            "phase": "fit",
            "epoch": range(1, epochs + 1),
            "steps": 30,
            "train_loss": loss,
            "train_accuracy": accuracy,
            "val_loss": [value + 0.1 for value in loss],
            "val_accuracy": [a if n % 4 == 3 else None for n, a in enumerate(accuracy)],
            "fit_seconds": 1.0,
        }
    )


def predictions(cell: Cell, accuracy: float, n: int, classes: int) -> dict[str, np.ndarray]:
    """The predictions.npz of a run: images that are hard are hard for every run, more or less."""
    labels = np.arange(n) % classes
    hard = np.random.default_rng(0).normal(size=n)
    own = np.random.default_rng(int(_drawn_by(cell.run), 16)).normal(0, 0.7, n)
    right = np.argsort(np.argsort(hard + own)) < round(accuracy * n)
    predicted = np.where(right, labels, (labels + 1 + np.arange(n) % 3) % classes)
    return {
        "label": labels.astype(np.uint16),
        "predicted": predicted.astype(np.uint16),
        "classes": np.array([f"letter {chr(65 + number)}" for number in range(classes)]),
    }


def search(cell: Cell) -> tuple[pd.DataFrame, dict[str, object]]:
    """The trials.csv of a tuned run, its last trial diverged, and what the record keeps of it."""
    chance = random.Random(f"search {_drawn_by(cell.run)}")
    *done, _ = cell.run.tune
    made = [
        Trial(
            options, chance.uniform(0.3, 0.7), chance.uniform(1, 2), 20, 600, chance.uniform(1, 2)
        )
        for options in done
    ]
    made.append(Trial(cell.run.tune[-1], None, None, 0, 0, 0.1, "diverged"))
    made[0] = made[0]._replace(feature_seconds=0.75)
    place = choose(made)
    found = {
        "trials": len(made),
        "tune_seconds": sum(trial.seconds + trial.feature_seconds for trial in made),
        "chosen_options": json.dumps(made[place].options, sort_keys=True),
        "val_accuracy": made[place].val_accuracy,
    }
    return read_exactly(io.BytesIO(to_csv(made, place))), found


@dataclass
class Grid:
    """An experiment, the records there are of it, and their curves."""

    experiment: Experiment
    records: dict[str, Record] = field(default_factory=dict)
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)
    trials: dict[str, pd.DataFrame] = field(default_factory=dict)
    searches: dict[str, tuple[Trial, ...]] = field(default_factory=dict)
    similarities: dict[str, Compared] = field(default_factory=dict)
    store: Path | None = None
    gallery: Gallery = field(default_factory=Gallery)

    def place(self, where: dict[str, tuple[float, float, float]]) -> Grid:
        """Put each source at its place on the axis, in every space."""
        for named in comparisons(self.experiment):
            known = {"position": where[named.source], "mmd2": (0.3, 0.01), "images": 40}
            key = named.comparison.id
            self.similarities[key] = Compared(of=key, seconds=1, **known)
        return self

    def predict(self, store: Path, *, n: int = 370, classes: int = 37) -> Grid:
        """Write the predictions of every finished run, on `n` images, and make records agree."""
        self.store = store
        for cell in self.cells:
            known = self.records.get(cell.run.id)
            if known is None or known.status != "done" or self.locate(cell.run.id).exists():
                continue
            arrays = predictions(cell, known.test_accuracy, n, classes)
            self.locate(cell.run.id).parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(self.locate(cell.run.id), **arrays)
            right = float((arrays["label"] == arrays["predicted"]).mean())
            changes = {"test_accuracy": right, "n_test": n, "num_classes": classes}
            self.records[cell.run.id] = known.model_copy(update=changes)
        return self

    def locate(self, run_id: str) -> Path:
        """Where a run's predictions lie."""
        return self.store / run_id / "predictions.npz"

    @property
    def cells(self) -> tuple[Cell, ...]:
        return plan(self.experiment)

    def finish(self, wanted: Callable[[Cell], bool] = lambda _: True, **changes: object) -> Grid:
        """Finish the wanted cells."""
        for cell in filter(wanted, self.cells):
            self.records[cell.run.id] = record(cell, **changes)
            if cell.run.tune:
                self.trials[cell.run.id], found = search(cell)
                self.records[cell.run.id] = record(cell, **(changes | found))
            if cell.run.regime.kind != "majority":
                self.curves[cell.run.id] = curve(cell)
        return self

    def fail(self, run: Run, message: str, **known: object) -> Grid:
        """Fail one run, after it had measured what is known."""
        self.records[run.id] = Record.failure(run, "error", message, **known)
        self.curves.pop(run.id, None)
        return self

    @property
    def frame(self) -> pd.DataFrame:
        return frame(self.cells, self.records)

    @property
    def stored(self) -> StoredResults:
        """What a store would hold of it."""
        return StoredResults(
            frame=self.frame,
            curves=self.curves,
            trials=self.trials,
            searches=self.searches,
            validated=dict.fromkeys(self.searches, 37),
            predictions=Predictions(self.locate if self.store else None),
            similarities=self.similarities,
            gallery=self.gallery,
        )

    def study(self, command: str = "transfer-lab report letters.yaml") -> Study:
        return Study.of(self.experiment, self.stored, command)

    def markdown(self, command: str = "transfer-lab report letters.yaml") -> str:
        """All that is on the page, as Markdown, and without figures, which take most of the
        time."""
        return to_markdown(sections(self.study(command)))

    def write(self, out: Path, command: str = "transfer-lab report letters.yaml") -> Path:
        return write(self.experiment, self.stored, out, command)
