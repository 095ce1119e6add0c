"""Memory of a process that makes images, or extracts frozen features, as their number grows.

Each size runs in a process of its own, since memory that was once taken is not always given back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Detail, Figure, Result, at_most
from benchmarks.grid import ROOT
from benchmarks.setting import Setting
from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.grid.engines.worker_process import become_worker

_SIDE, _TEST = 64, 64
_TIMES = (1, 4, 16)
_DIFFERENT = 50
"""Files of different contents in a folder; the others are further names of these."""
_MIB = 2**20
_BATCH = 64
"""MiB that a batch may take: the largest layer reads 16 and writes 16, and the allocator keeps some
of what it had."""


class Noise(ImageDomain):
    """Random images, so many: nothing to learn, and quickly made."""

    classes = ("one", "another")

    def __init__(self, image_size: int, *, images: int):
        super().__init__(image_size)
        self.sizes = {"train": images, "test": _TEST}

    @property
    def identity(self) -> dict[str, object]:
        return {"sizes": self.sizes}

    def labels(self, part: Part) -> np.ndarray:
        return np.arange(self.sizes[part], dtype=np.int64) % 2

    def image_blocks(self, part: Part) -> Iterator[np.ndarray]:
        rng, shape = np.random.default_rng(0), (3, self.image_size, self.image_size)
        for start in range(0, self.sizes[part], _TEST):
            yield rng.integers(0, 256, (min(_TEST, self.sizes[part] - start), *shape), np.uint8)


def memory(setting: Setting) -> Result:
    """Growth of the peak over the imports from the smallest domain to the largest.

    Counted is memory of the process's own; mapped files, which the system drops when it needs the
    room, are shown beside it.
    """
    base = 60 if setting.quick else 3750
    sizes, found = [times * base for times in _TIMES], []
    for images in sizes:
        found.append(_measured(images, setting.folder("store")))
        setting.say(", ".join(f"{name} {value:,.0f}" for name, value in found[-1].items()))
    told = {"own": "extracting features", "files": "decoding a folder", "drawn": "rendering"}
    figures = tuple(_figure(text, name, sizes, found) for name, text in told.items())
    head = (
        *("images", "MiB of images", "extracting", "with mapped files"),
        *("decoding a folder", "with mapped files", "rendering textures"),
    )
    columns = ("images", "own", "resident", "files", "files_resident", "drawn")
    rows = tuple(
        (f"{images:,}", *(f"{m[name]:,.0f}" for name in columns))
        for images, m in zip(sizes, found, strict=True)
    )
    return Result(figures, (Detail("Peak over the imports, in MiB", head, rows),))


def _figure(text: str, name: str, sizes: list[int], found: list[dict[str, float]]) -> Figure:
    first, last = found[0], found[-1]
    return Figure(
        cell=f"memory of a worker over its imports, {text}, {sizes[0]:,} to {sizes[-1]:,} images",
        value=last[name] - first[name],
        unit="MiB",
        target=at_most(_BATCH),
        note=f"growth of its own memory while the images grow by "
        f"{last['images'] - first['images']:,.0f} MiB; at most {last[name]:,.0f} MiB over the "
        "imports",
    )


class Peak:
    """The most that a call takes, beyond what the process had before it, in MiB."""

    def __init__(self, interval: float = 0.005):
        self._interval, self._ended = interval, threading.Event()
        self.own = self.resident = 0.0

    def of(self, call: Callable[[], object]) -> Peak:
        """Watch the call."""
        own, resident = _memory()
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        call()
        self._ended.set()
        watch.join()
        self.own, self.resident = self.own - own, self.resident - resident
        return self

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            own, resident = _memory()
            self.own, self.resident = max(self.own, own), max(self.resident, resident)


def extract(images: int, store: Path) -> dict[str, float]:
    """Extract features of so many stored images, and say what that took at most."""
    import torch

    from transfer_lab.backbones.vgg16 import VGG16
    from transfer_lab.experiment.spec import Fit
    from transfer_lab.regimes.linear_probe import LinearProbe
    from transfer_lab.store.feature_cache import FeatureCache
    from transfer_lab.training.fit import fit_and_test

    torch.manual_seed(0)

    def trained(count: int, folder: Path) -> None:
        domain = Noise(_SIDE, images=count)
        domain.cache = folder / "images"
        domain.draw(per_class="all", val_fraction=0, batch_size=64, seed=0)
        regime = LinearProbe(VGG16(_SIDE, width=0.125, top="pooled"), domain.num_classes)
        fit = Fit(epochs=1, batch_size=64, val_fraction=0)
        fit_and_test(regime, domain, fit, rows=FeatureCache(folder / "activations"))

    _warm_up(trained, store / "warm")
    peak = Peak().of(lambda: trained(images, store))
    size = images * 3 * _SIDE**2 / _MIB
    return {"images": size, "own": peak.own, "resident": peak.resident}


def _warm_up(trained: Callable[[int, Path], None], folder: Path) -> None:
    """What a first fit imports late is imports, too; on fewer images than a batch."""
    trained(8, folder)


def _memory() -> tuple[float, float]:
    """The process's own memory and all that is resident, in MiB (Linux)."""
    found = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "VmRSS"):
            found[name] = int(value.split()[0]) / 1024
    return found["RssAnon"], found["VmRSS"]


def _measured(images: int, store: Path) -> dict[str, float]:
    _child("prepare", images, store)
    return (
        _child("extract", images, store)
        | _child("decode", images, store)
        | _child("render", images, store)
    )


def _child(what: str, images: int, store: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.memory", what, str(images), str(store)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{what} failed: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def prepare(images: int, store: Path) -> dict[str, float]:
    """Make what the others read: stored images, and a folder of files."""
    domain = Noise(_SIDE, images=images)
    domain.cache = store / "images"
    domain.prepare_data()
    rng = np.random.default_rng(0)
    for part, count in (("train", images), ("test", _DIFFERENT)):
        first: dict[int, Path] = {}
        for number in range(count):
            path = store / "photos" / part / "ab"[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = number % _DIFFERENT
            if content in first:
                os.link(first[content], path)
            else:
                pixels = rng.integers(0, 256, (96, 128, 3), np.uint8)
                Image.fromarray(pixels).save(path)
                first[content] = path
    return {}


def decode(images: int, store: Path) -> dict[str, float]:
    """Decode a folder of so many files into the stored array, as the check before a grid does."""
    from transfer_lab.data.folder import Folder

    def decoded() -> None:
        domain = Folder(_SIDE, root=str(store / "photos"))
        domain.cache = store / "decoded"
        domain.prepare_data()

    peak = Peak().of(decoded)
    return {"files": peak.own, "files_resident": peak.resident}


def render(images: int, store: Path) -> dict[str, float]:
    """Render so many textures into the stored array."""
    from transfer_lab.data.textures import Textures

    each = -(-images // len(Textures.classes))
    domain = Textures(_SIDE, train_per_class=each, test_per_class=1)
    domain.cache = store / "rendered"
    return {"drawn": Peak().of(domain.prepare_data).own}


if __name__ == "__main__":
    become_worker(1)
    call = {"prepare": prepare, "extract": extract, "decode": decode, "render": render}[sys.argv[1]]
    print(json.dumps(call(int(sys.argv[2]), Path(sys.argv[3]))))
