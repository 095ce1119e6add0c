"""Comparison -> Compared: the one place that joins domains, feature spaces and measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import softmax

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.frozen import FrozenPrefix
from transfer_lab.backbones.weights import load_head, load_published, load_stages
from transfer_lab.data.build import build_domain
from transfer_lab.experiment.choices import Architecture, Choice, Weights, regime_entry
from transfer_lab.experiment.seeds import derive
from transfer_lab.experiment.spec import Run
from transfer_lab.similarity.calibration import place
from transfer_lab.similarity.h_score import h_score
from transfer_lab.similarity.ladders import noise_images
from transfer_lab.similarity.leep import leep
from transfer_lab.similarity.logme import logme
from transfer_lab.similarity.pairs import Compared, Comparison, comparison_store
from transfer_lab.similarity.probes import gain, linear_right, neighbours_right
from transfer_lab.similarity.proxy_a import proxy_a_distance
from transfer_lab.similarity.random_space import random_features
from transfer_lab.similarity.reference import Reference, place_between
from transfer_lab.similarity.samples import DegenerateError
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.system.device import device

_BATCH = 64
_PLACED = 400
"""Images at most that are placed beside photographs: they are large."""

Space = Callable[[np.ndarray], np.ndarray]
"""Images to features."""
Head = Callable[[np.ndarray], np.ndarray]
"""Features to probabilities of the source's classes."""


class Sample(NamedTuple):
    """Images of a training pool and their labels."""

    images: np.ndarray
    labels: np.ndarray


def measure(comparison: Comparison, store: RecordStore) -> Compared:
    """Measure and store one comparison.

    What a measure is not defined on becomes a note; WeightsError, DataUnavailable and the like
    are raised.
    """
    start = time.perf_counter()
    target = sample(comparison, comparison.target, store)
    source = comparison.source and sample(comparison, comparison.source, store)
    space = space_of(comparison, store)
    bench = _Bench(space(target.images), target.labels, {}, {})
    if source:
        bench.label_free(space(source.images), space(far_images(comparison, store)))
    elif reference := comparison.reference:
        bench.beside_photographs(reference, *_at_own_size(comparison, reference, store))
    if comparison.backbone:
        random = _random(comparison.backbone, comparison.image_size)
        bench.label_aware(_through(random)(target.images))
    if isinstance(comparison.init, Run) and not regime_entry(comparison.init.regime).pretext:
        bench.predict(source_head(comparison.init, store))
    seconds = time.perf_counter() - start
    known = {name: _plain(value) for name, value in bench.found.items()}
    measured = Compared(of=comparison.id, notes=bench.notes, seconds=seconds, **known)
    comparison_store(store).put(measured)
    return measured


def far_images(comparison: Comparison, store: RecordStore) -> np.ndarray:
    """Half as many images of the far domain as are compared."""
    count = comparison.images // 2
    if comparison.far is None:
        return noise_images(count, comparison.image_size)
    return sample(comparison, comparison.far, store).images[:count]


def _at_own_size(
    comparison: Comparison, reference: Reference, store: RecordStore
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the target and of the far domain where images have the size that the statistics
    are of, whatever the experiment's: at others even photographs look like nothing known."""
    count = min(comparison.images, _PLACED)
    own = comparison.model_copy(update={"image_size": reference.image_size, "images": count})
    space = space_of(own, store)
    return space(sample(own, own.target, store).images), space(far_images(own, store))


def sample(comparison: Comparison, choice: Choice, store: RecordStore) -> Sample:
    """At most `images` images of a domain's training pool, the same ones in every comparison."""
    domain = build_domain(choice, comparison.image_size)
    domain.cache = store.root / IMAGES
    domain.draw(per_class="all", val_fraction=0, batch_size=_BATCH, seed=0)
    images, pool, _ = domain.source_of("train")
    order = np.random.default_rng(derive(0, "similarity")).permutation(len(pool))
    chosen = pool[order[: comparison.images]]
    return Sample(
        np.asarray(images[np.sort(chosen)])[_unsort(chosen)], domain.labels("train")[chosen]
    )


def space_of(comparison: Comparison, store: RecordStore) -> Space:
    """The features that the comparison looks at; raises WeightsError where weights are absent."""
    choice, init = comparison.backbone, comparison.init
    if choice is None:
        return random_features
    backbone = build_backbone(choice, comparison.image_size)
    if isinstance(init, Weights):
        load_published(backbone, range(len(backbone.stages)), init)
    else:
        load_stages(backbone, range(len(backbone.stages)), *store.weights(init))
    return _through(backbone)


@dataclass
class _Bench:
    """The target's features, and what has been measured on them."""

    target: np.ndarray
    labels: np.ndarray
    found: dict[str, object]
    notes: dict[str, str]

    def label_free(self, source: np.ndarray, far: np.ndarray) -> None:
        """The place on the axis, and the proxy A-distance."""
        first, second = source[0::2], source[1::2]
        count = min(map(len, (first, second, self.target, far)))
        placed = self._try("position", place, first, second, self.target, far)
        if placed is not None:
            self.found |= {
                "images": count,
                "mmd2": placed.target,
                "mmd2_half": placed.half,
                "mmd2_far": placed.far,
                "position": placed.position,
            }
        for name, other in (("proxy_a", self.target), ("proxy_a_far", far)):
            self.found[name] = self._try(name, proxy_a_distance, first[:count], other[:count])

    def beside_photographs(self, reference: Reference, target: np.ndarray, far: np.ndarray) -> None:
        """The place between photographs that statistics are shipped of, and the far domain."""
        self.found["images"] = len(target)
        self.found["position"] = self._try("position", place_between, reference, target, far)

    def predict(self, head: Head) -> None:
        """LEEP, of what the source run's own head answers to the target's images."""
        self.found["leep"] = self._try("leep", leep, head(self.target), self.labels)

    def label_aware(self, random: np.ndarray) -> None:
        """What the labels say of the features, and how much more than of untrained ones."""
        kept = _repeated(self.labels)
        features, labels = self.target[kept], self.labels[kept]
        self.found["labelled_images"] = len(labels)
        for name, right in (("neighbours", neighbours_right), ("linear", linear_right)):
            own = self._try(name, right, features, labels)
            if own is None:
                continue
            self.found[name] = float(own.mean())
            other = self._try(f"{name}_gain", right, random[kept], labels)
            if other is not None:
                self.found[f"{name}_gain"] = gain(own, other)
        for name, score in (("logme", logme), ("h_score", h_score)):
            self.found[name] = self._try(name, score, features, labels)

    def _try(self, name: str, call: Callable, *arguments: object):
        try:
            return call(*arguments)
        except DegenerateError as reason:
            self.notes[name] = str(reason)
            return None


def _repeated(labels: np.ndarray) -> np.ndarray:
    """Images of classes that have two at least: a class of one image cannot be predicted."""
    return np.flatnonzero(np.bincount(labels)[labels] > 1)


def _random(choice: Architecture, image_size: int) -> Backbone:
    torch.manual_seed(derive(0, "backbone"))
    return build_backbone(choice, image_size)


def source_head(run: Run, store: RecordStore) -> Head:
    """The head that a source run has learnt; raises WeightsError where it has left none."""
    weight, bias = (tensor.numpy() for tensor in load_head(*store.weights(run)))
    return lambda features: softmax(features @ weight.T + bias, axis=1)


def _through(backbone: Backbone) -> Space:
    """The output of all stages, frozen, in fp32 wherever it is computed."""
    prefix = FrozenPrefix(backbone.eval(), len(backbone.stages), device())

    def features(images: np.ndarray) -> np.ndarray:
        step = prefix.batch_size(images.shape[-1])
        starts = range(0, len(images), step)
        outputs = [prefix(torch.as_tensor(images[n : n + step])).flatten(1) for n in starts]
        return torch.cat(outputs).numpy()

    return features


def _unsort(chosen: np.ndarray) -> np.ndarray:
    """The places that put what was read in order back into the order it was drawn in."""
    return np.argsort(np.argsort(chosen))


def _plain(value: object) -> object:
    """Tuples and floats, as JSON has them."""
    return tuple(map(float, value)) if isinstance(value, tuple) else value
