"""The search of a tuned run: every trial from the same seed, chosen by validation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from transfer_lab.activations import Computed
from transfer_lab.fitting import Ledger
from transfer_lab.spec import Run
from transfer_lab.timing import NonFiniteLossError
from transfer_lab.trials import Trial, choose, trial_of


class Search(NamedTuple):
    """All trials of a run, in the order of its options, and the place of the chosen one."""

    trials: tuple[Trial, ...]
    place: int | None

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> Search:
        """The trials, and the choice among them."""
        tried = tuple(trials)
        return cls(tried, choose(tried))

    @property
    def chosen(self) -> Trial:
        """The trial that validation chose; raises NonFiniteLossError if all have diverged."""
        if self.place is None:
            raise NonFiniteLossError(f"all {len(self.trials)} trials diverged")
        return self.trials[self.place]

    @property
    def seconds(self) -> float:
        """What fitting all trials took, and the frozen outputs that only the search needs."""
        return sum(trial.seconds + trial.feature_seconds for trial in self.trials)


def search(run: Run, fit: Callable[[Run, Ledger], None]) -> Search:
    """Try each of the run's options; `fit` trains and validates one untuned run.

    A trial that diverges loses and ends no other. Any other error ends the search.
    """
    ledgers = [Ledger() for _ in run.tune]
    tried = [_tried(run, *given, fit) for given in zip(run.tune, ledgers, strict=True)]
    return Search.of(charged(tried, [ledger.features for ledger in ledgers]))


def charged(
    trials: Sequence[Trial], features: Sequence[Mapping[Computed, float]]
) -> Iterator[Trial]:
    """The trials with the seconds of those frozen prefixes that they are the first to need, but
    for what the final fit pays.

    That is the chosen trial's, on all labelled images. Where training images are augmented no
    trial computes them once, nor does the final fit, and it has no validation images.
    """
    place = choose(trials)
    final = {} if place is None else features[place]
    paid = {prefix for prefix, section in final if section == "train"}
    for trial, costs in zip(trials, features, strict=True):
        own = sum(seconds for (prefix, _), seconds in costs.items() if prefix not in paid)
        paid |= {prefix for prefix, _ in costs}
        yield trial._replace(feature_seconds=own)


def _tried(run: Run, options: dict, ledger: Ledger, fit: Callable[[Run, Ledger], None]) -> Trial:
    try:
        fit(run.trial(options), ledger)
    except NonFiniteLossError:
        last = ledger.curve.last
        reached = (last.get("epoch", 0), last.get("steps", 0))
        return Trial(options, None, None, *reached, ledger.clock.read(), "diverged")
    return trial_of(options, ledger.curve.last, ledger.clock.seconds)
