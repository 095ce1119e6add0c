"""Test metrics of a run, from its logits."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_recall,
)


def test_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1, macro recall and log loss; how many classes are
    predicted at all, and the share of the commonest prediction.

    `logits` (n, classes), `labels` (n,). Macro means are over the classes that occur.
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
