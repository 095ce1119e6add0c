"""How long a grid still takes: what its runs should cost, corrected by what they do cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from transfer_lab.experiment.spec import Run

_ENOUGH_SECONDS, _ENOUGH_SHARE = 5.0, 0.01
"""Of the work, before anything is said of the rest."""
_WEIGHT = 3.0
"""Runs of its kind that the general rate counts as, for a kind of runs."""


class TimeLeft:
    """Measured rates of kinds of runs, and the work that is left.

    `costs`: seconds that each run should take, by id; only their proportions count, and a run that
    is not named costs as much as the others do on average. Runs that are fitted in one pass are
    measured as what they are: less than their sum.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        costs: Mapping[str, float],
        slots: int,
        now: Callable[[], float] = time.monotonic,
    ):
        known = [costs[run_id] for run_id in runs if costs.get(run_id)]
        usual = sum(known) / len(known) if known else 1.0
        self._costs = {run_id: costs.get(run_id) or usual for run_id in runs}
        self._kinds = {run_id: (_network(run), run.regime.kind) for run_id, run in runs.items()}
        self._slots, self._now, self._usual = max(1, slots), now, usual
        self._all, self._left = sum(self._costs.values()), dict(self._costs)
        self._seconds: dict[object, float] = {}
        self._done: dict[object, float] = {}

    def learnt(self, ids: Sequence[str], seconds: float) -> None:
        """Runs have ended that took so long together."""
        kind = self._kinds[ids[0]]
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
        self._done[kind] = self._done.get(kind, 0.0) + sum(self._costs[i] for i in ids)

    def gone(self, run_id: str) -> None:
        """A run that needs no more time, whatever came of it."""
        self._left.pop(run_id, None)

    def seconds(self, working: Mapping[Sequence[str], tuple[float, float | None]]) -> float | None:
        """Seconds until the last run has ended; None as long as nothing tells.

        `working`: runs in work by their ids, for how long, and the share of them that is done.
        """
        done, spent = sum(self._done.values()), sum(self._seconds.values())
        for ids, (since, share) in working.items():
            if share:
                done += share * sum(self._costs[i] for i in ids)
                spent += since
        if spent < _ENOUGH_SECONDS or done < _ENOUGH_SHARE * self._all:
            return None
        rate, total, longest = spent / done, 0.0, 0.0
        left = dict(self._left)
        for ids, (since, share) in working.items():
            whole = sum(left.pop(i, 0.0) * self._rate(i, rate) for i in ids)
            rest = since * (1 / share - 1) if share and share > 0.1 else max(0.0, whole - since)
            total, longest = total + rest, max(longest, rest)
        total += sum(cost * self._rate(run_id, rate) for run_id, cost in left.items())
        return max(longest, total / self._slots)

    def _rate(self, run_id: str, general: float) -> float:
        """Seconds for a second of cost, of this kind of runs; at first as of all."""
        kind, weight = self._kinds[run_id], _WEIGHT * self._usual
        done = self._done.get(kind, 0.0)
        return (self._seconds.get(kind, 0.0) + weight * general) / (done + weight)


def _network(run: Run) -> str:
    return run.backbone.canonical


def spoken(seconds: float) -> str:
    """A duration as people say it, coarse enough not to flicker."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 36 else f"{hours / 24:.1f} days"


def clock(seconds: float) -> str:
    """A duration as `0:01:12`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
