"""The network of a model's folder by torch, where onnxruntime is not installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from transfer_lab.advice.model.manifest import CHECKPOINT, Manifest, ModelFolderError
from transfer_lab.advice.model.seen import Seen
from transfer_lab.advice.model.trained import HEAD, Classifier
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.weights import read_state
from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.regimes.build import regime_class
from transfer_lab.system.files import WeightsError

_STAGES = "backbone."


class ByTorch:
    """The network of a file of tensors, or of a checkpoint, as the manifest describes it."""

    def __init__(self, path: Path, manifest: Manifest):
        self._net = read_classifier(path, manifest)

    def __call__(self, image: np.ndarray) -> Seen:
        given = torch.from_numpy(np.ascontiguousarray(image.transpose(1, 2, 0)))[None]
        with torch.inference_mode():
            probabilities, features = self._net(given)
        return Seen(probabilities[0].numpy(), features[0].numpy())


def read_classifier(path: Path, manifest: Manifest) -> Classifier:
    """The network in eval mode; raises ModelFolderError where it cannot be built or filled here."""
    head = HEAD if path.name == CHECKPOINT else manifest.head
    try:
        backbone = _backbone(manifest)
        state = read_state(path)
        weight, bias = state.pop(f"{head}.weight"), state.pop(f"{head}.bias")
        named = {name.removeprefix(_STAGES): value for name, value in state.items()}
        wanted = backbone.stages.state_dict().keys()
        found = {k: v for k, v in backbone.translate(named).items() if k in wanted}
        backbone.stages.load_state_dict(found)
    except (WeightsError, ImportError, ValueError, KeyError, RuntimeError, OSError) as error:
        raise ModelFolderError(
            f"{path}: this network cannot be built here ({error}); install onnxruntime, or what "
            f"{manifest.network} needs: pip install 'transfer-lab[photos]'"
        ) from error
    return Classifier(backbone.eval(), weight, bias)


def _backbone(manifest: Manifest) -> Backbone:
    choice = Architecture(**manifest.backbone, module=manifest.module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = build_backbone(choice, manifest.image_size)
        if manifest.shaped_by:
            regime = Choice(**manifest.shaped_by)
            shape: Callable[..., object] = regime_class(regime)
            shape(backbone, len(manifest.classes), **regime.arguments)
    backbone.mean, backbone.std = manifest.mean, manifest.std
    return backbone
