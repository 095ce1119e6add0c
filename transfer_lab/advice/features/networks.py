"""Pretrained networks that can be advised on: by a short name, timm's or torchvision's name, or a
file of weights. No torch before one is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.advice.album.album import RefusedError
from transfer_lab.experiment.catalog import BACKBONES, suggest
from transfer_lab.experiment.choices import Architecture, Weights
from transfer_lab.experiment.fingerprints import sha256_of
from transfer_lab.experiment.packaged import PACKAGED, packaged_for
from transfer_lab.system.files import WeightsError

if TYPE_CHECKING:
    from transfer_lab.backbones.base import Backbone

DEFAULT = "lite0"
_LITE = "timm:tf_efficientnet_lite"
_LITE_SIZES = (224, 240, 260)
SHORT = {f"lite{n}": f"{_LITE}{n}" for n, _ in enumerate(_LITE_SIZES)}
"""What a person may write -> the lab's name."""
_FAMILIES = {"timm": "timm:resnet50.a1_in1k", "torchvision": "torchvision:resnet50"}


@dataclass(frozen=True)
class Network:
    """A network with weights that lie on this machine.

    `name`: as the lab writes it, `timm:tf_efficientnet_lite0`, or `FILE.py:CLASS` of one's own;
    `short`: as a person may, `lite0`. `image_size`: what its weights were trained at. `sha256`: of
    its weights. `file`: where they lie, if the person named a file. `any_size`: whether images of
    other sizes can be shown to it.
    """

    name: str
    short: str
    image_size: int
    licence: str
    source: str
    sha256: str
    file: str | None = None
    any_size: bool = True

    @property
    def architecture(self) -> Architecture:
        """What is built; raises RefusedError where it is a class in a file that is not there."""
        return _architecture(self.name)

    @property
    def weights(self) -> Weights:
        """What it starts from."""
        if self.file is not None:
            return Weights(origin="file", sha256=self.sha256, path=self.file)
        if any(held.sha256 == self.sha256 for held in PACKAGED.values()):
            return Weights(origin="package", sha256=self.sha256)
        return Weights(origin="imagenet")


def find_network(name: str | None = None) -> Network:
    """The network of that name, the default one without: `lite0`, `timm:NAME`, `torchvision:NAME`,
    or `NAME=FILE` and `FILE.py:CLASS=FILE` with weights of one's own.

    Raises RefusedError, with what to install or where to put a file, if there is none, or if its
    weights do not lie on this machine.
    """
    written = name or DEFAULT
    member, named, file = written.partition("=")
    full = SHORT.get(member, member)
    with _in_plain_words():
        if named:
            return _of_file(full, Path(file).expanduser(), written)
        if full in SHORT.values():
            return _of_package(full)
        return _of_cache(full)


def load(network: Network) -> Backbone:
    """The backbone in eval mode with the network's weights, for images of its own size.

    Raises RefusedError where the weights are not there any more, are damaged, or of another
    architecture.
    """
    from transfer_lab.backbones.weights import load_published

    with _in_plain_words():
        backbone = _built(network.architecture, network.image_size)
        load_published(backbone, range(len(backbone.stages)), network.weights)
    return backbone.eval()


def choices() -> str:
    """What can be named, in one sentence."""
    examples = " or ".join(_FAMILIES.values())
    return (
        f"choose {', '.join(SHORT)} (pip install 'transfer-lab[photos]'), a network of timm or "
        f"torchvision whose weights lie on this machine, as {examples}, or weights of your own, as "
        "timm:resnet18=weights.pth"
    )


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """What goes wrong with weights, as a refusal."""
    try:
        yield
    except (WeightsError, ImportError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(str(error)) from error


def _of_package(name: str) -> Network:
    held = packaged_for(name)
    held.find()
    variant = int(name.removeprefix(_LITE))
    return Network(
        name, f"lite{variant}", _LITE_SIZES[variant], held.licence, held.source, held.sha256
    )


def _of_cache(name: str) -> Network:
    """A network with the weights that its library publishes, where they have been fetched."""
    backbone = _built(_architecture(name))
    published = backbone.published
    if published is None:
        raise RefusedError(f"nobody publishes weights of {name}; name a file: {name}=FILE")
    if (path := published.find()) is None:
        raise RefusedError(
            f"the weights of {name} are not on this machine: fetch {published.url} to "
            f"{published.place}, or name the file: {name}=FILE"
        )
    return Network(
        name,
        name.partition(":")[2] or name,
        backbone.native_size,
        backbone.licence or "not stated by its publisher: look there before you hand a model on",
        f"published for ImageNet at {published.url}",
        sha256_of(path),
        any_size=not backbone.fixed_size,
    )


def _of_file(name: str, file: Path, written: str) -> Network:
    if not file.is_file():
        raise RefusedError(f"{file}: no such file of weights; {choices()}")
    if not name:
        raise RefusedError(f"{written}: name the network too, as timm:resnet18={file}")
    backbone = _built(_architecture(name))
    return Network(
        name,
        f"{name.rpartition(':')[2]} ({file.name})",
        backbone.native_size,
        "your own file: the lab does not know its licence",
        f"the file {file.name}",
        sha256_of(file),
        file=str(file),
        any_size=not backbone.fixed_size,
    )


def _built(architecture: Architecture, image_size: int | None = None) -> Backbone:
    """The backbone with fresh weights, for its own image size unless one is given."""
    from transfer_lab.backbones.build import build_backbone

    backbone = build_backbone(architecture, image_size or 224)
    if image_size is None and backbone.fixed_size and backbone.native_size != 224:
        backbone = build_backbone(architecture, backbone.native_size)
    if not backbone.sees_pixels:
        raise RefusedError(f"{architecture.kind} is no network for photographs; {choices()}")
    return backbone


def _architecture(name: str) -> Architecture:
    kind, colon, member = name.partition(":")
    if kind.endswith(".py") and colon:
        if not Path(kind).is_file():
            raise RefusedError(f"{kind}: no such Python file")
        return Architecture(kind=member, module=kind, code=sha256_of(Path(kind)))
    if colon and kind in _FAMILIES:
        return Architecture(kind=kind, options={"name": member})
    if colon or name not in BACKBONES or name in _FAMILIES:
        known = [*SHORT, *(kind for kind in BACKBONES if kind not in _FAMILIES)]
        raise RefusedError(f"no network is named '{name}' ({suggest(name, known)}); {choices()}")
    return Architecture(kind=name)
