"""Test accuracies by place and seed, with the errors of seeds and test images; and seconds, which
seeds that were fitted in one pass share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
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


Weights = Mapping[Place, float]
"""What a weighted sum of accuracies takes of each place."""


def rows_of(table: pd.DataFrame, *columns: str) -> Iterator[tuple]:
    """The table's rows in these columns. As lists: asked one by one, the texts of a column take
    twenty times as long."""
    return zip(*(table[name].tolist() for name in columns), strict=True)


class Measured:
    """The finished, tested cells; the predictions behind them are read where they are needed."""

    def __init__(self, done: pd.DataFrame, predictions: Predictions):
        self.predictions = predictions
        self._crossed: dict[tuple[Place, ...], Crossed | None] = {}
        self._tested: dict[Place, dict[int, Tested]] = defaultdict(dict)
        columns = ("scenario", "backbone", "regime", "seed", "run_id", "test_accuracy", "n_test")
        for *names, seed, run_id, score, images in rows_of(done, *columns):
            if score == score:
                known = None if images != images else int(images)
                self._tested[Place(*names)][seed] = Tested(run_id, score, known)

    def tested(self, place: Place) -> dict[int, Tested]:
        """Every tested seed of one place."""
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

    def contrasts(
        self, wanted: Sequence[Weights], seeds: frozenset[int] | None = None
    ) -> list[Estimate | None]:
        """Weighted sums of places, each on the seeds that all of its places have, paired by test
        image where predictions allow it; many at once, in the time of a few. None without a seed.

        `seeds`: of these alone.
        """
        by_seeds: dict[frozenset[int], list[int]] = defaultdict(list)
        for number, weights in enumerate(wanted):
            common = frozenset.intersection(*(frozenset(self.tested(p)) for p in weights))
            by_seeds[common if seeds is None else common & seeds].append(number)
        by_seeds.pop(frozenset(), None)
        found: list[Estimate | None] = [None] * len(wanted)
        for common, numbers in by_seeds.items():
            here = self._contrasts([wanted[number] for number in numbers], sorted(common))
            for number, estimate in zip(numbers, here, strict=True):
                found[number] = estimate
        return found

    def _contrasts(self, wanted: Sequence[Weights], seeds: Sequence[int]) -> Iterator[Estimate]:
        """On these seeds. Places whose predictions are of the same images are crossed at once; of
        others the errors come from accuracies alone."""
        runs = {
            place: {seed: self.tested(place)[seed] for seed in seeds}
            for place in dict.fromkeys(chain.from_iterable(wanted))
        }
        labels = {place: self._labels(tested.values()) for place, tested in runs.items()}
        crossed: dict[int | None, tuple[Crossed, dict[Place, int]]] = {}
        for key in dict.fromkeys(labels.values()):
            group = [p for p, own in labels.items() if key is not None and own == key]
            if group:
                together = self.crossed([runs[place] for place in group])
                crossed[key] = together, {place: n for n, place in enumerate(group)}
        for weights in wanted:
            keys = {labels[place] for place in weights}
            if len(keys) == 1 and (known := crossed.get(*keys)):
                together, arms = known
                yield together.contrast([*weights.values()], [arms[place] for place in weights])
            else:
                alone = self.crossed([runs[place] for place in weights])
                yield alone.contrast([*weights.values()])

    def _labels(self, runs: Iterable[Tested]) -> int | None:
        """What tells the runs' test images from others; None where a prediction is not at hand."""
        outcomes = [self.outcome(run) for run in runs]
        if any(one is None for one in outcomes):
            return None
        labels = {id(one.labels) for one in outcomes}
        return labels.pop() if len(labels) == 1 else None

    def _cross(self, places: tuple[Place, ...]) -> Crossed | None:
        return self.crossed([self.tested(place) for place in places])

    def crossed(self, tested: Sequence[Mapping[int, Tested]]) -> Crossed | None:
        """As `together`, of finished runs by seed, whatever budgets they are of."""
        import numpy as np

        from transfer_lab.stats.two_way import Crossed

        seeds = sorted(set.intersection(*(set(found) for found in tested)))
        if not seeds:
            return None
        runs = [found[seed] for found in tested for seed in seeds]
        scores = np.array([run.accuracy for run in runs]).reshape(len(tested), len(seeds))
        known = self.predictions.together([(run.run_id, run.accuracy) for run in runs])
        if known is None:
            images = [run.images for run in runs if run.images is not None]
            return Crossed.of_scores(scores, min(images, default=None))
        found = Crossed.of(known.right.reshape(*scores.shape, -1), known.labels)
        return replace(found, means=scores.mean(axis=1))  # the records' own digits


def mean_lead(pairs: Sequence[tuple[Place, Place]]) -> dict[Place, float]:
    """The weights of the mean lead of the first of each pair over the second."""
    weights: dict[Place, float] = defaultdict(float)
    for one, over in pairs:
        weights[one] += 1 / len(pairs)
        weights[over] -= 1 / len(pairs)
    return {place: weight for place, weight in weights.items() if weight}


PLACE = ("scenario", "backbone", "regime")
"""The columns that say where a run stands."""


def one_a_pass(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but for those of seeds that were fitted in the same pass as an earlier one."""
    repeated = rows.duplicated([*PLACE, "fit_seconds"])
    return rows[~(repeated & (rows["together"] > 1))]
