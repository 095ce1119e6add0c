"""The decision: what the race chooses of a few images, and how good each choice truly is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from time import process_time

import numpy as np
import torch

from benchmarks.evidence.measures import mean_recall, nested_draws
from benchmarks.evidence.probes import LEAST
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import Images, Task, images
from transfer_lab.advice.advice import Alternative, Recommendation
from transfer_lab.advice.album import Album, Photo
from transfer_lab.advice.challengers.base import Challenger
from transfer_lab.advice.challengers.field import challenger_of, challengers
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.features import extract
from transfer_lab.advice.measured import evidence
from transfer_lab.advice.near_copies import near_copies
from transfer_lab.advice.networks import Network, find_network, load
from transfer_lab.advice.probe import fit_probe
from transfer_lab.advice.promise import effective_images, promise
from transfer_lab.advice.race import Outcome, race
from transfer_lab.advice.resampling import OutOfFold, fold_masks, out_of_fold
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.experiment.seeds import derive
from transfer_lab.system.decode import decode_file
from transfer_lab.system.device import device

PER_CLASS = (10, 30)
SEEDS = 4
_TESTED = 300
EARLY = "linear_probe, a stage earlier"


def draws(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """Every draw, a seed after the other, few images first."""
    for seed in range(SEEDS):
        for per_class in PER_CLASS:
            for task in tasks:
                known = images(task, data, work)
                n = per_class * len(known.classes)
                if n + _TESTED <= len(known.paths):
                    draw = {"task": task.name, "n": n, "seed": seed}
                    yield draw, lambda known=known, draw=draw: measured(known, draw, work)


def measured(known: Images, draw: Record, work: Path) -> Record:
    """The race on a draw, as an advice with all the time it wants would run it, and the mean recall
    of everyone in it on images of the same task that are not in the draw."""
    seed = derive(draw["seed"], "regimes", draw["task"], draw["n"])
    (chosen,) = nested_draws(known.labels, [draw["n"]], LEAST, seed)
    rest = np.setdiff1d(np.arange(len(known.paths)), chosen)
    tested = np.random.default_rng(seed).permutation(rest)[:_TESTED]
    network, cache = find_network(), work / "cache"
    mine, thumbnails = _photographs(known, chosen, network, cache)
    both, _ = _photographs(known, np.concatenate([chosen, tested]), network, cache)
    outcome, default, groups = _raced(mine, thumbnails)
    inside = np.isin(both.hashes, mine.hashes)
    truths: dict[str, float] = {}
    costs: dict[str, float] = {}
    for challenger in [_default(both), *challengers(both)]:
        start = process_time()
        challenger.make_ready(lambda _: None, math.inf)
        ready = process_time()
        logits = challenger.fit_predict(
            np.flatnonzero(inside), np.flatnonzero(~inside), lambda _: None
        )
        truths[name_of(challenger)] = mean_recall(logits.argmax(1), both.labels[~inside])
        costs[name_of(challenger)] = process_time() - ready
        costs[name_of(challenger) + ", ready"] = ready - start
    truths[EARLY] = _early(both, inside)
    winner = name_of(outcome.winner or _default(both))
    return {
        "winner": winner,
        "truths": truths,
        "cpu_seconds": costs,
        "leads": {name_of(one): [one.state, one.lead, one.se] for one in outcome.alternatives},
        "tested": int((~inside).sum()),
        **_promised(outcome, default, mine.labels, groups),
    }


def _early(both: Photographs, inside: np.ndarray) -> float:
    """Mean recall of the default head on what the last stage but one gives, averaged over places:
    what a rule of thumb advises for few images unlike the source."""
    backbone = load(both.network)
    size = both.network.image_size
    prefix = FrozenPrefix(backbone, len(backbone.stages) - 1, device())
    pooled = []
    for block in _blocks(both.paths, prefix.batch_size(size)):
        pixels = np.stack([decode_file(path, size) for path in block])
        pooled.append(prefix(torch.as_tensor(pixels)).mean(dim=(2, 3)).numpy())
    features = np.concatenate(pooled)
    head = fit_probe(features[inside], both.labels[inside], len(both.classes))
    answers = head.logits(features[~inside]).argmax(1)
    return mean_recall(answers, both.labels[~inside])


def _blocks(paths: list[Path], size: int) -> list[list[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def name_of(one: Challenger | Alternative | Recommendation) -> str:
    """A regime, with its network where that is not the default one, and its size."""
    network = one.backbone.removeprefix("timm:tf_efficientnet_")
    return f"{one.regime} {network} {one.image_size}"


def _raced(mine: Photographs, thumbnails: np.ndarray) -> tuple[Outcome, OutOfFold, np.ndarray]:
    features = mine.features(mine.network, mine.network.image_size)
    groups = near_copies(features, thumbnails)
    masks = fold_masks(mine.labels, groups, seed=0)
    default = out_of_fold(features, mine.labels, groups, len(mine.classes), masks=masks)
    known = (masks, mine.labels, groups, Clock(math.inf))
    return race(default, challengers(mine), *known), default, groups


def _default(photographs: Photographs) -> Challenger:
    network = photographs.network
    plain = Recommendation(
        backbone=network.name, regime="linear_probe", image_size=network.image_size
    )
    return challenger_of(photographs, network, plain)


def _photographs(
    known: Images, rows: np.ndarray, network: Network, cache: Path
) -> tuple[Photographs, np.ndarray]:
    """In the order of their content, as an album has them, copies once; and their thumbnails."""
    content: dict[str, int] = {}
    for row in rows:
        content.setdefault(sha256(known.paths[row].read_bytes()).hexdigest(), int(row))
    photos = tuple(
        Photo(known.paths[row], known.classes[known.labels[row]], key)
        for key, row in sorted(content.items())
    )
    album = Album(known.paths[0].parents[1], known.classes, photos)
    paths = [photo.path for photo in photos]
    hashes = [photo.sha256 for photo in photos]
    found = extract(paths, hashes, network, network.image_size, cache=cache)
    return Photographs(album, network, found.values, cache=cache), found.thumbnails


def _promised(
    outcome: Outcome, default: OutOfFold, labels: np.ndarray, groups: np.ndarray
) -> Record:
    """What is promised of the choice, and of the default where it was left."""
    oof, switched = default, outcome.winner is not None
    if outcome.unused is not None and outcome.counted is not None:
        labels, groups = labels[outcome.counted], groups[outcome.counted]
        oof = OutOfFold(outcome.unused.logits[:, outcome.counted], outcome.unused.folds)
    regime = outcome.winner.regime if outcome.winner else "linear_probe"
    said = promise(oof, labels, groups, switched=switched, regime=regime)
    constants = evidence()
    divisor = constants.dependence_after_switch if switched else constants.dependence
    worth = effective_images(labels, groups, switched=switched) * divisor
    return {"switched": switched, "value": said.value, "worth": worth, "majority": said.majority}
