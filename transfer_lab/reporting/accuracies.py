"""Test accuracies by place and seed, with the errors of seeds and test images; and seconds, which
seeds that were fitted in one pass share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.predictions import Outcome, Predictions

if TYPE_CHECKING:
    import pandas as pd

    from transfer_lab.stats.estimates import Estimate
    from transfer_lab.stats.two_way import Crossed


class Place(NamedTuple):
    """Where a group of cells that differ in the seed alone stands in the matrix."""

    scenario: str
    backbone: str
    regime: str


class Tested(NamedTuple):
    """A finished run: its id, its test accuracy, and on how many images (None: not known)."""

    run_id: str
    accuracy: float
    images: int | None


def rows_of(table: pd.DataFrame, *columns: str) -> Iterator[tuple]:
    """The table's rows in these columns. As lists: asked one by one, the texts of a column take
    twenty times as long."""
    return zip(*(table[name].tolist() for name in columns), strict=True)


Unit = int | tuple[int, int]
"""What the runs of a place differ in: the seed, or with cross-validation the seed and the fold."""


def units_of(rows: pd.DataFrame) -> list[Unit]:
    """Of each row."""
    seeds = rows["seed"].tolist()
    if "fold" not in rows or rows["fold"].isna().all():
        return seeds
    return [*zip(seeds, map(int, rows["fold"].tolist()), strict=True)]


def unit_name(unit: Unit) -> str:
    """For people: `seed 0`, or `seed 0 fold 3`."""
    return f"seed {unit}" if isinstance(unit, int) else f"seed {unit[0]} fold {unit[1]}"


class Measured:
    """The finished, tested cells; the predictions behind them are read where they are needed.

    `folds`: how many, with cross-validation. Its units are the folds of all seeds, and their spread
    is corrected for what folds share; it holds the error of the test images.
    """

    def __init__(self, done: pd.DataFrame, predictions: Predictions, folds: int | None = None):
        self.predictions, self.folds = predictions, folds
        self._crossed: dict[tuple[Place, ...], Crossed | None] = {}
        self._tested: dict[Place, dict[Unit, Tested]] = defaultdict(dict)
        columns = ("scenario", "backbone", "regime", "run_id", "test_accuracy", "n_test")
        for unit, (*names, run_id, score, images) in zip(
            units_of(done), rows_of(done, *columns), strict=True
        ):
            if score == score:
                known = None if images != images else int(images)
                self._tested[Place(*names)][unit] = Tested(run_id, score, known)

    def tested(self, place: Place) -> dict[Unit, Tested]:
        """Every tested seed of one place, or with cross-validation every fold of every seed."""
        return self._tested.get(place, {})

    def outcome(self, run: Tested) -> Outcome | None:
        """What a run answered to each test image, if its predictions can be read."""
        return self.predictions.of(run.run_id, run.accuracy)

    def read_all(self) -> None:
        """Read the predictions of every run, so that what is wrong with any is known."""
        for tested in self._tested.values():
            for run in tested.values():
                self.outcome(run)

    def together(self, places: tuple[Place, ...]) -> Crossed | None:
        """The places on the seeds that all of them have, with both errors; None without any.

        From predictions by image where all are at hand and of one test set; else from the
        accuracies alone, with the test set's error bounded from above.
        """
        if places not in self._crossed:
            self._crossed[places] = self._cross(places)
        return self._crossed[places]

    def estimate(self, place: Place) -> Estimate | None:
        """Test accuracy of one place."""
        found = self.together((place,))
        return found.contrast([1]) if found else None

    def lead(self, place: Place, over: Place) -> Estimate | None:
        """How far one place is ahead of another, paired by seed and by test image."""
        found = self.together((place, over))
        return found.contrast([1, -1]) if found else None

    def _cross(self, places: tuple[Place, ...]) -> Crossed | None:
        return self.crossed([self.tested(place) for place in places])

    def crossed(self, tested: Sequence[Mapping[Unit, Tested]]) -> Crossed | None:
        """As `together`, of finished runs by seed, whatever budgets they are of."""
        import numpy as np

        from transfer_lab.stats.cross_validation import cross_validated
        from transfer_lab.stats.two_way import Crossed

        seeds = sorted(set.intersection(*(set(found) for found in tested)))
        if not seeds:
            return None
        runs = [found[seed] for found in tested for seed in seeds]
        scores = np.array([run.accuracy for run in runs]).reshape(len(tested), len(seeds))
        if self.folds:
            counts = [run.images or 0 for run in runs[: len(seeds)]]
            return cross_validated(scores, self.folds, sum(counts))
        known = self.predictions.together([(run.run_id, run.accuracy) for run in runs])
        if known is None:
            images = [run.images for run in runs if run.images is not None]
            return Crossed.of_scores(scores, min(images, default=None))
        found = Crossed.of(known.right.reshape(*scores.shape, -1), known.labels)
        return replace(found, means=scores.mean(axis=1))  # the records' own digits


PLACE = ("scenario", "backbone", "regime")
"""The columns that say where a run stands."""


def one_a_pass(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but for those of seeds that were fitted in the same pass as an earlier one."""
    repeated = rows.duplicated([*PLACE, "fit_seconds"])
    return rows[~(repeated & (rows["together"] > 1))]
