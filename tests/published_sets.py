"""Small datasets as torchvision lays out those that it downloads."""

from __future__ import annotations

import atexit
import bz2
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.photos import picture

Member = tuple[np.ndarray, int]
"""An image (size, size, 3) and its class."""
Parts = Mapping[str, list[Member]]


def solid_parts(size: int, classes: int = 3) -> Parts:
    """Images of one grey each, which tells class and part: `grey(label, part)`."""
    counts = {"train": 4, "val": 2, "test": 3}
    return {
        part: [
            (np.full((size, size, 3), grey(label, part), np.uint8), label)
            for label in range(classes)
            for _ in range(count)
        ]
        for part, count in counts.items()
    }


def grey(label: int, part: str) -> int:
    return 60 * label + {"train": 0, "val": 15, "test": 30}[part]


def idx(path: Path, values: np.ndarray) -> None:
    """MNIST's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"uint8": 8, "int32": 12}[values.dtype.name]
    header = np.array([kind << 8 | values.ndim, *values.shape], ">i4").tobytes()
    path.write_bytes(header + values.astype(values.dtype.newbyteorder(">")).tobytes())


def stacked(members: Iterable[Member]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*members, strict=True)
    return np.stack(images), np.array(labels, np.uint8)


def files(folder: Path, members: Iterable[Member], suffix: str, start: int = 0) -> list[str]:
    """Image files `n_<number><suffix>`; returns their names without suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, (image, _) in enumerate(members, start):
        Image.fromarray(image).save(folder / f"n_{number}{suffix}")
        names.append(f"n_{number}")
    return names


def class_folders(folder: Path, members: list[Member], suffix: str, name: str = "{:05d}") -> None:
    for number, (image, label) in enumerate(members):
        place = folder / name.format(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}{suffix}")


def mnist(root: Path, parts: Parts, name: str = "MNIST") -> None:
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = stacked(parts[part])
        idx(root / name / "raw" / f"{prefix}-images-idx3-ubyte", images[..., 0])
        idx(root / name / "raw" / f"{prefix}-labels-idx1-ubyte", labels)


def emnist(root: Path, parts: Parts) -> None:
    for part in ("train", "test"):
        images, labels = stacked(parts[part])
        place = root / "EMNIST" / "raw"
        idx(place / f"emnist-balanced-{part}-images-idx3-ubyte", images[..., 0])
        idx(place / f"emnist-balanced-{part}-labels-idx1-ubyte", labels)


def qmnist(root: Path, parts: Parts) -> None:
    for part in ("train", "test"):
        images, labels = stacked(parts[part])
        columns = np.full((len(labels), 8), 7, np.int32)
        columns[:, 0] = labels
        idx(root / "QMNIST" / "raw" / f"qmnist-{part}-images-idx3-ubyte", images[..., 0])
        idx(root / "QMNIST" / "raw" / f"qmnist-{part}-labels-idx2-int", columns)


def cifar(root: Path, parts: Parts, names: Mapping[str, list[str]], key: str, meta: str) -> None:
    root.mkdir(parents=True)
    for part, batches in names.items():
        shares = np.array_split(range(len(parts[part])), len(batches))
        for members, name in zip(shares, batches, strict=True):
            images, labels = stacked(parts[part][i] for i in members)
            rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
            (root / name).write_bytes(pickle.dumps({"data": rows, key: labels.tolist()}))
    label_names = "label_names" if key == "labels" else "fine_label_names"
    (root / meta).write_bytes(pickle.dumps({label_names: ["ape", "bee", "cat"]}))


def cifar10(root: Path, parts: Parts) -> None:
    names = {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]}
    cifar(root / "cifar-10-batches-py", parts, names, "labels", "batches.meta")


def cifar100(root: Path, parts: Parts) -> None:
    names = {"train": ["train"], "test": ["test"]}
    cifar(root / "cifar-100-python", parts, names, "fine_labels", "meta")


def stl10(root: Path, parts: Parts) -> None:
    place = root / "stl10_binary"
    place.mkdir()
    (place / "unlabeled_X.bin").touch()
    for part in ("train", "test"):
        images, labels = stacked(parts[part])
        images.transpose(0, 3, 2, 1).tofile(place / f"{part}_X.bin")
        (labels + 1).tofile(place / f"{part}_y.bin")


def svhn(root: Path, parts: Parts) -> None:
    for part in ("train", "test"):
        images, labels = stacked(parts[part])
        content = {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)}
        savemat(root / f"{part}_32x32.mat", content)


def usps(root: Path, parts: Parts) -> None:
    for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = []
        for image, label in parts[part]:
            values = (image[..., 0].ravel() + 0.5) / 255 * 2 - 1
            row = " ".join(f"{place}:{value:.6f}" for place, value in enumerate(values, 1))
            lines.append(f"{label + 1} {row} \n")
        (root / name).write_bytes(bz2.compress("".join(lines).encode()))


def semeion(root: Path, parts: Parts) -> None:
    rows = [[*np.eye(16)[label + 1].repeat(16), *np.eye(10)[label]] for _, label in parts["train"]]
    np.savetxt(root / "semeion.data", rows, fmt="%.4f")


def flowers(root: Path, parts: Parts) -> None:
    place, ids, labels = root / "flowers-102", {}, []
    (place / "jpg").mkdir(parents=True)
    for part, key in (("test", "tstid"), ("val", "valid"), ("train", "trnid")):
        ids[key] = list(range(len(labels) + 1, len(labels) + len(parts[part]) + 1))
        for number, (image, label) in zip(ids[key], parts[part], strict=True):
            Image.fromarray(image).save(place / "jpg" / f"image_{number:05d}.jpg")
            labels.append(label + 1)
    savemat(place / "setid.mat", ids)
    savemat(place / "imagelabels.mat", {"labels": labels})


def pets(root: Path, parts: Parts) -> None:
    place = root / "oxford-iiit-pet"
    (place / "annotations").mkdir(parents=True)
    for part, name in (("train", "trainval"), ("test", "test")):
        found = files(place / "images", parts[part], ".jpg", start=100 * (part == "test"))
        lines = [f"{n} {label + 1} 1 1" for n, (_, label) in zip(found, parts[part], strict=True)]
        (place / "annotations" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def textures(root: Path, parts: Parts) -> None:
    place = root / "dtd" / "dtd"
    (place / "labels").mkdir(parents=True)
    for part, members in parts.items():
        lines = []
        for number, (image, label) in enumerate(members):
            files(place / "images" / f"t{label}", [(image, label)], f"_{part}{number}.jpg")
            lines.append(f"t{label}/n_0_{part}{number}.jpg\n")
        (place / "labels" / f"{part}1.txt").write_text("".join(lines))


def signs(root: Path, parts: Parts) -> None:
    place = root / "gtsrb"
    class_folders(place / "GTSRB" / "Training", parts["train"], ".ppm")
    found = files(place / "GTSRB" / "Final_Test" / "Images", parts["test"], ".ppm")
    lines = [f"{n}.ppm;{label}" for n, (_, label) in zip(found, parts["test"], strict=True)]
    (place / "GT-final_test.csv").write_text("\n".join(["Filename;ClassId", *lines]))


def aircraft(root: Path, parts: Parts) -> None:
    place = root / "fgvc-aircraft-2013b" / "data"
    for part, name in (("train", "trainval"), ("test", "test")):
        found = files(place / "images", parts[part], ".jpg", start=100 * (part == "test"))
        lines = [f"{n} plane {label}" for n, (_, label) in zip(found, parts[part], strict=True)]
        (place / f"images_variant_{name}.txt").write_text("\n".join(lines) + "\n")
    (place / "variants.txt").write_text("plane 0\nplane 1\nplane 2\n")


def food(root: Path, parts: Parts) -> None:
    place = root / "food-101"
    (place / "meta").mkdir(parents=True)
    for part in ("train", "test"):
        listed: dict[str, list[str]] = {}
        for number, (image, label) in enumerate(parts[part]):
            files(place / "images" / f"dish{label}", [(image, label)], f"_{part}{number}.jpg")
            listed.setdefault(f"dish{label}", []).append(f"dish{label}/n_0_{part}{number}")
        (place / "meta" / f"{part}.json").write_text(json.dumps(listed))


def imagenette(root: Path, parts: Parts) -> None:
    known = ("n01440764", "n02102040", "n02979186")
    for part, name in (("train", "train"), ("test", "val")):
        for label, wnid in enumerate(known):
            members = [m for m in parts[part] if m[1] == label]
            files(root / "imagenette2" / name / wnid, members, ".jpeg")


def countries(root: Path, parts: Parts) -> None:
    for part, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        class_folders(root / "country211" / name, parts[part], ".jpg", "C{}")


def sentences(root: Path, parts: Parts) -> None:
    for part, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for label, sentiment in enumerate(("negative", "positive")):
            members = [m for m in parts[part] if m[1] == label]
            files(root / "rendered-sst2" / name / sentiment, members, ".png")


def cars(root: Path, parts: Parts) -> None:
    place = root / "stanford_cars"
    (place / "devkit").mkdir(parents=True)
    notes = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    for part, name in notes.items():
        found = files(place / f"cars_{part}", parts[part], ".jpg")
        kinds = [("fname", "O"), ("class", "u1")]
        rows = [(f"{n}.jpg", label + 1) for n, (_, label) in zip(found, parts[part], strict=True)]
        savemat(place / name, {"annotations": np.array(rows, dtype=kinds)})
    names = np.array(["coupe", "estate", "van"], dtype=object)
    savemat(place / "devkit" / "cars_meta.mat", {"class_names": names})


def eurosat(root: Path, parts: Parts, suffix: str = ".jpg") -> None:
    class_folders(root / "eurosat" / "2750", parts["train"], suffix, "Land{}")


def caltech(place: Path, members: list[Member], file: str) -> None:
    counts: dict[int, int] = {}
    for image, label in members:
        counts[label] = counts.get(label, 0) + 1
        path = place / f"{label + 1:03d}.thing" / file.format(label + 1, counts[label])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def caltech101(root: Path, parts: Parts) -> None:
    place = root / "caltech101" / "101_ObjectCategories"
    caltech(place, parts["train"], "image_{1:04d}.jpg")
    (place / "BACKGROUND_Google").mkdir()


def caltech256(root: Path, parts: Parts) -> None:
    place = root / "caltech256" / "256_ObjectCategories"
    caltech(place, parts["train"], "{:03d}_{:04d}.jpg")


WRITERS: dict[str, tuple[Callable[[Path, Parts], None], int]] = {
    "CIFAR10": (cifar10, 32),
    "CIFAR100": (cifar100, 32),
    "Caltech101": (caltech101, 30),
    "Caltech256": (caltech256, 30),
    "Country211": (countries, 30),
    "DTD": (textures, 30),
    "EMNIST": (emnist, 28),
    "EuroSAT": (eurosat, 64),
    "FGVCAircraft": (aircraft, 30),
    "FashionMNIST": (lambda root, parts: mnist(root, parts, "FashionMNIST"), 28),
    "Flowers102": (flowers, 30),
    "Food101": (food, 30),
    "GTSRB": (signs, 30),
    "Imagenette": (imagenette, 30),
    "KMNIST": (lambda root, parts: mnist(root, parts, "KMNIST"), 28),
    "MNIST": (mnist, 28),
    "OxfordIIITPet": (pets, 30),
    "QMNIST": (qmnist, 28),
    "RenderedSST2": (sentences, 30),
    "SEMEION": (semeion, 16),
    "STL10": (stl10, 96),
    "SVHN": (svhn, 32),
    "StanfordCars": (cars, 30),
    "USPS": (usps, 16),
}
"""Name -> how it is written, and the size of its images."""


@cache
def handwriting() -> str:
    """A folder with an MNIST of ten classes, 8 images each to learn from and 3 to test on."""
    root = Path(tempfile.mkdtemp(prefix="published-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    mnist(
        root,
        {
            part: [
                (np.asarray(picture(first + 10 * number + label, (28, 28))), label)
                for number in range(count)
                for label in range(10)
            ]
            for part, first, count in (("train", 0, 8), ("test", 5000, 3))
        },
    )
    return str(root)
