"""The network as one ONNX file, from uint8 images to probabilities and features."""

from __future__ import annotations

import json
from importlib.util import find_spec

import torch

from transfer_lab.advice.model.manifest import BATCH
from transfer_lab.advice.model.trained import Trained, noise
from transfer_lab.backbones.onnx_runtime import exported

OUTPUTS = ("probabilities", "features")


def can_export() -> bool:
    """Whether what writes ONNX is installed."""
    return find_spec("onnx") is not None


def onnx_content(trained: Trained) -> bytes:
    """The file: `images` (n, size, size, 3), uint8, any n; classes and size in its metadata.

    Raises what goes wrong for a network that ONNX has no operations for.
    """
    import onnx

    with torch.no_grad():
        content = exported(trained.classifier, noise(trained.image_size), OUTPUTS, BATCH)
    model = onnx.load_from_string(content)
    known = {"classes": json.dumps(trained.classes), "image_size": str(trained.image_size)}
    onnx.helper.set_model_props(model, known)
    return model.SerializeToString()
