"""Which trained model an experiment's `keep` means, and the archives of those that were kept."""

from __future__ import annotations

import math
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import IO, NamedTuple

from transfer_lab.reporting.accuracies import Place, rows_of
from transfer_lab.reporting.decision import Standing, decide
from transfer_lab.reporting.study import Study
from transfer_lab.system.files import write_atomically

ARCHIVES = "models"
"""The folder beside the page."""


class Recommended(NamedTuple):
    """The run whose model stands for the answer about a target: where it stands in the matrix, and
    what was found of its arm."""

    target: str
    place: Place
    run_id: str
    standing: Standing

    @property
    def archive(self) -> str:
        """Where its model lies beside the page."""
        return f"{ARCHIVES}/{self.target.replace(':', '-')}.zip"


def recommended(study: Study) -> tuple[Recommended, ...]:
    """One for each target: of the arm that is recommended with the most images a class (where there
    are several such places, of the best), the run of the best validation accuracy, of equal ones,
    or without validation images, the first. The test set chooses the arm, as in the answer, and
    never the run."""
    found: dict[str, list[tuple[float, float, Standing]]] = defaultdict(list)
    for name, scenario in study.experiment.scenarios.items():
        leader = decide(study, name).leader
        if leader is None or scenario.labels == "none" or scenario.control:
            continue
        amount = math.inf if scenario.per_class == "all" else scenario.per_class
        score = study.leads().accuracy(leader.place).mean
        found[scenario.target].append((amount, score, leader))
    chosen = []
    for target, leaders in found.items():
        standing = max(leaders, key=lambda one: one[:2])[2]
        chosen.append(Recommended(target, standing.place, _run(study, standing.place), standing))
    return tuple(chosen)


def kept_models(study: Study) -> tuple[Recommended, ...]:
    """Those whose model was kept."""
    if not study.models:
        return ()
    return tuple(one for one in recommended(study) if one.run_id in study.models)


def store_archives(study: Study, out: Path) -> None:
    """Write each kept model's folder as one file into the report's folder, and take away those of
    models that are no longer recommended."""
    kept = {out / one.archive: study.models[one.run_id] for one in kept_models(study)}
    for stale in (out / ARCHIVES).glob("*.zip"):
        if stale not in kept:
            stale.unlink()
    for path, folder in kept.items():
        write_atomically(path, lambda handle, folder=folder: _archive(Path(folder), handle))


def _archive(folder: Path, handle: IO[bytes]) -> None:
    # Tensors hardly shrink.
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"model/{path.name}")


def _run(study: Study, place: Place) -> str:
    """The run of a place whose model is kept."""
    rows = study.done
    for column, value in place._asdict().items():
        rows = rows[rows[column] == value]
    told = rows_of(rows, "val_accuracy", "seed", "fold", "run_id")
    return min(told, key=_order)[3]


def _order(row: tuple) -> tuple[float, int, float]:
    validated, seed, fold, _ = row
    absent = validated is None or math.isnan(validated)
    return (math.inf if absent else -validated), seed, -1 if fold is None else fold
