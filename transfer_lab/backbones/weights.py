"""Backbone weights: found, verified by hash, read without unpickling, loaded stage by stage."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.hub import Published
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.packaged import PackagedWeights, packaged_as
from transfer_lab.system.files import WeightsError, write_atomically
from transfer_lab.system.network import reachable

_HEAD = "head."
"""What the names of a head's tensors begin with; those of stages with their number."""
_NESTED = ("state_dict", "model", "model_state_dict")
_OPTIONAL = "num_batches_tracked"
_NAMED = 12


def save_weights(backbone: Backbone, path: Path, head: nn.Module | None = None) -> str:
    """Write all parameters and buffers of the stages, and of the head behind them, to one file;
    returns its SHA-256."""
    state = dict(backbone.stages.state_dict())
    if head is not None:
        state |= {f"{_HEAD}{key}": value for key, value in head.state_dict().items()}
    content = save({key: value.contiguous().cpu() for key, value in state.items()})
    write_atomically(path, lambda handle: handle.write(content))
    return hashlib.sha256(content).hexdigest()


def load_stages(backbone: Backbone, stages: Collection[int], path: Path, sha256: str) -> None:
    """Load these stages, by index, of a lab's own file bit for bit and leave the others alone.

    Raises WeightsError, with the file, if it is missing, if its hash is another, or if its tensors
    do not match the stages', which are then listed.
    """
    _insert(backbone, stages, read_state(path, sha256), path)


def load_head(path: Path, sha256: str) -> tuple[Tensor, Tensor]:
    """Weight (classes, features) and bias (classes) of the linear head in a lab's own file.

    Raises WeightsError, with the file, if there is none, or as `load_stages` does.
    """
    state = read_state(path, sha256)
    try:
        return state[f"{_HEAD}weight"], state[f"{_HEAD}bias"]
    except KeyError as missing:
        raise WeightsError(f"{path}: holds no linear head ({missing} is missing)") from missing


def load_whole(backbone: Backbone, head: nn.Module, path: Path, sha256: str) -> None:
    """Load all stages and the head behind them from a lab's own file; raises WeightsError as
    `load_stages` does, and where the head is another."""
    state = read_state(path, sha256)
    _insert(backbone, range(len(backbone.stages)), state, path)
    own = {k.removeprefix(_HEAD): v for k, v in state.items() if k.startswith(_HEAD)}
    try:
        head.load_state_dict(own)
    except RuntimeError as error:
        raise WeightsError(f"{path}: holds another head ({error})") from error


def load_published(backbone: Backbone, stages: Collection[int], weights: Weights) -> None:
    """Load these stages, by index, from ready-made weights, whose names the backbone translates.

    Raises WeightsError as `load_stages` does.
    """
    path, state = published_state(backbone, weights)
    _insert(backbone, stages, state, path)


def check_published(backbone: Backbone, weights: Weights) -> None:
    """Raise WeightsError if the weights cannot be read or do not fit every stage.

    The backbone may be on the meta device.
    """
    path, state = published_state(backbone, weights)
    _check(backbone, range(len(backbone.stages)), state, path)


def published_state(backbone: Backbone, weights: Weights) -> tuple[Path, dict[str, Tensor]]:
    """The file, and its tensors under the backbone's own names; raises WeightsError."""
    if weights.origin == "package":
        return _packaged_state(backbone, packaged_as(weights.sha256))
    path, prefix = find(backbone, weights)
    state = read_state(path, prefix)
    try:
        own = backbone.translate(state)
    except (KeyError, ValueError, IndexError) as error:
        if matched := _in_order(backbone, state, path):
            return path, matched
        raise WeightsError(f"{path}: not weights of this backbone ({error})") from error
    if not _shared(backbone, own):
        own = _in_order(backbone, state, path) or own
    return path, own


def find(backbone: Backbone, weights: Weights, *, download: bool = False) -> tuple[Path, str]:
    """The weights' file and the beginning of its SHA-256.

    With `download`, published weights that are not there are fetched. Raises WeightsError, with
    what to fetch and where to put it, if there is no file.
    """
    if weights.origin == "file":
        return Path(weights.path), weights.sha256
    if weights.origin == "package":
        held = packaged_as(weights.sha256)
        return held.find(), held.sha256
    published = backbone.published
    if published is None:
        raise WeightsError(
            "there are no ImageNet weights for this backbone with these options; name a file "
            "instead: pretrained: {file: PATH}"
        )
    path = published.find()
    if path is None:
        path = _fetch(published) if download else None
    if path is None:
        way_out = (
            f"{published.url} cannot be reached from here; put the file there by hand"
            if download
            else f"fetch {published.url} with --download, or put the file there"
        )
        told = f"the ImageNet weights are not on this machine: {published.place} is missing"
        raise WeightsError(f"{told}; {way_out}")
    # What an experiment was read with; where that named no content, the file is held to its name.
    return path, weights.sha256 or published.sha256_prefix


def _shared(backbone: Backbone, state: Mapping[str, Tensor]) -> bool:
    """Whether any name is that of a tensor of the stages."""
    return any(name in state for name in backbone.stages.state_dict())


def _packaged_state(backbone: Backbone, held: PackagedWeights) -> tuple[Path, dict[str, Tensor]]:
    """The file, and its tensors: by the names that the backbone translates, or matched by order,
    which is known to be the network's.

    Raises WeightsError unless each has its partner's kind and shape, and what is left over is the
    linear classifier behind the features.
    """
    path = held.find()
    try:
        state = read_state(path, held.sha256)
    except WeightsError as error:
        raise WeightsError(f"{error}; {held.way_out}") from error
    if not held.in_order:
        return path, backbone.translate(state)
    pairs = _pairs(backbone, state)
    left = [(name, value) for name, value in state.items() if _matters(name)][len(pairs) :]
    classifier = [(name.rpartition(".")[2], value.shape[1:]) for name, value in left]
    if not pairs or classifier != [("weight", (backbone.num_features,)), ("bias", ())]:
        raise WeightsError(
            f"{path}: its {len(state)} tensors are not one by one this backbone's in order, kind "
            f"and shape, and then a linear classifier of {backbone.num_features} features"
        )
    return path, {own: state[other] for own, other in pairs}


def _in_order(
    backbone: Backbone, state: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor] | None:
    """The stages' tensors from a file of wholly other names, matched by their order, and said so;
    None unless all match.

    What a file holds behind them, as a classifier, is left out. A .safetensors file keeps no order.
    """
    pairs = [] if _is_safetensors(path) else _pairs(backbone, state)
    if not pairs:
        return None
    (_, first), (_, last) = pairs[0], pairs[-1]
    warnings.warn(
        f"{path}: its tensors have other names than this backbone's; all {len(pairs)} were matched "
        f"by order, kind and shape, {first} to {last}. Make sure that it is the same architecture",
        stacklevel=2,
    )
    return {own: state[other] for own, other in pairs}


def _pairs(backbone: Backbone, state: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Each of the stages' tensors and that of the file at the same place, by name; none unless
    all have the shape and the kind (weight, bias, running_mean, ...) of their partners."""
    wanted = [item for item in backbone.stages.state_dict().items() if _matters(item[0])]
    given = [item for item in state.items() if _matters(item[0])]
    pairs = list(zip(wanted, given, strict=False))
    if len(pairs) < len(wanted) or not all(_alike(*own, *other) for own, other in pairs):
        return []
    return [(own, other) for (own, _), (other, _) in pairs]


def _matters(name: str) -> bool:
    return not name.endswith(_OPTIONAL)


def _alike(name: str, tensor: Tensor, other: str, found: Tensor) -> bool:
    kinds = {name.rpartition(".")[2], other.rpartition(".")[2]}
    return len(kinds) == 1 and tensor.shape == found.shape


def read_state(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a state dict in a .pth file, never unpickled.

    `sha256`: the hash, or its beginning. Raises WeightsError.
    """
    try:
        stamp = path.stat()
    except OSError as problem:
        raise WeightsError(f"{path}: cannot read the weights ({problem.strerror})") from problem
    return dict(_read(path, sha256, stamp.st_mtime_ns, stamp.st_size))


@lru_cache(maxsize=1)
def _read(path: Path, sha256: str, _mtime: int, _size: int) -> Mapping[str, Tensor]:
    """Once per process for as long as the file does not change."""
    try:
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as problem:
        raise WeightsError(f"{path}: cannot read the weights ({problem.strerror})") from problem
    if not digest.startswith(sha256):
        raise WeightsError(
            f"{path}: the weights' SHA-256 is not {sha256} but {digest}; the file is damaged or "
            "another one"
        )
    state = _safetensors(path) if _is_safetensors(path) else _pickled(path)
    if not state:
        raise WeightsError(f"{path}: no tensors in it")
    return state


def _is_safetensors(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(path.read_bytes())
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path}: truncated, or no safetensors file ({error})") from error


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign parser on a foreign file may raise anything
        reason = _refusal(error)
        raise WeightsError(
            f"{path}: truncated, or more than a state dict ({reason}); only tensors are read, "
            "never code: save model.state_dict(), best as .safetensors"
        ) from error
    for name in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__} and not a state dict")
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    return {key.removeprefix("module."): value for key, value in state.items()}


def _refusal(error: Exception) -> str:
    """Why torch did not read a file, without its advice to read it with code and all."""
    text = " ".join(str(error).split())
    if named := re.search(
        r"Unsupported (?:global|class|operand)[^A-Za-z]*(?:GLOBAL )?([\w.]+)", text
    ):
        return f"it asks for {named[1]}"
    if "weights_only" in text or "Weights only" in text:
        return "it is no plain state dict"
    return text[:200] or "empty"


def _insert(
    backbone: Backbone, stages: Collection[int], state: Mapping[str, Tensor], path: Path
) -> None:
    wanted = _check(backbone, stages, state, path)
    backbone.stages.load_state_dict({key: state[key] for key in wanted}, strict=False)


def _check(
    backbone: Backbone, stages: Collection[int], state: Mapping[str, Tensor], path: Path
) -> tuple[str, ...]:
    """The keys of these stages; raises WeightsError listing those that do not fit."""
    wanted = {
        key: value
        for key, value in backbone.stages.state_dict().items()
        if int(key.partition(".")[0]) in stages
    }
    # Counters that only matter to running statistics in training; older files lack them.
    present = {k: v for k, v in wanted.items() if k in state or not k.endswith(_OPTIONAL)}
    wrong = [
        f"{key} {_shape(state.get(key))} instead of {_shape(value)}"
        for key, value in present.items()
        if key not in state or state[key].shape != value.shape
    ]
    if not wrong:
        _check_numbers({key: (state[key], value) for key, value in present.items()}, path)
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise WeightsError(
            f"{path}: missing or of another shape: {', '.join(wrong[:_NAMED])}{more}; it holds "
            f"{len(state)} tensors for these stages{_told_names(wanted, state)}"
        )
    return tuple(present)


def _check_numbers(pairs: Mapping[str, tuple[Tensor, Tensor]], path: Path) -> None:
    """Raise WeightsError naming the tensors that hold no plain numbers of the kind that learns."""
    wrong = [f"{key} {kind}" for key, pair in pairs.items() if (kind := _unlike(*pair))]
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise WeightsError(
            f"{path}: tensors that hold no weights to learn from: {', '.join(wrong[:_NAMED])}{more}"
            "; save the model's state_dict() in floating point, dense and not quantised"
        )


def _unlike(found: Tensor, own: Tensor) -> str:
    """What a tensor is, if it cannot be copied into another one without becoming something else."""
    if found.is_meta:
        return "without content (meta)"
    if found.is_quantized:
        return "quantised"
    if found.layout != torch.strided:
        return f"sparse ({found.layout})"
    fits = found.is_floating_point() if own.is_floating_point() else found.dtype == own.dtype
    # Of the 8-bit floats there are some that torch converts and none that anything was trained in.
    if fits and found.element_size() > 1:
        return ""
    return f"{found.dtype} instead of {own.dtype}".replace("torch.", "")


def _told_names(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What to do where no name of a file is known."""
    if not state or any(name in state for name in wanted):
        return ""
    first = next(iter(state))
    return (
        f", of other names (as {first}). Rename them to these, or save the model's state_dict() as "
        "a .pth file in the order of its layers: then they are matched by order and shape"
    )


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"


def _fetch(published: Published) -> Path | None:
    if not reachable(published.url):
        return None
    try:
        return published.fetch()
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{published.url}: cannot be downloaded ({error})") from error
