"""A checkpoint as Lightning writes them, for the lab's LightningModule of the regime."""

from __future__ import annotations

import io

import lightning as L
import torch

from transfer_lab.advice.model.trained import HEAD, Trained

_STAGES = "backbone.stages."


def checkpoint_content(trained: Trained) -> bytes:
    """The file: `LinearProbe.load_from_checkpoint(file, backbone=...)` reads it, as any regime of
    the lab does its own. Tensors, numbers and text alone."""
    stages = trained.backbone.stages.state_dict()
    state = {f"{_STAGES}{name}": value.detach().cpu() for name, value in stages.items()}
    state |= {f"{HEAD}.weight": trained.weight.cpu(), f"{HEAD}.bias": trained.bias.cpu()}
    content = {
        "state_dict": state,
        "hyper_parameters": {"num_classes": len(trained.classes), **trained.options},
        "classes": list(trained.classes),
        "epoch": 0,
        "global_step": 0,
        "loops": {},
        "pytorch-lightning_version": L.__version__,
    }
    written = io.BytesIO()
    torch.save(content, written)
    return written.getvalue()
