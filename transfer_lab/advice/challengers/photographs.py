"""What challengers learn from: photographs, their features, and what looking at them costs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_limits

from transfer_lab.advice.advice import Recommendation
from transfer_lab.advice.album.album import Album
from transfer_lab.advice.challengers.base import OutOfTimeError
from transfer_lab.advice.challengers.images import AlbumImages
from transfer_lab.advice.features.features import extract
from transfer_lab.advice.features.networks import Network, load
from transfer_lab.advice.fitted import Head
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.promise.probe import fit_probe
from transfer_lab.advice.wording import tried
from transfer_lab.backbones.base import Backbone
from transfer_lab.system.decode import decode_files

_LOOKED_AT = 8


class Photographs:
    """The photographs of an album, all of which can be read, and the default features of each.

    `features` (n, features) of `network` at the size that its weights were trained at. `cache`:
    where features and what frozen stages make of images are kept; without it nothing outlives these
    photographs. `seed`: what batches, their order and whatever else is drawn go by.
    """

    def __init__(
        self,
        album: Album,
        network: Network,
        features: np.ndarray,
        *,
        cache: Path | None = None,
        seed: int = 0,
    ):
        self.paths = [photo.path for photo in album.photos]
        self.hashes = [photo.sha256 for photo in album.photos]
        self.labels, self.classes = album.labels, album.classes
        self.network, self.cache, self.seed = network, cache, seed
        self._folder = TemporaryDirectory(prefix="transfer-lab-")
        self.rows_at = (cache or Path(self._folder.name)) / "rows"
        self._features = {(network.sha256, network.image_size): features}
        self._images: dict[int, AlbumImages] = {}
        self._backbones: dict[str, Backbone] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, way: Recommendation) -> str:
        """What a person is told of a way to learn, and in what it is not the default one."""
        size = self.network.image_size
        default = Recommendation(backbone=self.network.name, regime="linear_probe", image_size=size)
        return f"trying {tried(way, default)}"

    def images(self, size: int) -> AlbumImages:
        """The photographs and their mirror images as a domain, the same one for all who ask."""
        if size not in self._images:
            known = (self.paths, self.hashes, self.labels, self.classes)
            self._images[size] = AlbumImages(size, *known, cache=Path(self._folder.name))
        return self._images[size]

    def backbone(self, network: Network) -> Backbone:
        """The network as it was pretrained, in eval mode: to be copied, and not to be changed."""
        if network.sha256 not in self._backbones:
            self._backbones[network.sha256] = load(network)
        return self._backbones[network.sha256]

    def has_features(self, network: Network, size: int) -> bool:
        """Whether they have been computed."""
        return (network.sha256, size) in self._features

    def features(
        self,
        network: Network,
        size: int,
        *,
        listen: Listener = SILENT,
        seconds: float = math.inf,
    ) -> np.ndarray:
        """(n, features) of a network, computed when first asked for; raises OutOfTimeError where
        that takes longer than so many seconds."""
        key = network.sha256, size
        if key not in self._features:
            found = extract(
                *(self.paths, self.hashes, network, size),
                cache=self.cache,
                listen=listen,
                seconds=seconds,
                backbone=self.backbone(network),
            )
            if len(found.values) < len(self):
                raise OutOfTimeError(f"features of {network.short} at {size} px")
            self._features[key] = found.values
        return self._features[key]

    def features_a_stage_earlier(
        self, rows: np.ndarray, *, listen: Listener = SILENT, seconds: float = math.inf
    ) -> np.ndarray:
        """(rows, channels) of the default network's last stage but one, averaged over places, of
        these photographs; raises OutOfTimeError where that takes longer than so many seconds."""
        found = extract(
            [self.paths[row] for row in rows],
            [self.hashes[row] for row in rows],
            *(self.network, self.network.image_size),
            cache=self.cache,
            listen=listen,
            seconds=seconds,
            backbone=self.backbone(self.network),
            leave_out=1,
        )
        if len(found.values) < len(rows):
            raise OutOfTimeError(f"an earlier stage of {self.network.short}")
        return found.values

    def probe(self, features: np.ndarray, rows: np.ndarray | slice = slice(None)) -> Head:
        """The default head on these photographs' features."""
        # On one thread, as the default's folds: so the last digits are everywhere the same.
        with threadpool_limits(1, user_api="blas"):
            return fit_probe(features[rows], self.labels[rows], len(self.classes))

    @cached_property
    def probe_seconds(self) -> float:
        """Seconds that fitting the default head takes."""
        (features, *_) = self._features.values()
        start = time.monotonic()
        self.probe(features)
        return time.monotonic() - start

    def decode_seconds(self, size: int) -> float:
        """Seconds that decoding all photographs takes, from a few of them; none where it is done
        already."""
        if self.images(size).is_decoded:
            return 0.0
        chosen = _spread(self.paths, _LOOKED_AT)
        start = time.monotonic()
        for _ in decode_files(chosen, size):
            pass
        return (time.monotonic() - start) / len(chosen) * len(self)


def _spread(paths: Sequence[Path], count: int) -> list[Path]:
    """So many, at even distances."""
    return [
        paths[at] for at in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))
    ]
