"""The folder as timm reads it: `timm.create_model("local-dir:FOLDER", pretrained=True)`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from transfer_lab.advice.model.trained import Trained, noise, tensors
from transfer_lab.backbones.timm import Timm

TOLERANCE = 1e-5
"""Of probabilities, between two forms of one network."""


class TimmLayout(NamedTuple):
    """The network's name there, the name of its classifier's tensors, and config.json."""

    architecture: str
    head: str
    config: bytes


def timm_layout(trained: Trained) -> TimmLayout | None:
    """How timm calls the parts; None of a network that is not timm's, or that timm puts together
    otherwise than from features and one linear layer."""
    if type(trained.backbone) is not Timm:
        return None
    arguments = {"img_size": trained.image_size} if trained.backbone.fixed_size else {}
    name = trained.backbone.name.partition(".")[0]
    model = _model(name, len(trained.classes), arguments)
    classifier = model.get_classifier()
    heads = [name for name, module in model.named_modules() if module is classifier]
    if len(heads) != 1 or type(classifier) is not nn.Linear:
        return None
    (head,) = heads
    if not _is_same(model, tensors(trained, head), trained):
        return None
    config = json.dumps(_config(model, trained, name, head, arguments), indent=2)
    return TimmLayout(name, head, config.encode())


def _model(name: str, classes: int, arguments: dict[str, int]) -> Any:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=classes, **arguments).eval()


def _is_same(model: Any, state: dict[str, Tensor], trained: Trained) -> bool:
    """Whether timm's network with these tensors answers as ours does."""
    own = model.state_dict()
    if any(own[name].shape != value.shape for name, value in state.items() if name in own):
        return False
    if own.keys() ^ state.keys():
        return False
    model.load_state_dict(state)
    images = noise(trained.image_size)
    with torch.inference_mode():
        ours, _ = trained.classifier(images)
        prepared = trained.backbone.prepare(images.permute(0, 3, 1, 2))
        return bool((model(prepared).softmax(1) - ours).abs().max() <= TOLERANCE)


def _config(
    model: Any, trained: Trained, name: str, head: str, arguments: dict[str, int]
) -> dict[str, Any]:
    first = model.pretrained_cfg.get("first_conv")
    size = (3, trained.image_size, trained.image_size)
    return {
        "architecture": name,
        "num_classes": len(trained.classes),
        "num_features": model.num_features,
        "label_names": list(trained.classes),
        **({"model_args": arguments} if arguments else {}),
        "pretrained_cfg": {
            "tag": "transfer_lab",
            "custom_load": False,
            "num_classes": len(trained.classes),
            "input_size": size,
            "fixed_input_size": bool(arguments),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": trained.backbone.mean,
            "std": trained.backbone.std,
            "first_conv": first,
            "classifier": head,
        },
    }
