"""What is looked at, as the address says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from transfer_lab.reporting.study import Study

AXES = ("scenario", "backbone", "regime")
MOST_EXPERIMENTS = 8
"""That stand side by side."""

Query = Mapping[str, Sequence[str]]
"""The parameters of an address, each with all its values."""


@dataclass(frozen=True)
class Selection:
    """Experiments by name, and what is looked at on each axis; an axis that is absent is looked at
    as a whole. Seeds are those that means are over."""

    experiments: tuple[str, ...]
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seeds: frozenset[int] = frozenset()

    @classmethod
    def of(cls, query: Query, known: Iterable[str], default: str | None) -> Selection:
        """What a query asks for, of what there is; the default where it names no experiment."""
        asked = dict.fromkeys(query.get("experiment", ()))
        names = [name for name in known if name in asked][:MOST_EXPERIMENTS]
        if not names and default is not None:
            names = [default]
        wanted = {axis: frozenset(query[axis]) for axis in AXES if query.get(axis)}
        seeds = frozenset(int(s) for s in query.get("seed", ()) if s.isascii() and s.isdecimal())
        return cls(tuple(names), wanted, seeds)

    def keeps(self, axis: str, value: str) -> bool:
        """Whether a value of an axis is looked at."""
        return axis not in self.wanted or value in self.wanted[axis]

    def scenarios(self, study: Study) -> tuple[str, ...]:
        """Those that are looked at, as in the 2 x 2 matrix."""
        return tuple(name for name in study.scenarios if self.keeps("scenario", name))

    def backbones(self, study: Study) -> tuple[str, ...]:
        """Those that are looked at."""
        return tuple(name for name in study.backbones if self.keeps("backbone", name))

    def regimes(self, study: Study) -> tuple[str, ...]:
        """Those that are looked at, the controls last."""
        return tuple(name for name in study.regimes if self.keeps("regime", name))

    def has_any(self, study: Study) -> bool:
        """Whether anything of a study is left."""
        return all((self.scenarios(study), self.backbones(study), self.regimes(study)))

    def keeps_place(self, scenario: str, backbone: str, regime: str) -> bool:
        """Whether a place of the matrix is looked at."""
        values = zip(AXES, (scenario, backbone, regime), strict=True)
        return all(self.keeps(axis, value) for axis, value in values)
