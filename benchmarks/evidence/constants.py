"""Constants of the advice, from what was measured on the data sets that they are chosen on."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, linear_regression, stdev, variance
from types import MappingProxyType

from benchmarks.evidence.judged import judged
from benchmarks.evidence.policies import DEFAULT, EARLY
from benchmarks.evidence.records import Record
from transfer_lab.advice.measured import Evidence, Exponent, Gains
from transfer_lab.advice.promise.promise import LEVEL

FACTORS = (2, 5)
_SETS = 3


def exponent_of(records: Iterable[Record]) -> float | None:
    """Of one task: how steeply mean error falls with images, over all sizes and factors alike."""
    found = []
    by_size: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_size[record["n"]].append(record)
    for same in by_size.values():
        for place, factor in enumerate(FACTORS):
            grown = [one for one in same if len(one["grown"]) > place]
            before = fmean([1 - one["truth"] for one in grown] or [0])
            after = fmean([1 - one["grown"][place] for one in grown] or [0])
            if before > 0 and after > 0:
                found.append(math.log(before / after) / math.log(factor))
    return fmean(found) if found else None


def exponents(by_task: Mapping[str, list[Record]]) -> dict[str, float]:
    """Of every task of which it can be told."""
    found = {task: exponent_of(records) for task, records in by_task.items()}
    return {task: one for task, one in found.items() if one is not None}


def law(found: Iterable[float]) -> Exponent:
    """Mean of tasks' exponents and their spread, which is taken to be half of the mean at least: a
    handful of sets, some of them akin, shows less than there is."""
    values = list(found)
    middle = fmean(values)
    return Exponent(mean=middle, spread=max(middle / 2, stdev(values) if len(values) > 1 else 0))


def lead_dependence(by_task: Mapping[str, list[Record]]) -> float | None:
    """How many times more leads over heads of halves vary between draws of one size than their
    standard errors say, at least 1; None where no size has two draws."""
    ratios = []
    for records in by_task.values():
        for size in {record["n"] for record in records}:
            same = [one for one in records if one["n"] == size and "lead" in one]
            expected = fmean([one["lead_se"] ** 2 for one in same] or [0])
            if len(same) > 1 and 0 < expected < math.inf:
                ratios.append(variance(one["lead"] for one in same) / expected)
    return max(1.0, math.sqrt(fmean(ratios))) if ratios else None


def tuned(
    known: Evidence,
    linear_probe: Exponent,
    leads: float,
    tuned_on: Iterable[str],
    ahead: Mapping[str, Gains] = MappingProxyType({}),
) -> Evidence:
    """What is shipped, with the default's law, `leads`, how its own steepness varies, and what
    other ways gain as they are now measured."""
    rounded = Exponent(mean=round(linear_probe.mean, 3), spread=round(linear_probe.spread, 3))
    return known.model_copy(
        update={
            "exponents": dict(known.exponents) | {"linear_probe": rounded},
            "lead_dependence": round(leads, 1),
            "gains": dict(known.gains) | dict(ahead),
            "tuned_on": tuple(sorted(tuned_on)),
        }
    )


def gains(records: Iterable[Record]) -> dict[str, Gains]:
    """Of every regime: points of mean recall that it truly is ahead of the default, on draws of
    tuning sets, and how that goes by what an earlier stage is ahead; of none where these are fewer
    than three sets, which say nothing of another.

    Spreads are those of another set, since neither mean nor line is known.
    """
    drawn = list(records)
    if len({record["task"] for record in drawn}) < _SETS:
        return {}
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for record in drawn:
        for name, truth in record["truths"].items():
            if name not in (DEFAULT, EARLY):
                gained = 100 * (truth - record["truths"][DEFAULT])
                found[name.partition(" ")[0]].append((record["earlier"][0], gained))
    return {regime: _gains(*zip(*pairs, strict=True)) for regime, pairs in sorted(found.items())}


def _gains(earlier: Sequence[float], gained: Sequence[float]) -> Gains:
    further = 1 / len(gained)
    line = linear_regression(earlier, gained)
    left = [y - line.intercept - line.slope * x for x, y in zip(earlier, gained, strict=True)]
    rest = math.sqrt(sum(one**2 for one in left) / (len(left) - 2) * (1 + 2 * further))
    known = {
        "mean": fmean(gained),
        "spread": stdev(gained) * math.sqrt(1 + further),
        "level": line.intercept,
        "slope": line.slope,
        "rest": rest,
        "least": min(earlier),
        "most": max(earlier),
    }
    return Gains(**{name: round(value, 3) for name, value in known.items()})


def as_wide_as_needed(known: Evidence, records: Sequence[Record]) -> Evidence:
    """With the least dependence, in tenths, of which intervals hold as many of these truths as they
    say; after a switch it is larger in the same proportion as before."""
    more = known.dependence_after_switch / known.dependence
    for tenths in range(10, 31):
        found = known.model_copy(
            update={
                "dependence": tenths / 10,
                "dependence_after_switch": round(more * tenths / 10, 1),
            }
        )
        if fmean(judged(record, found).covered for record in records) >= LEVEL:
            break
    return found


def write(path: Path, found: Evidence) -> None:
    """evidence.json."""
    path.write_text(json.dumps(found.model_dump(), indent=2) + "\n", encoding="utf-8")
