"""Test accuracies by place and seed, with the errors of seeds and test images; and seconds, which
seeds that were fitted in one pass share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from transfer_lab.reporting.measures import ACCURACY, Measure
from transfer_lab.reporting.predictions import Outcome, Predictions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from transfer_lab.stats.estimates import Estimate
    from transfer_lab.stats.two_way import Crossed


class Place(NamedTuple):
    """Where a group of cells that differ in the seed alone stands in the matrix."""

    scenario: str
    backbone: str
    regime: str


class Tested(NamedTuple):
    """A finished run: its id, its test accuracy, on how many images (None: not known), and its
    score by the measure that leads, of which more is better."""

    run_id: str
    accuracy: float
    images: int | None
    score: float


PLACE = ("scenario", "backbone", "regime")
"""The columns that say where a run stands."""
_HALVES = 2e-3
"""Probabilities are stored in half precision: so far may their mean be from the record's."""

Weights = Mapping[Place, float]
"""What a weighted sum of accuracies takes of each place."""


def rows_of(table: pd.DataFrame, *columns: str) -> Iterator[tuple]:
    """The table's rows in these columns. As lists: asked one by one, the texts of a column take
    twenty times as long."""
    return zip(*(table[name].tolist() for name in columns), strict=True)


class Joint(NamedTuple):
    """Places on the same seeds and test images, crossed at once, and which arm is which."""

    crossed: Crossed
    arms: Mapping[Place, int]


class Measured:
    """The finished, tested cells by one measure; the predictions behind them are read where they
    are needed."""

    def __init__(self, done: pd.DataFrame, predictions: Predictions, measure: Measure = ACCURACY):
        self.predictions = predictions
        self.measure = measure
        self._values: dict[str, np.ndarray | None] = {}
        self._crossed: dict[tuple[Place, ...], Crossed | None] = {}
        self._images: dict[tuple[Place, tuple[int, ...]], int | None] = {}
        self._joints: dict[tuple[tuple[int, ...], int], Joint] = {}
        self._tested: dict[Place, dict[int, Tested]] = defaultdict(dict)
        columns = (*PLACE, "seed", "run_id", "test_accuracy", "n_test", measure.column)
        for *names, seed, run_id, accuracy, images, value in rows_of(done, *columns):
            if accuracy == accuracy and value == value:
                known = None if images != images else int(images)
                score = measure.sign * value
                self._tested[Place(*names)][seed] = Tested(run_id, accuracy, known, score)

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
                self.values(run)

    def together(self, places: tuple[Place, ...]) -> Crossed | None:
        """The places on the seeds that all of them have, with both errors; None without any.

        From predictions by image where all are at hand and of one test set; else from the scores
        alone: of accuracies with the test set's error bounded from above, of other measures
        without it.
        """
        if places not in self._crossed:
            self._crossed[places] = self._cross(places)
        return self._crossed[places]

    def estimate(self, place: Place) -> Estimate | None:
        """Score of one place."""
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
        groups: dict[int | None, dict[Place, Mapping[int, Tested]]] = defaultdict(dict)
        for place, tested in runs.items():
            asked = (place, tuple(seeds))
            if asked not in self._images:
                self._images[asked] = self._labels(tested.values())
            groups[self._images[asked]][place] = tested
        alike = [self._joint(tuple(seeds), *group) for group in groups.items() if group[0]]
        for weights in wanted:
            known = (one for one in alike if all(place in one.arms for place in weights))
            if found := next(known, None):
                arms = [found.arms[place] for place in weights]
                yield found.crossed.contrast([*weights.values()], arms)
            else:
                alone = self.crossed([runs[place] for place in weights])
                yield alone.contrast([*weights.values()])

    def _joint(
        self, seeds: tuple[int, ...], labels: int, runs: Mapping[Place, Mapping[int, Tested]]
    ) -> Joint:
        """These places crossed, or more of the same seeds and images that were crossed before."""
        known = self._joints.get((seeds, labels))
        if known is None or not known.arms.keys() >= runs.keys():
            crossed = self.crossed([*runs.values()])
            known = Joint(crossed, {place: number for number, place in enumerate(runs)})
            self._joints[seeds, labels] = known
        return known

    def _labels(self, runs: Iterable[Tested]) -> int | None:
        """What tells the runs' test images from others; None where a prediction is not at hand."""
        runs = [*runs]
        outcomes = [self.outcome(run) for run in runs]
        if any(one is None for one in outcomes) or any(self.values(run) is None for run in runs):
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
        scores = np.array([run.score for run in runs]).reshape(len(tested), len(seeds))
        labels = self._same_images(runs)
        if labels is None:
            known = [run.images for run in runs if run.images is not None]
            images = min(known, default=None)
            bounded = self.measure is ACCURACY
            return (Crossed.of_scores if bounded else Crossed.of_seeds)(scores, images)
        values = np.stack([self.values(run) for run in runs]).reshape(*scores.shape, -1)
        found = Crossed.of(values, labels)
        return replace(found, means=scores.mean(axis=1))  # the records' own digits

    def _same_images(self, runs: Sequence[Tested]) -> np.ndarray | None:
        """The labels of the test images of all these runs; None where they differ, or a
        prediction is not at hand."""
        if self._labels(runs) is None:
            return None
        return self.outcome(runs[0]).labels

    def values(self, run: Tested) -> np.ndarray | None:
        """By test image, what the run's score is the mean of: correctness, or what stands for it in
        the measure; None where that is not stored."""
        if run.run_id not in self._values:
            outcome = self.outcome(run)
            self._values[run.run_id] = None if outcome is None else self._by_image(run, outcome)
        return self._values[run.run_id]

    def _by_image(self, run: Tested, outcome: Outcome) -> np.ndarray | None:
        from transfer_lab.stats.influence import balanced, macro_f1

        if self.measure is ACCURACY:
            return outcome.right
        if self.measure.name == "balanced_accuracy":
            return balanced(outcome.predicted, outcome.labels)
        if self.measure.name == "macro_f1":
            return macro_f1(outcome.predicted, outcome.labels)
        stored = self.predictions.log_probabilities(run.run_id)
        agrees = stored is not None and abs(stored.mean() - run.score) <= _HALVES * (1 - run.score)
        if not agrees:
            self.predictions.problems["without the probabilities of the record"] += 1
        return stored if agrees else None


def mean_lead(pairs: Sequence[tuple[Place, Place]]) -> dict[Place, float]:
    """The weights of the mean lead of the first of each pair over the second."""
    weights: dict[Place, float] = defaultdict(float)
    for one, over in pairs:
        weights[one] += 1 / len(pairs)
        weights[over] -= 1 / len(pairs)
    return {place: weight for place, weight in weights.items() if weight}


def one_a_pass(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but for those of seeds that were fitted in the same pass as an earlier one."""
    repeated = rows.duplicated([*PLACE, "fit_seconds"])
    return rows[~(repeated & (rows["together"] > 1))]
