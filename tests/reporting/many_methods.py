"""An invented grid of methods that see more than others, one scenario of it without labels."""

from __future__ import annotations

from collections.abc import Mapping

from transfer_lab.experiment.choices import Regime
from transfer_lab.experiment.spec import Experiment, Scenario

from .invented import CORNERS, Grid, experiment, record

SCORES = {
    "from_scratch": 0.20,
    "linear_probe": 0.40,
    "full_finetune": 0.50,
    "lp_ft": 0.52,
    "l2_sp": 0.51,
    "discriminative_finetune": 0.44,
    "multi_task": 0.56,
    "joint_training": 0.70,
    "distillation": 0.50,
    "source_only": 0.30,
    "majority": 0.03,
}
"""Test accuracy by regime, the same in every scenario."""
UNLABELLED = {"joint_training": 0.45, "source_only": 0.30}
NOISE = (0.0, 0.004, -0.004, 0.002)
SEEDS = 4


def methods(regimes: Mapping[str, Regime] | None = None, **more: object) -> Experiment:
    """Four corners and a scenario without labels, with every regime of the table."""
    made = experiment(regimes=[r for r in SCORES if r != "distillation"], seeds=SEEDS, **more)
    teacher = Regime(kind="distillation", teacher={"backbone": "cnn", "regime": "lp_ft"})
    unlabelled = Scenario(
        source="latin",
        target="cyrillic",
        per_class=20,
        size="small",
        similarity="similar",
        labels="none",
    )
    changes = {
        "regimes": {**made.regimes, "distillation": teacher} | (regimes or {}),
        "scenarios": made.scenarios | {"no_labels": unlabelled},
    }
    return made.model_copy(update=changes)


def finished(made: Experiment, scores: Mapping[str, float] | None = None) -> Grid:
    """All of it measured; what differs between the seeds differs for every regime alike, but for a
    few images."""
    grid = Grid(made)
    for number, cell in enumerate(grid.cells):
        unlabelled = made.scenarios[cell.scenario].labels == "none"
        table = SCORES | (UNLABELLED if unlabelled else {}) | (scores or {})
        score = table[cell.regime] + NOISE[cell.seed] + 0.0005 * (number * 7 % 5)
        known = {"test_accuracy": score, "val_accuracy": score, "n_test": 20_000}
        known["images_seen"] = 2000 if "source" in cell.run.streams else 1000
        if unlabelled:
            known |= {"val_accuracy": None, "train_accuracy": None, "majority_accuracy": None}
            known |= {"n_val": 0}
        grid.records[cell.run.id] = record(cell, **known)
    return grid


def comparable(made: Experiment) -> Experiment:
    """The same grid without what sees more, and without the scenario that has no labels."""
    seen = {"multi_task", "joint_training", "distillation", "source_only"}
    return made.model_copy(
        update={
            "regimes": {n: r for n, r in made.regimes.items() if n not in seen},
            "scenarios": {n: s for n, s in made.scenarios.items() if n != "no_labels"},
        }
    )


LABELLED = tuple(f"{size}_{similarity}" for size, similarity in CORNERS)
