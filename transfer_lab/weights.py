"""Backbone weights between runs: safetensors, verified by hash, loaded stage by stage."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import load, save

from transfer_lab.backbones.base import Backbone
from transfer_lab.records import write_atomically


class WeightsError(RuntimeError):
    """A weights file that is missing, damaged, or of another architecture."""


def save_backbone(backbone: Backbone, path: Path) -> str:
    """Write all parameters and buffers of the stages; returns the file's SHA-256."""
    state = {key: value.contiguous().cpu() for key, value in backbone.stages.state_dict().items()}
    content = save(state)
    write_atomically(path, lambda handle: handle.write(content))
    return hashlib.sha256(content).hexdigest()


def load_stages(backbone: Backbone, count: int, path: Path, sha256: str) -> None:
    """Load the first `count` stages bit for bit and leave the others alone.

    Raises WeightsError, with the file, if it is missing, if its hash is another, or if its tensors
    do not match the stages', which are then listed.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise WeightsError(f"{path}: cannot read the weights ({problem.strerror})") from problem
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{path}: the weights' SHA-256 is not {sha256}; the file is damaged")
    stored = load(content)
    wanted = {
        key: value
        for key, value in backbone.stages.state_dict().items()
        if int(key.partition(".")[0]) < count
    }
    wrong = [k for k, v in wanted.items() if k not in stored or stored[k].shape != v.shape]
    if wrong:
        raise WeightsError(f"{path}: missing or of another shape: {', '.join(wrong)}")
    backbone.stages.load_state_dict({key: stored[key] for key in wanted}, strict=False)
