"""What the advice would have said of every draw, by given constants, against what is true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from benchmarks.evidence.records import Record
from transfer_lab.advice.advice import Promise
from transfer_lab.advice.measured import Evidence
from transfer_lab.advice.promise.more_images import forecast
from transfer_lab.advice.promise.paired import Lead
from transfer_lab.advice.promise.promise import LEVEL, learnt_from_all
from transfer_lab.advice.promise.steepness import corrected
from transfer_lab.stats.intervals import wilson


class Judged(NamedTuple):
    """A draw in points: promised, its ends, true; and for each factor the gain that was forecast
    and the true one."""

    value: float
    low: float
    high: float
    truth: float
    gains: tuple[tuple[float, float], ...]
    ece: float
    ece_plain: float

    @property
    def covered(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high

    @property
    def disappoints(self) -> bool:
        """Whether the truth lies below the interval."""
        return self.truth < self.low


class Row(NamedTuple):
    """Of a task, or of all."""

    name: str
    draws: int
    bias: float
    coverage: float
    below: float
    half: float
    gain_errors: tuple[float | None, ...]
    ece: float
    ece_plain: float


def judged(record: Record, constants: Evidence) -> Judged:
    """One draw, by the formulas of the advice."""
    law = constants.exponent()
    if "lead" in record:
        lead = Lead(record["lead"], record["lead_se"])
        times = record["learnt"] / record["half_learnt"]
        law = corrected(1 - record["cv"], lead, times, constants=constants)
    value = learnt_from_all(record["cv"], record["learnt"], law.mean)
    worth = record["worth"] / constants.dependence
    low, high = wilson(value, worth, LEVEL)
    said = Promise(
        metric="mean_recall",
        value=value,
        low=low,
        high=high,
        level=LEVEL,
        accuracy=value,
        protocol="",
        n_effective=worth,
        majority=record["majority"],
        exponent=law.mean,
        exponent_spread=law.spread,
    )
    factors = (2.0, 5.0)[: len(record["grown"])]
    more = forecast(said, factors)
    gains = tuple(
        (100 * (one.value - value), 100 * (true - record["truth"]))
        for one, true in zip(more, record["grown"], strict=True)
    )
    ends = (100 * end for end in (value, low, high, record["truth"]))
    return Judged(*ends, gains, record["ece"], record["ece_plain"])


def row(name: str, found: Sequence[Judged]) -> Row:
    """Of these draws. Gain errors: the mean distance of a forecast gain from the true one."""
    errors = []
    for place in range(2):
        pairs = [one.gains[place] for one in found if len(one.gains) > place]
        errors.append(fmean(abs(said - true) for said, true in pairs) if pairs else None)
    return Row(
        name,
        len(found),
        fmean(one.value - one.truth for one in found),
        100 * fmean(one.covered for one in found),
        100 * fmean(one.disappoints for one in found),
        fmean((one.high - one.low) / 2 for one in found),
        tuple(errors),
        fmean(one.ece for one in found),
        fmean(one.ece_plain for one in found),
    )


def by_task(records: Iterable[Record]) -> dict[str, list[Record]]:
    """In the order of their first draw."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record["task"]].append(record)
    return dict(found)


def rows(records: Mapping[str, list[Record]], constants: Mapping[str, Evidence]) -> list[Row]:
    """One a task, each by the constants that hold for it."""
    return [
        row(task, [judged(one, constants[task]) for one in found])
        for task, found in records.items()
    ]


def every_draw(
    records: Mapping[str, list[Record]], constants: Mapping[str, Evidence]
) -> list[Judged]:
    """Of all tasks, each by the constants that hold for it."""
    return [judged(one, constants[task]) for task, found in records.items() for one in found]
