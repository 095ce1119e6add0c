"""What must hold for every domain: images as announced, the same ones always, none in two parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import lightning as L
import numpy as np
import torch

from transfer_lab.data.base import ImageDomain, Part
from transfer_lab.data.image_cache import digest
from transfer_lab.training.contracts.cases import Check, arguments, demand

_PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class DomainCase:
    """A domain with the options it is checked with, and the sides of the images it is asked for."""

    cls: type[ImageDomain]
    options: Mapping[str, object] = field(default_factory=dict)
    sizes: tuple[int, ...] = (8, 17, 32)

    def build(self, image_size: int = 16, **more: object) -> ImageDomain:
        """The domain, no images made yet."""
        return self.cls(image_size, **arguments(self.cls, {**self.options, **more}))


def digests(images: np.ndarray) -> list[str]:
    """A hash of each image."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def images_are_rgb_bytes_of_the_size_asked_for_one_a_label(case: DomainCase) -> None:
    """And every class has some in both parts."""
    demand(issubclass(case.cls, L.LightningDataModule), "it is no LightningDataModule")
    demand((case.cls.__doc__ or "").strip(), "it has no docstring")
    for size in case.sizes:
        domain = case.build(size)
        demand(len(set(domain.classes)) == domain.num_classes, "two classes have the same name")
        for part in _PARTS:
            images, labels = domain.make_images(part), domain.labels(part)
            expected = (len(labels), 3, size, size)
            demand(images.dtype == np.uint8, f"{part} images are {images.dtype}, not uint8")
            demand(images.shape == expected, f"{part} images are {images.shape}, not {expected}")
            told = f"the {part} labels are not 0 to {domain.num_classes - 1}, each at least once"
            demand(set(labels.tolist()) == set(range(domain.num_classes)), told)


def the_same_options_give_the_same_images_in_a_new_object(case: DomainCase) -> None:
    """Since images are stored by what determines them, and made again where they are not."""
    first, second = case.build(), case.build()
    demand(digest(first.identity) == digest(second.identity), "its `identity` is another one")
    for part in _PARTS:
        same = np.array_equal(first.make_images(part), second.make_images(part))
        demand(same, f"its {part} images are others")
        demand(np.array_equal(first.labels(part), second.labels(part)), f"its {part} labels are")


def no_image_is_in_both_parts_or_twice_in_one(case: DomainCase) -> None:
    """What was learnt by heart would count as understood."""
    domain = case.build()
    train, test = digests(domain.make_images("train")), digests(domain.make_images("test"))
    demand(not set(train) & set(test), "the test set holds images of the training pool")
    demand(len(set(train)) == len(train), "the training pool holds an image twice")


def the_test_set_is_the_same_for_every_seed_and_size(case: DomainCase) -> None:
    """So that every run is asked the same."""
    seen = []
    for seed, per_class in ((0, 2), (1, 2), (0, _most(case))):
        domain = case.build()
        domain.draw(per_class=per_class, val_fraction=0.2, batch_size=4, seed=seed)
        images = torch.cat([images for images, _ in domain.test_dataloader()])
        seen.append((images, domain.section_labels("test")))
    for images, labels in seen[1:]:
        same = torch.equal(images, seen[0][0]) and torch.equal(labels, seen[0][1])
        demand(same, "another seed or size has another test set")


def loaders_give_the_drawn_images_with_their_own_labels(case: DomainCase) -> None:
    """All of them, and no others."""
    domain = case.build()
    split = domain.draw(per_class=_most(case), val_fraction=0.2, batch_size=4, seed=1)
    images, labels = domain.make_images("train"), domain.labels("train")
    expected = {d: int(y) for d, y in zip(digests(images), labels, strict=True)}
    loaders = ((domain.train_dataloader, split.train), (domain.val_dataloader, split.val))
    for loader, index in loaders:
        seen = [(x, y) for xs, ys in loader() for x, y in zip(xs, ys, strict=True)]
        found = digests([x.numpy() for x, _ in seen])
        demand(len(seen) == len(index), f"{len(seen)} images are loaded, {len(index)} were drawn")
        demand(set(found) == set(digests(images[index])), "other images are loaded than drawn")
        right = all(expected[d] == int(y) for d, (_, y) in zip(found, seen, strict=True))
        demand(right, "an image is loaded with the label of another class")


def annotations_are_those_of_its_images(case: DomainCase) -> None:
    """A mask or a box an image, which come with the training images that they belong to, and with
    no others."""
    for size in case.sizes if case.cls.annotates else ():
        domain = case.build(size)
        for part in _PARTS:
            _are_annotations(
                {k: domain.annotation(k, part) for k in domain.annotates}, domain, part
            )
    domain = case.build()
    domain.annotations = domain.annotates
    split = domain.draw(per_class=_most(case), val_fraction=0.2, batch_size=4, seed=1)
    images = dict(zip(digests(domain.make_images("train")), range(10**9), strict=False))
    known = {kind: domain.annotation(kind, "train") for kind in domain.annotates}
    for inputs, _, *beside in domain.train_dataloader():
        places = [images[d] for d in digests(inputs.numpy())]
        demand(set(places) <= set(split.train.tolist()), "an image is loaded that was not drawn")
        for kind, values in known.items():
            own = np.array_equal(beside[0][kind].numpy(), values[places])
            demand(own, f"images are loaded with the {kind} of others")
    for loader in (domain.val_dataloader, domain.test_dataloader):
        told = "annotations come with images that are not learnt from"
        demand(all(len(batch) == 2 for batch in loader()), told)


def _are_annotations(known: Mapping[str, np.ndarray], domain: ImageDomain, part: Part) -> None:
    count, size = len(domain.labels(part)), domain.image_size
    if (masks := known.get("masks")) is not None:
        demand(masks.shape == (count, size, size), f"{part} masks are {masks.shape}")
        right = masks.dtype == np.uint8 and set(np.unique(masks)) <= {0, 1}
        demand(right, f"{part} masks are {masks.dtype} and not all 0 or 1, as bytes")
        demand(masks.any((1, 2)).all(), f"of some {part} images nothing is the object")
    if (boxes := known.get("boxes")) is not None:
        demand(boxes.shape == (count, 4), f"{part} boxes are {boxes.shape}, not {(count, 4)}")
        inside = boxes.dtype == np.float32 and boxes.min() >= 0 and boxes.max() <= 1
        demand(inside, f"{part} boxes are {boxes.dtype} and not all float32 between 0 and 1")
        demand((boxes[:, :2] < boxes[:, 2:]).all(), f"{part} boxes are empty, or turned round")


def _most(case: DomainCase) -> int:
    """Images per class that are drawn, of those there are."""
    return min(5, int(np.bincount(case.build().labels("train")).min()))


DOMAIN_CHECKS: tuple[Check, ...] = (
    images_are_rgb_bytes_of_the_size_asked_for_one_a_label,
    the_same_options_give_the_same_images_in_a_new_object,
    no_image_is_in_both_parts_or_twice_in_one,
    the_test_set_is_the_same_for_every_seed_and_size,
    loaders_give_the_drawn_images_with_their_own_labels,
    annotations_are_those_of_its_images,
)
