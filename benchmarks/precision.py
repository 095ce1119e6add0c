"""Whether the numbers that networks compute in change what they get right: the default grid twice.

Every seed has a source run of its own here. One source run for all seeds, as the default grid has
it, would lend its luck to all of them, and their spread would not show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import Detail, Figure, Result, at_most
from benchmarks.grid import GRID, quick_grid, run_grid
from benchmarks.setting import Setting
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Cell
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.stats.estimates import Estimate
from transfer_lab.stats.hypotheses import LEVEL, MARGIN, holm
from transfer_lab.stats.two_way import Crossed
from transfer_lab.store.records import RecordStore

NUMBERS = ("fp32", "bf16")
_OWN_SOURCES = "pretrain.per_seed=true"

Place = tuple[str, ...]
"""Scenario, backbone and regime."""


@dataclass(frozen=True)
class Answers:
    """Which test images were answered correctly, by (fp32 or bf16, seed, image), and the images'
    classes; of several places the share of them."""

    right: np.ndarray
    labels: np.ndarray

    @property
    def difference(self) -> Estimate:
        """The accuracy in bf16 minus that in fp32, paired by seed and by test image."""
        return Crossed.of(self.right, self.labels).contrast((-1, 1))

    @property
    def accuracies(self) -> tuple[float, float]:
        """In fp32 and in bf16."""
        first, second = self.right.mean(axis=(1, 2), dtype=np.float64)
        return float(first), float(second)

    @classmethod
    def together(cls, parts: Sequence[Answers]) -> Answers:
        """Places with the same seeds and test images as one."""
        return cls(np.mean([part.right for part in parts], axis=0), parts[0].labels)


def precision(setting: Setting) -> Result:
    """The largest difference that the whole grid leaves possible, and the places one by one."""
    path = quick_grid(setting) if setting.quick else GRID
    cells = plan(load_experiment(path, [_OWN_SOURCES]).experiment)
    stores = {}
    for numbers in NUMBERS:
        options = ("--precision", numbers, "--set", _OWN_SOURCES)
        _, stores[numbers] = run_grid(path, 2, setting, options)
    found = answers(cells, stores)
    whole = Answers.together([*found.values()])
    rows = judged({place: a.difference for place, a in found.items()})
    accuracies = whole.accuracies
    figure = Figure(
        cell=f"bf16 against fp32: accuracy over {len(found)} places of the default grid, "
        f"{whole.right.shape[1]} seeds",
        value=100 * margin_shown(whole.difference),
        unit="points",
        baseline_name="fp32",
        accuracy_baseline=accuracies[0],
        accuracy_ours=accuracies[1],
        target=at_most(100 * MARGIN),
        note="the smallest margin within which the two are shown to be equal (two one-sided tests "
        f"at {LEVEL:.0%}); difference {_points(whole.difference)}; {_told(rows)}; a source run "
        "for every seed",
    )
    return Result((figure,), tuple(_details(found, rows)))


def answers(cells: Iterable[Cell], stores: Mapping[str, RecordStore]) -> dict[Place, Answers]:
    """By place, what the learnt runs of both stores answered; of places that share their runs the
    first. Raises ValueError where predictions are absent."""
    runs: dict[Place, list[str]] = defaultdict(list)
    first = {cell.run.id: cell for cell in reversed(tuple(cells))}
    for cell in reversed(first.values()):
        if cell.run.regime.kind != "majority":
            runs[cell.scenario, cell.backbone, cell.regime].append(cell.run.id)
    read = Predictions(lambda key: _file(stores, key))
    found = {}
    for place, ids in sorted(runs.items()):
        keys = [(f"{n} {i}", stores[n].get(i).test_accuracy) for n in NUMBERS for i in ids]
        together = read.together(keys)
        if together is None:
            raise ValueError(f"{', '.join(place)}: predictions {dict(read.problems)}")
        right = together.right.reshape(len(NUMBERS), len(ids), -1)
        found[place] = Answers(right, together.labels)
    return found


@dataclass(frozen=True)
class Verdict:
    """A place's p-values, corrected by Holm over all places: for a difference of any size, and
    for equality within the margin."""

    differ: float
    equal: float

    @property
    def told(self) -> str:
        """What they show."""
        shown = {"equal": self.equal <= LEVEL, "different": self.differ <= LEVEL}
        words = [word for word, is_shown in shown.items() if is_shown]
        return ", ".join(words) or "undecided"


def judged(differences: Mapping[Place, Estimate]) -> dict[Place, Verdict]:
    """Two families of tests over the places: of difference, and of equivalence."""
    found = list(differences.values())
    differ = holm([_p_differ(one) for one in found])
    equal = holm([max(_p_below_margin(one), _p_below_margin(one.negative)) for one in found])
    verdicts = (Verdict(*both) for both in zip(differ, equal, strict=True))
    return dict(zip(differences, verdicts, strict=True))


def margin_shown(difference: Estimate, level: float = LEVEL) -> float:
    """The smallest margin within which two one-sided tests show equality; infinite if the errors
    are unknown."""
    return abs(difference.mean) + difference.reach(level) if difference.known else float("inf")


def _p_differ(one: Estimate) -> float:
    return min(1.0, 2 * min(one.p_above(), one.negative.p_above()))


def _p_below_margin(one: Estimate) -> float:
    """Of the hypothesis that the mean is the margin or more."""
    return one.negative.p_above(-MARGIN)


def _file(stores: Mapping[str, RecordStore], key: str) -> Path:
    numbers, run_id = key.split()
    return stores[numbers].file(run_id, "predictions.npz")


def _details(found: Mapping[Place, Answers], rows: Mapping[Place, Verdict]) -> Iterable[Detail]:
    head = ("fp32, %", "bf16, %", "difference, points", "p of a difference", "p of equality", "")
    regimes: dict[Place, list[Answers]] = defaultdict(list)
    for (_, _, regime), answer in found.items():
        regimes[regime,].append(answer)
    pooled = {name: Answers.together(parts) for name, parts in regimes.items()}
    verdicts = judged({name: a.difference for name, a in pooled.items()})
    corrected = f"p by Holm over the {{}} rows; equal: within {100 * MARGIN:g} point"
    for caption, names, table, told in (
        ("bf16 minus fp32, regimes over all places", ("regime",), pooled, verdicts),
        ("bf16 minus fp32, place by place", ("scenario", "backbone", "regime"), found, rows),
    ):
        made = tuple((*key, *_cells(one, told[key])) for key, one in table.items())
        yield Detail(f"{caption}; {corrected.format(len(made))}", (*names, *head), made)


def _cells(one: Answers, verdict: Verdict) -> tuple[str, ...]:
    accuracies = (f"{100 * accuracy:.1f}" for accuracy in one.accuracies)
    p_values = (f"{p:.3f}" for p in (verdict.differ, verdict.equal))
    return (*accuracies, _points(one.difference), *p_values, verdict.told)


def _points(difference: Estimate) -> str:
    half = difference.half()
    return f"{100 * difference.mean:+.2f}" + ("" if half is None else f" ± {100 * half:.2f}")


def _told(rows: Mapping[Place, Verdict]) -> str:
    told = [verdict.told for verdict in rows.values()]
    counts = ((word, sum(word in one for one in told)) for word in ("equal", "different"))
    return "place by place " + " and ".join(f"{n} shown to be {word}" for word, n in counts)
