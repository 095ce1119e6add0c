"""LEEP (Nguyen et al. 2020): how well a source classifier's outputs predict the target's labels."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from transfer_lab.similarity.samples import DegenerateError, checked, labelled

_COMPONENTS = 128


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


def refitted_head(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A linear source classifier, fitted on frozen features of source images, on target images.

    A stand-in for the head that a source run learnt and did not keep. Raises DegenerateError.
    """
    source, target = checked(source, "source features"), checked(target, "target features")
    _, codes = labelled(source, labels)
    model = make_pipeline(
        StandardScaler(),
        PCA(min(_COMPONENTS, *(side - 1 for side in source.shape)) or 1, svd_solver="randomized",
            random_state=0),
        LogisticRegression(C=0.01, max_iter=300),
    )  # fmt: skip
    return model.fit(source, codes).predict_proba(target)
