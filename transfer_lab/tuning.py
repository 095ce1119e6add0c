"""The search of a tuned run: every trial from the same seed, chosen by validation alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from transfer_lab.fitting import Ledger
from transfer_lab.spec import Run
from transfer_lab.timing import NonFiniteLossError
from transfer_lab.trials import Trial, choose, trial_of


class Search(NamedTuple):
    """All trials of a run, in the order of its options, and the place of the chosen one."""

    trials: tuple[Trial, ...]
    place: int | None

    @property
    def chosen(self) -> Trial:
        """The trial that validation chose; raises NonFiniteLossError if all have diverged."""
        if self.place is None:
            raise NonFiniteLossError(f"all {len(self.trials)} trials diverged")
        return self.trials[self.place]

    @property
    def seconds(self) -> float:
        """What fitting all trials took."""
        return sum(trial.seconds for trial in self.trials)


def search(run: Run, fit: Callable[[Run, Ledger], None]) -> Search:
    """Try each of the run's options; `fit` trains and validates one untuned run.

    A trial that diverges loses and ends no other. Any other error ends the search.
    """
    trials = tuple(_tried(run, options, fit) for options in run.tune)
    return Search(trials, choose(trials))


def _tried(run: Run, options: dict, fit: Callable[[Run, Ledger], None]) -> Trial:
    ledger = Ledger()
    try:
        fit(run.trial(options), ledger)
    except NonFiniteLossError:
        last = ledger.curve.last
        reached = (last.get("epoch", 0), last.get("steps", 0))
        return Trial(options, None, None, *reached, ledger.clock.read(), "diverged")
    return trial_of(options, ledger.curve.last, ledger.clock.seconds)
