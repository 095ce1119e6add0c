"""How far the training subsets of different seeds overlap, and what that hides, in words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from transfer_lab.reporting.study import Study
from transfer_lab.stats.overlap import understated

FREE = 0.2
"""The overlap up to which the factor is not worth a word."""


def overlaps(study: Study) -> dict[str, float]:
    """The share of a subset's images that another seed's holds as well, by scenario: as recorded;
    where it is not, by the images per class of subset and pool, if the experiment tells them."""
    recorded = study.done["subset_overlap"].groupby(study.done["scenario"]).max().dropna()
    told = {name: recorded.get(name, _asked(study, name)) for name in study.scenarios}
    return {name: float(share) for name, share in told.items() if share is not None}


def _asked(study: Study, name: str) -> float | None:
    scenario = study.experiment.scenarios[name]
    if scenario.per_class == "all":
        return 1.0
    pool = study.experiment.domains[scenario.target].options.get("train_per_class")
    return min(1.0, scenario.per_class / pool) if isinstance(pool, int) and pool > 0 else None


def said(study: Study) -> Iterator[str]:
    """What the protocol says of it; nothing where there is one seed, or no overlap is known."""
    known, seeds = overlaps(study), len(study.experiment.seeds)
    if not known or seeds < 2:
        return
    yield (
        f"Seeds draw their training subsets from one pool of the target, so that two of them share "
        f"a part f of their images: {_grouped(known)}. Intervals over seeds hold for that pool. "
        "For new training images they understate the part of the variance that is due to which "
        "images are drawn (Nadeau and Bengio 2003)" + _factors(known, seeds)
    )


def _factors(known: dict[str, float], seeds: int) -> str:
    high = {name: understated(f, seeds) for name, f in known.items() if f > FREE}
    if not high:
        return f", by a factor of less than {understated(FREE, seeds):.1f} here."
    finite = {name: factor for name, factor in high.items() if not math.isinf(factor)}
    same = [name for name in high if name not in finite]
    text = ""
    if finite:
        of = "; ".join(f"{factor:.1f} in {name}" for name, factor in finite.items())
        text += f", with {seeds} seeds by the factor 1 + {seeds} f / (1 - f): {of}"
    if same:
        text += f", and say nothing of it in {', '.join(same)}, where every seed learns from all"
    return text + ". The part of initialisation and order is not touched by it."


def _grouped(known: dict[str, float]) -> str:
    names: dict[str, list[str]] = defaultdict(list)
    for name, share in known.items():
        names[f"{100 * share:.0f} %" if share == 0 or share > 0.01 else "1 % or less"].append(name)
    return "; ".join(f"{share} in {', '.join(where)}" for share, where in names.items())
