"""Where the time of the default grid goes on both sides, and the least that its operations take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.ceilings import DTYPES, ceilings
from benchmarks.figures import Detail
from benchmarks.operations import Operations, operations
from transfer_lab.experiment.spec import Run
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_domain, build_regime

Lots = Sequence[Sequence[Run]]
"""Runs, in lots that take equally many operations."""

_HEAD = ("regime", "runs", "plain, s", "ours, s", "of these testing, s", "plain over ours")
_HEAD += ("operations alone, s", "of ours")
_REST = "validation, images, frozen outputs, imports, report, waiting"


@dataclass(frozen=True)
class Share:
    """Some runs of a grid: seconds of the plain script, of our fits and tests with the workers
    side by side, of the tests among these, and what their operations take at the best rate."""

    runs: int
    plain: float
    ours: float
    testing: float
    least: float

    @property
    def row(self) -> tuple[str, ...]:
        """For a table."""
        return (
            str(self.runs),
            *(f"{seconds:.1f}" for seconds in (self.plain, self.ours, self.testing)),
            f"{self.plain / self.ours:.1f}x",
            f"{self.least:.1f}",
            f"{self.least / self.ours:.0%}",
        )


@dataclass(frozen=True)
class Profile:
    """Shares by regime, the source runs' among them; `whole` is all that the grid took."""

    shares: Mapping[str, Share]
    whole: Share
    rate: float

    @property
    def told(self) -> str:
        """What bounds the ratio."""
        return (
            f"the operations of fits, validations and tests alone take {self.whole.least:.0f} s at "
            f"the best rate, which would be {self.whole.plain / self.whole.least:.1f}x"
        )

    @property
    def detail(self) -> Detail:
        """The table; what falls into no fit and no test has a row of its own."""
        plain, ours, least = (f"{self._rest(name):.1f}" for name in ("plain", "ours", "least"))
        return Detail(
            "Where the default grid's time goes (by regime the plain script's holds validation, "
            "and ours has it below); operations without those of frozen outputs, at best "
            f"{self.rate / 1e9:,.0f} GFLOP/s",
            _HEAD,
            (
                *((name, *share.row) for name, share in self.shares.items()),
                (_REST, "", plain, ours, "", "", least, ""),
                ("all", *self.whole.row),
            ),
        )

    def _rest(self, name: str) -> float:
        return getattr(self.whole, name) - sum(getattr(s, name) for s in self.shares.values())


def profile(
    lots: Mapping[str, Lots],
    plain: Mapping[str, float],
    store: RecordStore,
    totals: tuple[float, float],
    workers: int,
    *,
    quick: bool,
) -> Profile:
    """Of runs by regime, on a store that so many workers have filled; `plain` are the plain
    script's seconds by regime, `totals` its seconds and ours of the whole grid."""
    first = next(iter(lots.values()))[0][0]
    rate = ceilings(DTYPES[store.get(first.id).precision], quick=quick).operations
    shares, validating = {}, 0.0
    for name, some in lots.items():
        counted = [(len(lot), _operations(lot[0], store)) for lot in some]
        validating += sum(count * each.validation for count, each in counted) / rate
        least = sum(count * (each.fit + each.test) for count, each in counted) / rate
        fitting, testing = _seconds(some, store, workers)
        runs = sum(map(len, some))
        shares[name] = Share(runs, plain[name], fitting + testing, testing, least)
    runs, testing, least = (
        sum(getattr(s, name) for s in shares.values()) for name in ("runs", "testing", "least")
    )
    return Profile(shares, Share(runs, *totals, testing, least + validating), rate)


def _seconds(lots: Lots, store: RecordStore, workers: int) -> tuple[float, float]:
    """Of fitting and of testing, workers side by side."""
    records = [store.get(run.id) for lot in lots for run in lot]
    fitting = sum(record.fit_seconds / record.together for record in records) / workers
    return fitting, sum(record.eval_seconds for record in records) / workers


def _operations(run: Run, store: RecordStore) -> Operations:
    domain = build_domain(run, store.root / IMAGES)
    return operations(build_regime(run, domain, store), domain, run.fit)
