"""Three shots of every scene: what is promised of them, and what is true of other scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.evidence.measures import mean_recall, nested_draws
from benchmarks.evidence.probes import LEAST, table
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import Images, Task, images
from transfer_lab.advice.audit.near_copies import near_copies
from transfer_lab.advice.features.features import Features, extract
from transfer_lab.advice.features.networks import find_network
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.advice.promise.promise import promise
from transfer_lab.advice.promise.resampling import out_of_fold
from transfer_lab.experiment.seeds import derive
from transfer_lab.system.decode import decode_file

SEEDS = 6
_PER_CLASS = 8
_SHOTS = 3
_PIXELS = 256


def draws(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """Every draw of tasks that are photographs or drawings, a seed after the other."""
    for seed in range(SEEDS):
        for task in (task for task in tasks if task.render is None):
            known = images(task, data, work)
            draw = {"task": task.name, "n": _PER_CLASS * len(known.classes), "seed": seed}
            yield draw, lambda task=task, draw=draw: measured(task, draw, data, work)


def measured(task: Task, draw: Record, data: Path, work: Path) -> Record:
    """Promises with near-copies kept together, and with every file on its own, in points of mean
    recall; the truth is the probe's on scenes that were not shot."""
    known, everything = images(task, data, work), table(task, data, work)
    if len(everything.labels) != len(known.paths):
        raise ValueError(f"{task.name}: some of its files cannot be read; take them out")
    seed = derive(draw["seed"], "bursts", task.name)
    (chosen,) = nested_draws(known.labels, [draw["n"]], LEAST, seed)
    shot = _shot(known, chosen, work / "bursts" / f"{task.name}-{draw['seed']}", work / "cache")
    features = shot.values
    labels, scenes = np.repeat(known.labels[chosen], _SHOTS), np.repeat(chosen, _SHOTS)
    rest = ~np.isin(everything.groups, everything.groups[chosen])
    classes, found = len(known.classes), near_copies(features, shot.thumbnails, labels)
    head = fit_probe(features, labels, classes)
    truth = mean_recall(head.logits(everything.features[rest]).argmax(1), everything.labels[rest])
    said = {}
    for name, groups in (("grouped", found), ("plain", np.arange(len(labels)))):
        oof = out_of_fold(features, labels, groups, classes, seed=draw["seed"])
        one = promise(oof, labels, groups)
        said[name] = [one.value, one.low, one.high]
    same, together = _pairs(scenes), _pairs(found)
    return {
        **said,
        "truth": truth,
        "found": float((same & together).sum() / same.sum()),
        "false": int((together & ~same).sum()),
    }


def _shot(known: Images, chosen: np.ndarray, folder: Path, cache: Path) -> Features:
    """Features of three shots of each image: as it is, and twice moved, turned and lit a little
    otherwise."""
    paths = []
    for row in chosen:
        draw = np.random.default_rng(derive(int(row), "shots", folder.name))
        whole = Image.fromarray(decode_file(known.paths[row], _PIXELS).transpose(1, 2, 0))
        for shot in range(_SHOTS):
            path = folder / f"{row:05d}-{shot}.png"
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                (_again(whole, draw) if shot else whole).save(path, compress_level=1)
            paths.append(path)
    network = find_network()
    hashes = [sha256(path.read_bytes()).hexdigest() for path in paths]
    return extract(paths, hashes, network, network.image_size, cache=cache)


def _again(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """The same scene a moment later: up to 3 degrees turned, a tenth nearer and moved as far as
    that allows, a tenth brighter or darker."""
    turned = image.rotate(draw.uniform(-3, 3), Image.Resampling.BILINEAR, fillcolor=None)
    side = round(_PIXELS * draw.uniform(0.85, 0.92))
    left, top = draw.integers(0, _PIXELS - side, 2, endpoint=True)
    cut = turned.crop((left, top, left + side, top + side))
    return ImageEnhance.Brightness(cut).enhance(draw.uniform(0.9, 1.1))


def _pairs(names: np.ndarray) -> np.ndarray:
    """(n, n): whether two, of which the second comes later, have the same name."""
    return np.triu(names[:, None] == names, 1)
