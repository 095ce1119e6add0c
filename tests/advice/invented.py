"""An Advice as a folder of trees might get it, and the photographs that it speaks of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfer_lab.advice.advice import Advice

TREES = ("ash", "beech", "birch", "elm", "lime", "maple", "oak", "pine", "willow")
SIZES = (31, 48, 80, 40, 35, 52, 44, 46, 36)
RECALLS = (0.9, 0.88, 0.97, 0.83, 0.86, 0.9, 0.61, 0.98, 0.84)


def confusion(sizes=SIZES, recalls=RECALLS) -> np.ndarray:
    """Counts with these recalls; each class is taken for the next one, oak for beech."""
    counts = np.diag([round(n * r) for n, r in zip(sizes, recalls, strict=True)])
    for row, n in enumerate(sizes):
        other = 1 if row == 6 % len(sizes) and row != 1 else (row + 1) % len(sizes)
        counts[row, other] += n - counts[row].sum()
    return counts


def content(**changes: object) -> dict:
    """The keys of advice.json."""
    counts = confusion()
    return {
        "schema": 1,
        "data": {
            "root": "photos",
            "images": sum(SIZES),
            "groups": sum(SIZES) - 38,
            "classes": TREES,
            "per_class": SIZES,
            "unreadable": ("oak/IMG_0817.jpg", "pine/scan.tif"),
            "content_hash": "8d1f" * 16,
        },
        "recommendation": {
            "backbone": "timm:tf_efficientnet_lite0",
            "regime": "linear_probe",
            "image_size": 224,
        },
        "promise": {
            "metric": "mean_recall",
            "value": 0.86,
            "low": 0.82,
            "high": 0.89,
            "level": 0.9,
            "accuracy": 0.875,
            "protocol": "2 x 5-fold, near-copies kept together",
            "n_effective": 287.7,
            "majority": 0.194,
        },
        "alternatives": [
            _alternative("partial_finetune", 224, "not clearly better", 0.4, 0.9, 110),
            _alternative("full_finetune", 224, "dropped", None, None, 410),
            _alternative("linear_probe", 160, "worse", -2.1, 0.8, 3),
            _alternative("linear_probe", 240, "no time", None, None, 9, "lite1"),
        ],
        "more_images": [
            {"factor": 2, "value": 0.89, "low": 0.84, "high": 0.92},
            {"factor": 5, "value": 0.92, "low": 0.87, "high": 0.95},
        ],
        "cost": {
            "features_s": 8.1,
            "fit_s": 4.0,
            "predict_s_per_image": 0.021,
            "bytes": 13_900_000,
            "machine": "2 cores, x86_64",
        },
        "similarity": {"position": 0.18, "low": 0.12, "high": 0.25},
        "per_class": [
            {
                "name": name,
                "images": n,
                "recall": recall,
                "low": max(0.0, recall - 0.12),
                "high": min(1.0, recall + 0.08),
                "taken_for": TREES[int(np.argmax(row * (np.arange(len(row)) != i)))],
                "taken_for_share": 1 - recall,
            }
            for i, (name, n, recall, row) in enumerate(
                zip(TREES, SIZES, RECALLS, counts, strict=True)
            )
        ],
        "confusion": counts.tolist(),
        "flags": [
            {
                "kind": "label_suspects",
                "text": "5 may be in the wrong folder",
                "paths": [(f"oak/{n}.jpg",) for n in range(5)],
            },
            {
                "kind": "near_copies",
                "text": "38 are near-copies of another and counted once",
                "paths": [("ash/0.jpg", "ash/1.jpg", "ash/2.jpg"), ("elm/3.jpg", "elm/4.jpg")],
            },
            {
                "kind": "alike_in_two_classes",
                "text": "3 look alike but lie in different folders",
                "paths": [("beech/7.jpg", "oak/9.jpg")],
            },
            {"kind": "unlike_the_rest", "text": "1 unlike the rest", "paths": [("willow/2.jpg",)]},
            {
                "kind": "unreadable",
                "text": "2 unreadable",
                "paths": [("oak/IMG_0817.jpg",), ("pine/scan.tif",)],
            },
        ],
        "abstentions": [
            {
                "question": "regime",
                "reason": "adjusting the network was not clearly better than the last layer alone",
            }
        ],
        "versions": {"transfer_lab": "0.1.0", "torch": "2.9.0"},
        "seed": 0,
    } | changes


def advice(**changes: object) -> Advice:
    """`content`, checked."""
    return Advice.model_validate(content(**changes))


def _alternative(regime, size, state, lead, se, seconds, net="lite0") -> dict:
    return {
        "backbone": f"timm:tf_efficientnet_{net}",
        "regime": regime,
        "image_size": size,
        "state": state,
        "lead": lead,
        "se": se,
        "fit_seconds": seconds,
    }


def answers() -> tuple[np.ndarray, np.ndarray]:
    """Class and answer of every photograph, in the order of `files`."""
    counts = confusion()
    pairs = [(i, j) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
    labels, found = zip(*pairs, strict=True)
    return np.array(labels), np.array(found)


def files() -> list[str]:
    """Below the root: `ash/0.jpg` and so on."""
    return [
        f"{name}/{n}.jpg" for name, count in zip(TREES, SIZES, strict=True) for n in range(count)
    ]


def draw(root: Path) -> Path:
    """The photographs: smooth colours, a hue a class."""
    for path in files():
        name, _, number = path.partition("/")
        rng = np.random.default_rng([TREES.index(name), int(number.partition(".")[0])])
        base = np.random.default_rng(TREES.index(name)).integers(0, 200, (3, 4, 3))
        pixels = np.clip(base + rng.integers(-50, 80, (3, 4, 3)), 0, 255).astype(np.uint8)
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC).save(root / path)
    return root
