"""Test metrics of a run, from its logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_recall,
)


def test_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1, macro recall and log loss; how many classes are
    predicted at all, and the share of the commonest prediction.

    `logits` (n, classes), `labels` (n,). Macro means are over the classes that occur or
    are predicted.
    """
    classes = logits.shape[1]
    predicted = torch.bincount(logits.argmax(1), minlength=classes)
    each = {"num_classes": classes}
    return {
        "test_accuracy": multiclass_accuracy(logits, labels, average="micro", **each).item(),
        "test_balanced_accuracy": multiclass_accuracy(
            logits, labels, average="macro", **each
        ).item(),
        "test_macro_f1": multiclass_f1_score(logits, labels, average="macro", **each).item(),
        "test_macro_recall": multiclass_recall(logits, labels, average="macro", **each).item(),
        "test_log_loss": F.cross_entropy(logits, labels).item(),
        "predicted_classes": int((predicted > 0).sum()),
        "commonest_prediction": (predicted.max() / len(labels)).item(),
    }


def majority_accuracy(train: torch.Tensor, test: torch.Tensor) -> float:
    """Accuracy on `test` labels of always answering the most frequent `train` label."""
    return (test == torch.bincount(train).argmax()).float().mean().item()


def predictions(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, np.ndarray]:
    """Per test image: label, predicted class, and the label's log-probability."""
    log_probability = F.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    return {
        "label": labels.numpy().astype(np.uint16),
        "predicted": logits.argmax(1).numpy().astype(np.uint16),
        "label_log_probability": log_probability.numpy().astype(np.float16),
    }


def dead_share(model: nn.Module, inputs: Tensor) -> float | None:
    """The share of rectified units (of a map: channels) that no input makes positive.

    Of the layers that run on these inputs; a layer that runs several times counts as several.
    None where no rectified unit runs.
    """
    fires: list[Tensor] = []

    def note(_layer: nn.Module, _inputs: object, outputs: Tensor) -> None:
        channels_last = outputs.movedim(1, -1) if outputs.dim() == 4 else outputs
        fires.append((channels_last > 0).flatten(0, -2).any(0))

    rectified = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    hooks = [layer.register_forward_hook(note) for layer in rectified]
    try:
        _without_training(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return 1 - torch.cat(fires).float().mean().item() if fires else None


def _without_training(model: nn.Module, inputs: Tensor) -> None:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(inputs)
    model.train(was_training)
