"""Intervals of a share, which lies between 0 and 1."""

from __future__ import annotations

import math

from transfer_lab.stats.estimates import Estimate


def share_interval(found: Estimate, level: float = 0.95) -> tuple[float, float] | None:
    """Ends of Wilson's interval of a mean of zeros and ones over seeds and images, within 0 and 1;
    None unless both errors are known.

    The variance as measured is p (1 - p) over an effective number of images: what the spread of
    seeds and the images that they share leave of them. Every share is held from which the measured
    one is no farther than its own error at that number allows. It is never narrower than Wilson's
    of one network on these images, so that 0 and 100 % of few images are not taken for certain.
    """
    from scipy.special import ndtri

    if not found.known:
        return None
    tail, p = (1 - level) / 2, found.mean
    least = float(ndtri(tail)) ** 2 / found.images
    inverse = max(least, found.reach(tail) ** 2 / (p * (1 - p))) if 0 < p < 1 else least
    centre = (p + inverse / 2) / (1 + inverse)
    half = math.sqrt(inverse * p * (1 - p) + inverse**2 / 4) / (1 + inverse)
    return max(0.0, centre - half), min(1.0, centre + half)
