"""How steeply error falls with images: what other data sets let one expect, corrected by the
photographs themselves."""

from __future__ import annotations

import math

import numpy as np

from transfer_lab.advice.measured import Evidence, Exponent, evidence
from transfer_lab.advice.promise.paired import Lead, paired_lead
from transfer_lab.advice.promise.resampling import OutOfFold

_LEAST_ERROR, _LEAST_TIMES = 0.01, 1.1


def law(
    oof: OutOfFold, labels: np.ndarray, groups: np.ndarray, regime: str = "linear_probe"
) -> Exponent:
    """The exponent to expect of these photographs: that of other data sets where nothing was learnt
    from halves of them."""
    if oof.halves is None:
        return evidence().exponent(regime)
    right, half_right = ((one.answers == labels).mean(axis=0) for one in (oof, oof.halves))
    held = np.bincount(labels)
    recalls = np.bincount(labels, right)[held > 0] / held[held > 0]
    lead = paired_lead(right, half_right, labels, groups)
    return corrected(1 - float(recalls.mean()), lead, oof.learnt / oof.halves.learnt, regime)


def corrected(
    error: float,
    lead: Lead,
    times: float,
    regime: str = "linear_probe",
    *,
    constants: Evidence | None = None,
) -> Exponent:
    """The prior exponent and the one seen, each weighted by its precision.

    `error`: of the heads of folds; `lead`: of these over heads fitted on halves, in points, who
    had learnt so many times less. Where next to nothing is wrong nothing is seen.
    """
    constants = constants or evidence()
    prior = constants.exponent(regime)
    if error < _LEAST_ERROR or not math.isfinite(lead.se) or times < _LEAST_TIMES:
        return prior
    longer = math.log(times)
    ratio = max(1 + lead.points / 100 / error, 0.5)
    noise = constants.lead_dependence * lead.se / 100 / error / longer
    weight = prior.spread**2 / (prior.spread**2 + noise**2) if prior.spread > 0 else 0.0
    mean = prior.mean + weight * (math.log(ratio) / longer - prior.mean)
    return Exponent(mean=max(0.0, mean), spread=math.sqrt(1 - weight) * prior.spread)
