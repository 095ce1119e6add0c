"""The promise of the default probe, its forecast and its probabilities, against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.evidence.measures import calibration_error, mean_recall, nested_draws
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import Images, Task, further, images
from transfer_lab.advice.audit.near_copies import near_copies
from transfer_lab.advice.features.features import extract
from transfer_lab.advice.features.networks import find_network
from transfer_lab.advice.measured import evidence
from transfer_lab.advice.promise.abstain import abstentions
from transfer_lab.advice.promise.paired import paired_lead
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.advice.promise.promise import effective_images, promise
from transfer_lab.advice.promise.resampling import OutOfFold, once_a_group, out_of_fold
from transfer_lab.advice.promise.temperature import temperature
from transfer_lab.experiment.seeds import derive

PER_CLASS = (8, 16, 32, 64)
SEEDS = 12
LEAST = 5
"""Images of a class."""
_TESTED = 300
"""Images that the truth is told from, at least."""
SHUFFLES = 40
_SHUFFLED_N = 120


class Table(NamedTuple):
    """Images in the default network: `features` (n, d), `labels` (n), `thumbnails` (n, side, side),
    and the groups of near-copies among all of them."""

    features: np.ndarray
    labels: np.ndarray
    thumbnails: np.ndarray
    groups: np.ndarray


@cache
def table(task: Task, data: Path, work: Path) -> Table:
    """Of a task, computed once, and kept by content."""
    return _table(images(task, data, work), work)


@cache
def whole(task: Task, data: Path, work: Path) -> Table:
    """With further images behind, which are in no draw, where nothing is tuned on the task."""
    known, left = table(task, data, work), further(task, data, work)
    if task.tuning or not left.paths:
        return known
    more = _table(left, work)
    features, labels, thumbnails = (
        np.concatenate(pair) for pair in zip(known[:3], more[:3], strict=True)
    )
    return Table(features, labels, thumbnails, near_copies(features, thumbnails, labels))


def _table(found: Images, work: Path) -> Table:
    paths, labels, _ = found
    network = find_network()
    hashes = [sha256(path.read_bytes()).hexdigest() for path in paths]
    seen = extract(paths, hashes, network, network.image_size, cache=work / "cache")
    groups = near_copies(seen.values, seen.thumbnails, labels[seen.kept])
    return Table(seen.values, labels[seen.kept], seen.thumbnails, groups)


def sizes(per_class: int, labels: np.ndarray) -> list[int]:
    """n, then 2 n and 5 n where enough images are left to tell the truth from."""
    classes, most = labels.max() + 1, len(labels) - _TESTED
    return [g * per_class * classes for g in (1, 2, 5) if g * per_class * classes <= most]


def draws(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """Every draw, a seed after the other, so that however far this comes tasks are even."""
    for draw, task, ns in _every(tasks, data, work):
        known, asked = table(task, data, work), whole(task, data, work)
        yield draw, lambda n=ns, d=draw, k=known, a=asked: measured(k, a, n, d)


def _every(tasks: list[Task], data: Path, work: Path) -> Iterator[tuple[Record, Task, list[int]]]:
    for seed in range(SEEDS):
        for per_class in PER_CLASS:
            for task in tasks:
                if ns := sizes(per_class, table(task, data, work).labels):
                    yield {"task": task.name, "n": ns[0], "seed": seed}, task, ns


def measured(known: Table, asked: Table, ns: list[int], draw: Record) -> Record:
    """What is promised of a draw of ns[0] images, and what is true of it and of larger ones.

    The truth: answers on images that are in no draw, nor near-copies of one that is, of those
    asked, which begin with the known ones.
    """
    seed = derive(draw["seed"], draw["task"], draw["n"])
    nested = nested_draws(known.labels, ns, LEAST, seed)
    rest = ~np.isin(asked.groups, asked.groups[nested[-1]])
    first, classes = nested[0], int(known.labels.max()) + 1
    x, y = known.features[first], known.labels[first]
    groups = near_copies(x, known.thumbnails[first], y)
    oof = out_of_fold(x, y, groups, classes, seed=draw["seed"])
    said = promise(oof, y, groups)
    truth, x_new = asked.labels[rest], asked.features[rest]
    logits = [
        fit_probe(known.features[chosen], known.labels[chosen], classes).logits(x_new)
        for chosen in nested
    ]
    heat = temperature(oof.logits, y)
    return {
        "classes": classes,
        "groups": round(once_a_group(y, groups).sum()),
        "tested": len(truth),
        "cv": _cross_validated(oof.answers, y, groups),
        "learnt": oof.learnt,
        **_more_than_halves(oof, y, groups),
        "worth": effective_images(y, groups, switched=False) * evidence().dependence,
        "majority": said.majority,
        "truth": mean_recall(logits[0].argmax(1), truth),
        "true_accuracy": float((logits[0].argmax(1) == truth).mean()),
        "grown": [mean_recall(one.argmax(1), truth) for one in logits[1:]],
        "temperature": heat,
        "ece": calibration_error(logits[0], truth, heat),
        "ece_plain": calibration_error(logits[0], truth),
        "open": sorted({one.question for one in abstentions(said, oof, y, groups)}),
    }


def shuffled(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """Draws whose labels say nothing, from one task after the other."""
    for seed in range(SHUFFLES):
        task = tasks[seed % len(tasks)]
        draw = {"task": task.name, "n": _SHUFFLED_N, "seed": seed}
        yield draw, lambda task=task, draw=draw: _shuffled(table(task, data, work), draw)


def _shuffled(known: Table, draw: Record) -> Record:
    seed = derive(draw["seed"], "shuffled", draw["task"])
    (chosen,) = nested_draws(known.labels, [draw["n"]], LEAST, seed)
    x, classes = known.features[chosen], int(known.labels.max()) + 1
    y = np.random.default_rng(seed).permutation(known.labels[chosen])
    groups = near_copies(x, known.thumbnails[chosen], y)
    oof = out_of_fold(x, y, groups, classes, seed=seed)
    said = promise(oof, y, groups)
    questions = {one.question for one in abstentions(said, oof, y, groups)}
    return {"low": said.low, "abstained": "recommendation" in questions}


def _more_than_halves(oof: OutOfFold, labels: np.ndarray, groups: np.ndarray) -> Record:
    """How much more than heads of half of the images five folds' get right, in points, and its
    standard error."""
    right, half_right = ((one.answers == labels).mean(axis=0) for one in (oof, oof.halves))
    lead = paired_lead(right, half_right, labels, groups)
    return {"half_learnt": oof.halves.learnt, "lead": lead.points, "lead_se": lead.se}


def _cross_validated(answers: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean recall in the folds as it is, near-copies counted once."""
    weights = once_a_group(labels, groups)
    held = np.bincount(labels, weights)
    right = np.bincount(labels, weights * (answers == labels).mean(axis=0))
    return float((right[held > 0] / held[held > 0]).mean())
