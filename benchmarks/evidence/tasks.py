"""Labelled images of which far more lie at hand than an advice is given: the rest is the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.experiment.seeds import derive

MOST, FURTHER = 1200, 3000
_PIXELS = 160
_DIGIT_PIXELS = 64
PARTS: tuple[Part, Part] = ("train", "test")


@dataclass(frozen=True)
class Task:
    """`folders`: of class folders, below the data; or `render`: what the lab draws, and `again`:
    the same with other images.

    `tuning`: whether constants of the advice are chosen on it; nothing is on the others. `most`:
    images of it, of which a draw is a part; more where a class has but few.
    """

    name: str
    folders: tuple[str, ...] = ()
    render: Callable[[], ImageDomain] | None = None
    again: Callable[[], ImageDomain] | None = None
    tuning: bool = False
    most: int = MOST


class Images(NamedTuple):
    """Files and the number of each one's class."""

    paths: list[Path]
    labels: np.ndarray
    classes: tuple[str, ...]


def _letters(per_class: int = 45, render_seed: int = 0) -> ImageDomain:
    from transfer_lab.data.letters import Latin

    return Latin(_PIXELS, train_per_class=per_class, test_per_class=1, render_seed=render_seed)


def _textures(render_seed: int = 0) -> ImageDomain:
    from transfer_lab.data.textures import Textures

    return Textures(_PIXELS, train_per_class=120, test_per_class=1, render_seed=render_seed)


def _scenes(images: int = 1000, render_seed: int = 0) -> ImageDomain:
    from transfer_lab.data.scenes import Scenes

    return Scenes(_PIXELS, images=images, render_seed=render_seed)


def _digits() -> ImageDomain:
    from transfer_lab.data.digits import Digits

    return Digits(_DIGIT_PIXELS)


TASKS = (
    Task("pacs_photo", ("pacs/photo",), tuning=True),
    Task("pacs_art", ("pacs/art_painting",), tuning=True),
    Task("pacs_cartoon", ("pacs/cartoon",), tuning=True),
    Task("pacs_sketch", ("pacs/sketch",), tuning=True, most=4000),
    Task("flowers", ("flowers160",), tuning=True),
    Task("scene15", ("scene15/train", "scene15/test")),
    Task("dtd", ("dtd10_160",)),
    Task("sign_digits", ("sign_digits",)),
    Task("cifar10", ("cifar10/train", "cifar10/test")),
    Task("digits", render=_digits),
    Task("letters", render=_letters, again=partial(_letters, 80, render_seed=1)),
    Task("textures", render=_textures, again=partial(_textures, render_seed=1)),
    Task("scenes", render=_scenes, again=partial(_scenes, 2000, render_seed=1)),
)

TUNING = frozenset(task.name for task in TASKS if task.tuning)


def images(task: Task, data: Path, work: Path) -> Images:
    """At most `most` images of a task, in its own proportions, always the same ones.

    `data`: where downloaded sets lie; `work`: where rendered ones are kept as files. Raises
    FileNotFoundError where the task's folders are not there.
    """
    found, _ = _divided(task, data, work)
    classes = tuple(sorted({path.parent.name for path in found}))
    numbers = {name: number for number, name in enumerate(classes)}
    return Images(found, np.array([numbers[path.parent.name] for path in found]), classes)


def further(task: Task, data: Path, work: Path) -> Images:
    """At most 3,000 images of the classes of `images`, none of them one of those: what is left of
    a set, and what can be rendered beside it."""
    chosen, left = _divided(task, data, work)
    if task.again is not None:
        left += _files(_rendered(task.again, work / "rendered" / f"{task.name}-again"))
    classes = tuple(sorted({path.parent.name for path in chosen}))
    numbers = {name: number for number, name in enumerate(classes)}
    draw = np.random.default_rng(derive(0, "further", task.name))
    found = [left[at] for at in np.sort(draw.permutation(len(left))[:FURTHER])]
    found = [path for path in found if path.parent.name in numbers]
    return Images(found, np.array([numbers[path.parent.name] for path in found], int), classes)


def named(names: Sequence[str]) -> list[Task]:
    """Tasks of these names, all without any; raises KeyError for one that there is not."""
    known = {task.name: task for task in TASKS}
    return [known[name] for name in names] if names else list(TASKS)


def _divided(task: Task, data: Path, work: Path) -> tuple[list[Path], list[Path]]:
    """The images of which draws are a part, and those that are left."""
    if task.render is None:
        folders = [data / folder for folder in task.folders]
    else:
        folders = [_rendered(task.render, work / "rendered" / task.name)]
    found = [path for folder in folders for path in _files(folder)]
    if len(found) <= task.most:
        return found, []
    order = np.random.default_rng(derive(0, "evidence", task.name)).permutation(len(found))
    chosen, left = np.sort(order[: task.most]), np.sort(order[task.most :])
    return [found[at] for at in chosen], [found[at] for at in left]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: say where the sets lie, as DATA=FOLDER")
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def _rendered(render: Callable[[], ImageDomain], folder: Path) -> Path:
    """The folder with a domain's images as files, written once."""
    if (folder / "complete").exists():
        return folder
    domain = render()
    for part in PARTS:
        labels = iter(domain.labels(part))
        for number, image in enumerate(chain.from_iterable(domain.image_blocks(part))):
            path = folder / domain.classes[next(labels)] / f"{part}{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(path, compress_level=1)
    (folder / "complete").touch()
    return folder
