"""Ways to choose a regime, what each choice loses to the best one, and how well times were said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from statistics import fmean, median
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.evidence.records import Record
from transfer_lab.advice.challengers.race import WORTH
from transfer_lab.advice.measured import Evidence, evidence
from transfer_lab.advice.promise.paired import Lead
from transfer_lab.stats.rules_of_thumb import RULE_AV, RULE_CS231N, Rule

SIMILAR = {"pacs_photo", "flowers", "scene15", "dtd", "cifar10"}
"""Tasks of photographs, as those that the network was trained on; the rest is drawn or signed."""
DEFAULT = "linear_probe lite0 224"
EARLY = "linear_probe, a stage earlier"
_RACED = ("clearly better", "likely better", "not clearly better")
_MEMBERS = {
    "linear_probe": DEFAULT,
    "partial_finetune": "partial_finetune lite0 160",
    "full_finetune": "full_finetune lite0 160",
    "linear_probe on an earlier stage": "linear_probe, a stage earlier",
}


Constants = Mapping[str, Evidence]
"""By task."""


class Regret(NamedTuple):
    """In points of mean recall, over draws: mean, and of the worst draw."""

    name: str
    mean: float
    worst: float
    draws: int


def _by_rule(rule: Rule) -> Callable[[Record], str]:
    def chosen(record: Record) -> str:
        likeness = "similar" if record["task"] in SIMILAR else "dissimilar"
        return _MEMBERS[rule["small", likeness]]

    return chosen


def advised(record: Record, constants: Constants = MappingProxyType({})) -> str:
    """What the race chooses of those that came to its end, by the constants for this task; where
    there are none of its own, by those that are shipped."""
    seen = constants.get(record["task"], evidence())
    expected = {
        name: Lead(points, se).expected(seen.gain(name.partition(" ")[0], record["earlier"][0]))
        for name, (state, points, se) in record["leads"].items()
        if state in _RACED and se is not None
    }
    best = max(expected, key=expected.__getitem__, default=None)
    return best if best is not None and expected[best] >= WORTH else DEFAULT


ADVICE = "the advice"
OTHERS: Mapping[str, Callable[[Record], str]] = {
    "always the probe": lambda _: DEFAULT,
    "always partial fine-tuning": lambda _: _MEMBERS["partial_finetune"],
    "always full fine-tuning": lambda _: _MEMBERS["full_finetune"],
    "rule of Analytics Vidhya": _by_rule(RULE_AV),
    "rule of CS231n": _by_rule(RULE_CS231N),
}


def regrets(records: Iterable[Record], constants: Constants = MappingProxyType({})) -> list[Regret]:
    """Of every policy: how far its choice is behind the truly best way on the same draw."""
    found = list(records)
    if not found:
        return []
    ours = _regret(ADVICE, partial(advised, constants=constants), found)
    return [ours, *(_regret(name, choose, found) for name, choose in OTHERS.items())]


class Speed(NamedTuple):
    """How near what was said of trainings came to what they took: of how many, the share within 30
    %, and the median of said over taken, before a fold was timed and as the advice says it."""

    name: str
    trainings: int
    within: float
    before: float
    said: float


NEAR = 0.3


def speeds(records: Iterable[Record]) -> list[Speed]:
    """Of every way to learn that is tried against the default, and of all of them."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in records:
        for name, seconds in one["seconds"].items():
            foretold, took = map(sum, zip(seconds["ready"], seconds["fit"], strict=True))
            pairs[name].append((foretold / took, seconds["said"] / took))
    every = [ratio for some in pairs.values() for ratio in some]
    return [_speed(name, found) for name, found in {**pairs, "all": every}.items() if found]


def _speed(name: str, ratios: list[tuple[float, float]]) -> Speed:
    before, said = zip(*ratios, strict=True)
    within = fmean(abs(ratio - 1) <= NEAR for ratio in said)
    return Speed(name, len(ratios), within, median(before), median(said))


def _regret(name: str, choose: Callable[[Record], str], records: list[Record]) -> Regret:
    losses = [100 * (max(one["truths"].values()) - one["truths"][choose(one)]) for one in records]
    return Regret(name, fmean(losses), max(losses), len(losses))
