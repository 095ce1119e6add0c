"""A trained model to its folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_content
from torch import Tensor

from transfer_lab.advice.fitted import FittedModel
from transfer_lab.advice.model.card import card_content
from transfer_lab.advice.model.checkpoint import checkpoint_content
from transfer_lab.advice.model.experiment_file import experiment_content
from transfer_lab.advice.model.manifest import (
    ADVICE,
    CARD,
    CHECKPOINT,
    EXPERIMENT,
    FORMATS,
    ONNX,
    REFERENCE,
    TENSORS,
    TIMM_CONFIG,
    Format,
    Manifest,
    ModelFolderError,
    sha256_of,
)
from transfer_lab.advice.model.onnx_file import can_export, onnx_content
from transfer_lab.advice.model.place import replaced
from transfer_lab.advice.model.reference import reference, reference_content
from transfer_lab.advice.model.timm_layout import TimmLayout, timm_layout
from transfer_lab.advice.model.trained import HEAD, Trained, tensors
from transfer_lab.system import host


def save(
    fitted: FittedModel,
    folder: Path | str,
    *,
    formats: Collection[Format] = FORMATS,
    force: bool = False,
) -> Manifest:
    """Write the model whole or not at all, and return what its folder holds.

    A model that is there already is overwritten with `force` alone. ONNX is left out where the
    package `onnx` is not installed. Raises ModelFolderError.
    """
    folder = Path(folder)
    known = reference(fitted.features, fitted.groups)
    advice = fitted.advice.model_dump_json(by_alias=True, indent=2)
    beside = {REFERENCE: reference_content(known), ADVICE: advice.encode()}
    experiment = experiment_content(fitted.advice, fitted.network, str(folder / EXPERIMENT))
    if experiment is not None:
        beside[EXPERIMENT] = experiment

    def card(manifest: Manifest) -> bytes:
        return card_content(fitted.advice, fitted.network, manifest)

    return write_model(trained_of(fitted), folder, beside, card, formats=formats, force=force)


def write_model(
    trained: Trained,
    folder: Path,
    beside: Mapping[str, bytes],
    card: Callable[[Manifest], bytes],
    *,
    formats: Collection[Format] = FORMATS,
    force: bool = False,
) -> Manifest:
    """Write a trained network, what lies beside it, and the card that is made of what the folder
    then holds; as `save`."""
    chosen, layout = _available(formats), timm_layout(trained)
    files = {**dict(network_files(trained, layout, chosen)), **beside}
    with replaced(folder, force=force) as place:
        manifest = manifest_of(trained, layout, place, files)
        (place / CARD).write_bytes(card(manifest))
        manifest.write(place)
    return manifest


def write_tensors(state: Mapping[str, Tensor], folder: Path, beside: Mapping[str, bytes]) -> None:
    """Write a network that is no classifier of images by features and a linear head: its tensors,
    and what lies beside them. No model that `predict` takes; as `save` else."""
    held = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    files = {TENSORS: safetensors_content(held, metadata={"format": "pt"}), **beside}
    with replaced(folder) as place:
        for name, content in files.items():
            (place / name).write_bytes(content)


def trained_of(fitted: FittedModel) -> Trained:
    """What is written of it: the head gives calibrated probabilities by itself."""
    chosen = fitted.advice.recommendation
    return Trained(
        classes=fitted.classes,
        network=fitted.network.name,
        architecture=fitted.network.architecture,
        backbone=fitted.backbone,
        weight=torch.from_numpy(fitted.head.weight / fitted.temperature).float(),
        bias=torch.from_numpy(fitted.head.bias / fitted.temperature).float(),
        image_size=fitted.image_size,
        options=chosen.options if chosen else {},
    )


def network_files(
    trained: Trained, layout: TimmLayout | None, formats: Collection[Format]
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file that holds the network."""
    if "safetensors" in formats:
        head = layout.head if layout else HEAD
        told = {"format": "pt"}  # without it some readers refuse the file
        yield TENSORS, safetensors_content(tensors(trained, head), metadata=told)
        if layout:
            yield TIMM_CONFIG, layout.config
    if "onnx" in formats:
        yield ONNX, onnx_content(trained)
    if "checkpoint" in formats:
        yield CHECKPOINT, checkpoint_content(trained)


def manifest_of(
    trained: Trained, layout: TimmLayout | None, place: Path, files: Mapping[str, bytes]
) -> Manifest:
    """Write the files, and return what is to be said of them."""
    for name, content in files.items():
        (place / name).write_bytes(content)
    backbone = trained.backbone
    return Manifest(
        classes=trained.classes,
        network=trained.network,
        backbone=trained.architecture.model_dump(mode="json"),
        module=trained.architecture.module,
        shaped_by=trained.shaped_by,
        head=layout.head if layout else HEAD,
        timm=layout.architecture if layout else None,
        image_size=trained.image_size,
        mean=tuple(backbone.mean),
        std=tuple(backbone.std),
        files={name: sha256_of(place / name) for name in files},
        versions={name: host.version(name) for name in ("transfer_lab", "torch", "timm")},
    )


def _available(formats: Collection[Format]) -> tuple[Format, ...]:
    """The formats that can be written here, in their order; raises ModelFolderError where one is
    asked for by name that cannot."""
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise ModelFolderError(f"no format is called {unknown[0]}: choose of {', '.join(FORMATS)}")
    if can_export():
        return tuple(name for name in FORMATS if name in formats)
    if set(formats) == {"onnx"}:
        raise ModelFolderError(
            "onnx is not installed, which writes model.onnx: pip install 'transfer-lab[photos]'"
        )
    return tuple(name for name in FORMATS if name in formats and name != "onnx")
