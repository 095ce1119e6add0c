"""Files that somebody might write beside an experiment, and packages that provide such classes."""

from __future__ import annotations

from pathlib import Path

REGIME = '''\
"""A regime of one's own."""

from transfer_lab.regimes.base import Phase, TransferModule


class TuneFirst(TransferModule):
    """The first k stages and the head learn; the others stay frozen."""

    def __init__(self, backbone, num_classes, *, k: int, lr: float = 1e-3):
        super().__init__(backbone, num_classes, lr=lr)
        self.k = k

    def phases(self):
        frozen = tuple(range(self.k, len(self.backbone.stages)))
        return (Phase(frozen=frozen, lr=self.lr, backbone_lr=self.lr / 3),)


class Guess(TransferModule):
    """Answers at random, for comparison."""

    from_source = False
    control = True
    spends_budget = False

    def __init__(self, backbone, num_classes):
        super().__init__(backbone, num_classes)

    @property
    def transferred(self):
        return 0

    def phases(self):
        return ()


class Probe(TransferModule):
    """A head on frozen stages."""

    head_alone = True

    def __init__(self, backbone, num_classes, *, lr: float = 1e-2):
        super().__init__(backbone, num_classes, lr=lr)

    def phases(self):
        return (Phase(tuple(range(len(self.backbone.stages))), self.lr, self.lr),)
'''
DOMAIN = '''\
"""A domain of one's own."""

import numpy as np

from transfer_lab.data.base import ImageDomain


class Stripes(ImageDomain):
    """Vertical and horizontal stripes under noise."""

    classes = ("vertical", "horizontal")

    def __init__(self, image_size: int, *, per_class: int = 12, root: str | None = None):
        super().__init__(image_size)
        self.per_class = per_class
        self.noise = 20 if root is None else int(open(root).read())

    @property
    def identity(self):
        return {"per_class": self.per_class, "noise": self.noise}

    def labels(self, part):
        return np.tile(np.arange(2), self.per_class).astype(np.int64)

    def image_blocks(self, part):
        rng = np.random.default_rng(part == "test")
        wave = 127 + 100 * np.sin(np.arange(self.image_size))
        for label in self.labels(part):
            image = np.broadcast_to(wave, (self.image_size, self.image_size))
            noisy = (image.T if label else image) + rng.normal(0, self.noise, image.shape)
            yield np.stack([noisy.clip(0, 255).astype(np.uint8)] * 3)[None]
'''
BACKBONE = '''\
"""A backbone of one's own."""

from torch import nn

from transfer_lab.backbones.base import Backbone


class TwoLayers(Backbone):
    """Two convolutions, each a stage."""

    def __init__(self, image_size: int, *, width: int = 8):
        first = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU())
        last = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__([first, nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), *last)], width)
'''
EXPERIMENT = """\
name: own
image_size: 12
domains:
  stripes: {module: mine/stripes.py:Stripes, per_class: 10}
  latin: {letters: ABC, train_per_class: 6, test_per_class: 4}
scenarios:
  small_similar: {source: latin, target: stripes, per_class: 4}
backbones:
  mlp: {width: 8, depth: 2}
regimes:
  tune_first: {module: mine/regimes.py:TuneFirst, k: 1}
  guess: {module: mine/regimes.py:Guess}
  linear_probe: {}
seeds: [1]
fit: {epochs: 1}
pretrain: {epochs: 1}
"""


def write_own(folder: Path) -> Path:
    """The experiment, and what it names in a folder beside it."""
    (folder / "mine").mkdir()
    (folder / "mine" / "regimes.py").write_text(REGIME)
    (folder / "mine" / "stripes.py").write_text(DOMAIN)
    path = folder / "own.yaml"
    path.write_text(EXPERIMENT)
    return path


def install(folder: Path, version: str = "1.2", name: str = "stripy", **entries: str) -> Path:
    """A distribution as pip leaves it: a package, and the metadata that say what it provides.

    `entries`: name of a group -> lines of it. Returns the folder to put on `sys.path`.
    """
    package, info = folder / name, folder / f"{name}-{version}.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    info.mkdir()
    modules = {"regimes": REGIME, "domains": DOMAIN, "backbones": BACKBONE}
    for module, text in modules.items():
        (package / f"{module}.py").write_text(text)
    (package / "__init__.py").write_text("raise SystemExit('imported too early')\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[transfer_lab.{group}]\n{text}\n" for group, text in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder
