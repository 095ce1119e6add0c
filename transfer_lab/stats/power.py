"""How many seeds would do."""

from __future__ import annotations

from transfer_lab.stats.estimates import Estimate

MOST_SEEDS = 1000


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
