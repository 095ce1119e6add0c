"""The grid's experiment of what was trained, as YAML. No torch."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from transfer_lab.advice.advice import Advice, Recommendation
from transfer_lab.advice.challengers.schedule import schedule
from transfer_lab.advice.features.networks import Network

_HEAD = """\
# What was advised on these photographs, as an experiment of the grid: the regime that was
# recommended, those that it was compared with, and the class that is most frequent as the floor.
#
#   transfer-lab plan {name}
#   transfer-lab run {name}
#
# Every number comes from cross-validation: each photograph is tested on by networks that did not
# learn from it.
"""
_HALF = 0.5


def experiment_content(advice: Advice, network: Network, name: str) -> bytes | None:
    """The file, called `name`; None where the photographs lie in no class folders, of which alone
    the grid makes a domain."""
    root, chosen = Path(advice.data.root).resolve(), advice.recommendation
    if chosen is None or not _has_class_folders(root, advice.data.classes):
        return None
    position = advice.similarity.position if advice.similarity else 0.0
    content = {
        "name": _slug(root.name),
        "title": f"{root.name}: what was advised, by cross-validation",
        "image_size": chosen.image_size,
        "domains": {"photos": {"kind": "folder", "root": str(root), "broken": "skip"}},
        "scenarios": {
            "all": {
                "target": "photos",
                "per_class": "all",
                "size": "medium",
                "similarity": "similar" if position < _HALF else "dissimilar",
            }
        },
        "backbones": _backbone(network),
        "regimes": _regimes(advice, chosen),
        "seeds": [0],
        "folds": max(2, min(5, *advice.data.per_class)),
        "fit": _fit(chosen.regime),
    }
    written = io.BytesIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    yaml.dump(content, written)
    return _HEAD.format(name=name).encode() + b"\n" + written.getvalue()


def _fit(regime: str) -> dict[str, Any]:
    """As the advice fits, whose epochs see every photograph and its mirror image."""
    known = schedule(regime)
    return {
        "epochs": 2 * known.epochs,
        "batch_size": known.batch_size,
        "val_fraction": 0.0,
        "augment": {"flip": True},
    }


def _has_class_folders(root: Path, classes: tuple[str, ...]) -> bool:
    places = (root, root / "train")
    return any(all((place / name).is_dir() for name in classes) for place in places)


def _backbone(network: Network) -> dict[str, Any]:
    weights = network.weights
    pretrained: Any = weights.origin
    if weights.origin == "file":
        pretrained = {"file": str(Path(str(weights.path)).resolve()), "sha256": network.sha256}
    entry: dict[str, Any] = {"pretrained": pretrained}
    if network.architecture.module is None:
        return {network.name: entry}
    own = f"{Path(network.architecture.module).resolve()}:{network.architecture.kind}"
    return {_slug(network.architecture.kind): {"module": own, **entry}}


def _regimes(advice: Advice, chosen: Recommendation) -> dict[str, Any]:
    """The recommended one, and further ones of the same network and size, with their defaults."""
    own = {chosen.regime: dict(chosen.options)}
    for other in advice.alternatives:
        alike = (other.backbone, other.image_size) == (chosen.backbone, chosen.image_size)
        if alike and other.regime not in own and other.regime != "partial_finetune":
            own[other.regime] = {}
    return own | {"majority": {}}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:60] or "photos"
