"""What is measured: timings, ratios, targets. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeats; `projected` says from what, where the whole was not run."""

    seconds: tuple[float, ...]
    projected: str = ""

    def __post_init__(self):
        if not self.seconds or min(self.seconds) <= 0:
            raise ValueError(f"a timing needs positive seconds, not {self.seconds}")

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return median(self.seconds)


@dataclass(frozen=True)
class Target:
    """A bound on a figure."""

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Whether the value keeps to it."""
        return value >= self.bound if self.at_least else value <= self.bound

    def told(self, unit: str) -> str:
        """'>= 12x', '<= 10 s'."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g}{_suffix(unit)}"


@dataclass(frozen=True)
class Figure:
    """One row of the table: a cell, how long the baseline and the lab took, and what follows.

    `baseline_name` says what the lab is compared with; `value` in `unit` is what the target is
    about.
    """

    cell: str
    value: float
    unit: str = "x"
    baseline_name: str = ""
    baseline: Timing | None = None
    ours: Timing | None = None
    accuracy_baseline: float | None = None
    accuracy_ours: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met; empty without one."""
        if self.target is None:
            return ""
        return "met" if self.target.met(self.value) else "not met"

    @property
    def told(self) -> str:
        """The value as people read it."""
        digits = 1 if self.value >= 10 else 2
        return f"{self.value:,.{digits}f}{_suffix(self.unit)}"


@dataclass(frozen=True)
class Detail:
    """A further table that explains a figure."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Result:
    """What a part of the benchmark found."""

    figures: tuple[Figure, ...]
    details: tuple[Detail, ...] = ()


def at_least(bound: float) -> Target:
    """The more the better."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """The less the better."""
    return Target(bound, at_least=False)


def ratio(over: Timing, under: Timing) -> float:
    """Median of the ratios of interleaved repeats; ratio of the medians where they do not pair."""
    if len(over.seconds) == len(under.seconds):
        return median(a / b for a, b in zip(over.seconds, under.seconds, strict=True))
    return over.median / under.median


def mean(values: Sequence[float]) -> float | None:
    """The mean; None without values."""
    return sum(values) / len(values) if values else None


def _suffix(unit: str) -> str:
    return unit if unit == "x" else f" {unit}"
