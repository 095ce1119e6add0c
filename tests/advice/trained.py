"""Trained models as `train` hands them over, of a tiny network with random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from tests.photos import CLASSES, photos
from transfer_lab.advice.advice import (
    Advice,
    Alternative,
    ClassOutcome,
    Cost,
    Data,
    Flag,
    Promise,
    Recommendation,
)
from transfer_lab.advice.features.networks import Network
from transfer_lab.advice.fitted import FittedModel, Head
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.system.decode import decode_file

SIZE = 64
TINY = Network(
    name="timm:test_efficientnet",
    short="test_efficientnet",
    image_size=SIZE,
    licence="Apache-2.0",
    source="drawn at random",
    sha256="0" * 64,
)


def advice(root: Path | str, network: Network = TINY, size: int = SIZE) -> Advice:
    """What is advised on the photographs of a folder."""
    return Advice(
        data=Data(
            root=str(root),
            images=30,
            groups=30,
            classes=CLASSES,
            per_class=(10, 10, 10),
            unreadable=(),
            content_hash="1" * 64,
        ),
        recommendation=Recommendation(
            backbone=network.name, regime="linear_probe", image_size=size
        ),
        promise=Promise(
            metric="mean_recall",
            value=0.86,
            low=0.82,
            high=0.89,
            level=0.9,
            accuracy=0.87,
            protocol="2 x 5 folds",
            n_effective=30,
            majority=1 / 3,
        ),
        alternatives=(
            Alternative(
                backbone=network.name,
                regime="full_finetune",
                image_size=size,
                state="worse",
                lead=-1.0,
                se=0.5,
                fit_seconds=3.0,
            ),
        ),
        more_images=(),
        cost=Cost(
            features_s=1.0, fit_s=1.0, predict_s_per_image=0.02, bytes=10_000, machine="here"
        ),
        similarity=None,
        per_class=tuple(
            ClassOutcome(
                name=name,
                images=10,
                recall=0.9,
                low=0.6,
                high=0.98,
                taken_for=None,
                taken_for_share=0.0,
            )
            for name in CLASSES
        ),
        confusion=((9, 1, 0), (0, 9, 1), (1, 0, 9)),
        flags=(Flag(kind="imbalance", text="one class has three times as many as another"),),
        abstentions=(),
        versions={"transfer_lab": "1"},
        seed=0,
    )


def backbone(network: Network = TINY, size: int = SIZE) -> Backbone:
    """Of random weights, its statistics taken from noise, so that its answers differ."""
    torch.manual_seed(3)
    built = build_backbone(network.architecture, size).train()
    with torch.no_grad():
        for _ in range(3):
            built(torch.randint(0, 256, (8, 3, size, size), dtype=torch.uint8))
    return built.eval()


def shown(net: Backbone, paths: list[Path], size: int = SIZE) -> np.ndarray:
    """Features of files, (images, features)."""
    images = torch.from_numpy(np.stack([decode_file(path, size) for path in paths]))
    with torch.no_grad():
        return net(images).numpy()


@cache
def fitted() -> FittedModel:
    """On thirty photographs, with a head drawn at random whose answers differ."""
    root = Path(photos())
    paths = [path for name in CLASSES for path in sorted((root / name).glob("*.jpg"))]
    net = backbone()
    features = shown(net, paths)
    return FittedModel(
        classes=CLASSES,
        network=TINY,
        backbone=net,
        head=random_head(features),
        image_size=SIZE,
        features=features,
        labels=np.repeat(np.arange(len(CLASSES)), 10),
        temperature=1.7,
        advice=advice(root),
    )


def random_head(features: np.ndarray) -> Head:
    """Of logits that spread by about 2 over these features."""
    weight = np.random.default_rng(0).normal(size=(len(CLASSES), features.shape[1]))
    logits = features @ weight.T
    weight *= 2 / logits.std(0).mean()
    bias = -(features @ weight.T).mean(0)
    return Head(weight.astype(np.float32), bias.astype(np.float32))
