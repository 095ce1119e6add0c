"""LEEP (Nguyen et al. 2020): how well a source classifier's outputs predict the target's labels."""

from __future__ import annotations

import numpy as np

from transfer_lab.similarity.samples import DegenerateError, checked


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean log-likelihood of the target's labels under P(label | source class), at most 0.

    `probabilities`: (n, source classes), rows sum to 1. A source class that gets no mass adds
    nothing. Raises DegenerateError.
    """
    given = checked(probabilities, "the source classifier's outputs")
    if (given < 0).any() or not np.allclose(given.sum(1), 1, atol=1e-4):
        raise DegenerateError("the source classifier's outputs are no probabilities")
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(codes) != len(given) or len(classes) < 2:
        raise DegenerateError("a label for each image, and two classes, are needed")
    joint = np.eye(len(classes))[codes].T @ given / len(given)
    mass = joint.sum(0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    return float(np.log((given * conditional[codes]).sum(1)).mean())
