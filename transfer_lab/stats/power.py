"""What a design could have seen: detectable differences, and the seeds that would do."""

from __future__ import annotations

import math

from transfer_lab.stats.estimates import Estimate

MOST_SEEDS = 1000
_QUANTILES = 400


def detectable(found: Estimate, tail: float, power: float = 0.8) -> float | None:
    """The smallest true mean that a one-sided test at `tail` would find with this probability,
    at the spread, seeds and images of `found`; None unless both errors are known.

    The seeds' estimated variance varies from one experiment to the next as chi-squared does.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import gammaincinv, ndtr, stdtrit

    if not found.known:
        return None
    error = math.sqrt(found.over_seeds + found.over_images)
    if error == 0:
        return 0.0
    freedom = found.freedom
    evenly = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    estimated = found.over_seeds * 2 * gammaincinv(freedom / 2, evenly) / freedom
    needed = np.sqrt(
        stdtrit(freedom, tail) ** 2 * estimated
        + stdtrit(found.images - 1, tail) ** 2 * found.over_images
    )
    return float(
        brentq(lambda d: ndtr((d - needed) / error).mean() - power, 0, 10 * error + needed.max())
    )


def seeds_needed(found: Estimate, bound: float, tail: float) -> int | None:
    """Seeds, more than there are, from which a mean of this distance from `bound` would be told
    from it at the present spread; None where the errors are unknown or 1,000 would not do."""
    import numpy as np
    from scipy.special import stdtrit

    if not found.known:
        return None
    n = np.arange(found.seeds + 1, MOST_SEEDS + 1)
    seeds = stdtrit(n - 1 + found.borrowed, tail) ** 2 * found.over_seeds * found.seeds / n
    enough = np.flatnonzero(seeds + _image_part(found, tail) < (found.mean - bound) ** 2)
    return int(n[enough[0]]) if len(enough) else None


def images_suffice(found: Estimate, bound: float, tail: float) -> bool:
    """Whether the test set alone would let many seeds tell the mean from `bound`."""
    return found.known and _image_part(found, tail) < (found.mean - bound) ** 2


def _image_part(found: Estimate, tail: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(found.images - 1, tail)) ** 2 * found.over_images
