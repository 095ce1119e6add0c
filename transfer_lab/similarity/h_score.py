"""H-score (Bao et al. 2019) with shrunk covariance (Ibrahim et al. 2021), so defined for n < D."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

from transfer_lab.similarity.samples import labelled


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """tr(S^-1 B): S the Ledoit-Wolf covariance of the features, B that of their class means,
    shrunk as much; between 0 and the number of classes less one.

    Raises DegenerateError on one class or constant features.
    """
    features, codes = labelled(features, labels)
    n, d = features.shape
    centred = features - features.mean(0)
    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    # Class means lie in the span of the images, so the inverse is needed there alone.
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    spectrum = singular**2 / n
    shrunk = (1 - shrinkage) * spectrum + shrinkage * spectrum.sum() / d
    scores = left * singular
    between = np.zeros(len(singular))
    for code in range(codes.max() + 1):
        members = scores[codes == code]
        between += len(members) / n * members.mean(0) ** 2
    seen = shrunk > 1e-12 * shrunk.max()
    return float(((1 - shrinkage) * between[seen] / shrunk[seen]).sum())
