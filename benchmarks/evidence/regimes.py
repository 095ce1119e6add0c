"""The decision: what the race chooses of a few images, how good each choice truly is, and how long
each training takes beside what was said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.evidence.measures import mean_recall, nested_draws
from benchmarks.evidence.policies import EARLY
from benchmarks.evidence.probes import LEAST
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import Images, Task, images
from transfer_lab.advice.advice import Alternative, Recommendation
from transfer_lab.advice.album.album import Album, Photo
from transfer_lab.advice.audit.near_copies import near_copies
from transfer_lab.advice.challengers.base import Challenger, Cost, Trained
from transfer_lab.advice.challengers.earlier import earlier_lead
from transfer_lab.advice.challengers.field import challenger_of, challengers
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.challengers.race import Outcome, race
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.features.features import Features, extract
from transfer_lab.advice.features.networks import Network, find_network
from transfer_lab.advice.measured import evidence
from transfer_lab.advice.promise.paired import Lead
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.advice.promise.promise import effective_images, promise
from transfer_lab.advice.promise.resampling import OutOfFold, fold_masks, out_of_fold
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.experiment.seeds import derive
from transfer_lab.system import host
from transfer_lab.system.decode import decode_file
from transfer_lab.system.device import device

MOST = {10: 130, 30: 300}
"""Images a class -> of a draw at most, though 5 of each class in any case: five folds of
fine-tuning, and its truth, take seconds an image."""
SEEDS = 4
_TESTED = 800
"""Images that the truth is told from: the fewer, the more chance alone sets ways apart."""


class Asked(NamedTuple):
    """Images that the truth is told from, their contents, and their labels."""

    paths: list[Path]
    hashes: list[str]
    labels: np.ndarray


def draws(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """Every draw, a seed after the other, so that however far this comes sizes are even."""
    for seed, per_class in product(range(SEEDS), MOST):
        for task in tasks:
            known = images(task, data, work)
            n = min(per_class * len(known.classes), MOST[per_class])
            if n + _TESTED <= len(known.paths):
                draw = {"task": task.name, "n": n, "seed": seed}
                yield draw, lambda known=known, draw=draw: measured(known, draw, work)


def measured(known: Images, draw: Record, work: Path) -> Record:
    """The race on a draw, as an advice with all the time it wants would run it; the mean recall of
    everyone in it on images that no draw of the task has; and seconds of each training, those that
    were foretold first."""
    kept = work / "cache"
    album, asked = _drawn(known, draw)
    network = find_network()
    found = _extracted(album, network, kept)
    features = found.values
    mine = Photographs(album, network, features, cache=kept)
    field = challengers(mine)
    foretold = {name_of(one): _foretold(one) for one in field}
    groups = near_copies(features, found.thumbnails, mine.labels)
    earlier = earlier_lead(mine, groups)
    outcome, default = _raced(mine, groups, field, earlier)
    said = {name_of(one): one.fit_seconds for one in outcome.alternatives}
    truths: dict[str, float] = {}
    seconds: dict[str, Record] = {}
    for way in (_default(network), *(one.recommendation for one in field)):
        trained, took = _trained(way, Photographs(album, network, features))
        name = name_of(way)
        truths[name] = mean_recall(_answers(trained, way, asked, kept), asked.labels)
        if name in foretold:
            cost = foretold[name]
            ready, fit = zip((cost.ready, cost.fit), took, strict=True)
            seconds[name] = {"ready": ready, "fit": fit, "said": said[name]}
    truths[EARLY] = _early(album, asked, network, kept)
    return {
        "winner": name_of(outcome.winner or _default(network)),
        "truths": truths,
        "seconds": seconds,
        "cores": host.cores(),
        "earlier": list(earlier or ()),
        "leads": {name_of(one): [one.state, one.lead, one.se] for one in outcome.alternatives},
        "tested": len(asked.labels),
        **_promised(outcome, default, mine.labels, groups),
    }


def name_of(one: Challenger | Alternative | Recommendation) -> str:
    """A regime, with its network where that is not the default one, and its size."""
    network = one.backbone.removeprefix("timm:tf_efficientnet_")
    return f"{one.regime} {network} {one.image_size}"


def _drawn(known: Images, draw: Record) -> tuple[Album, Asked]:
    """The draw in the order of its contents, copies once, and what it is judged by: the same images
    for every draw of a task, but for copies of one that is drawn."""
    order = np.random.default_rng(derive(0, "asked", draw["task"])).permutation(len(known.paths))
    rest, asked = np.sort(order[_TESTED:]), np.sort(order[:_TESTED])
    seed = derive(draw["seed"], "regimes", draw["task"], draw["n"])
    (chosen,) = nested_draws(known.labels[rest], [draw["n"]], LEAST, seed)
    content: dict[str, int] = {}
    for row in rest[chosen]:
        content.setdefault(_content(known.paths[row]), int(row))
    photos = tuple(
        Photo(known.paths[row], known.classes[known.labels[row]], key)
        for key, row in sorted(content.items())
    )
    album = Album(known.paths[0].parents[1], known.classes, photos)
    new = [row for row in asked if _content(known.paths[row]) not in content]
    paths = [known.paths[row] for row in new]
    return album, Asked(paths, [_content(path) for path in paths], known.labels[new])


@cache
def _content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _extracted(album: Album, network: Network, kept: Path) -> Features:
    paths, hashes = zip(*((photo.path, photo.sha256) for photo in album.photos), strict=True)
    return extract(paths, hashes, network, network.image_size, cache=kept)


def _foretold(one: Challenger) -> Cost:
    """What it says of itself; the race hears the same."""
    cost = one.cost()
    one.cost = lambda: cost  # type: ignore[method-assign]
    return cost


def _raced(
    mine: Photographs, groups: np.ndarray, field: list[Challenger], earlier: Lead | None
) -> tuple[Outcome, OutOfFold]:
    features = mine.features(mine.network, mine.network.image_size)
    masks = fold_masks(mine.labels, groups, seed=0)
    default = out_of_fold(features, mine.labels, groups, len(mine.classes), masks=masks)
    known = (masks, mine.labels, groups, Clock(math.inf))
    return race(default, field, *known, earlier=earlier), default


def _default(network: Network) -> Recommendation:
    return Recommendation(
        backbone=network.name, regime="linear_probe", image_size=network.image_size
    )


def _trained(way: Recommendation, photographs: Photographs) -> tuple[Trained, tuple[float, float]]:
    """From all photographs, and the seconds that making ready and fitting took, from nothing but
    the default features."""
    network = find_network(way.backbone)
    one = challenger_of(photographs, network, way)
    photographs.backbone(network)
    begun = monotonic()
    one.make_ready(lambda _: None, math.inf)
    ready = monotonic()
    trained = one.fit_all(lambda _: None)
    return trained, (ready - begun, monotonic() - ready)


def _answers(trained: Trained, way: Recommendation, asked: Asked, kept: Path) -> np.ndarray:
    """The class named of each."""
    if way.regime == "linear_probe":
        known = (asked.paths, asked.hashes, find_network(way.backbone), way.image_size)
        features = extract(*known, cache=kept).values
    else:
        stages = len(trained.backbone.stages)
        features = _outputs(trained.backbone, stages, asked.paths, way.image_size)
    return trained.head.logits(features).argmax(1)


def _early(album: Album, asked: Asked, network: Network, kept: Path) -> float:
    """Mean recall of the default head on what the last stage but one gives, averaged over places:
    what a rule of thumb advises for few images unlike the source."""
    known = {"cache": kept, "leave_out": 1}
    paths, hashes = zip(*((photo.path, photo.sha256) for photo in album.photos), strict=True)
    learnt = extract(paths, hashes, network, network.image_size, **known).values
    head = fit_probe(learnt, album.labels, len(album.classes))
    found = extract(asked.paths, asked.hashes, network, network.image_size, **known).values
    return mean_recall(head.logits(found).argmax(1), asked.labels)


def _outputs(backbone: Backbone, stop: int, paths: list[Path], size: int) -> np.ndarray:
    """(n, channels) of the first stages, averaged over places where there are several."""
    prefix = FrozenPrefix(backbone, stop, device())
    block, found = prefix.batch_size(size), []
    for start in range(0, len(paths), block):
        pixels = np.stack([decode_file(path, size) for path in paths[start : start + block]])
        outputs = prefix(torch.as_tensor(pixels))
        found.append(outputs.flatten(2).mean(2) if outputs.ndim > 2 else outputs)
    return torch.cat(found).numpy()


def _promised(
    outcome: Outcome, default: OutOfFold, labels: np.ndarray, groups: np.ndarray
) -> Record:
    """What is promised of the choice, and of the default where it was left."""
    oof, switched = default, outcome.winner is not None
    if outcome.unused is not None and outcome.counted is not None:
        labels, groups = labels[outcome.counted], groups[outcome.counted]
        oof = outcome.unused._replace(logits=outcome.unused.logits[:, outcome.counted])
    regime = outcome.winner.regime if outcome.winner else "linear_probe"
    said = promise(oof, labels, groups, switched=switched, regime=regime)
    constants = evidence()
    divisor = constants.dependence_after_switch if switched else constants.dependence
    worth = effective_images(labels, groups, switched=switched) * divisor
    return {"switched": switched, "value": said.value, "worth": worth, "majority": said.majority}
