"""The search of a tuned run, or one for a whole grid: every trial from the same seed, chosen by
validation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.choices import Options
from transfer_lab.experiment.spec import Run
from transfer_lab.store.layout import TRIALS
from transfer_lab.store.records import RecordStore
from transfer_lab.store.trials import Trial, choose, choose_over, to_csv, trial_of
from transfer_lab.system import pulse
from transfer_lab.system.files import write_atomically
from transfer_lab.training.building import build_regime
from transfer_lab.training.curve import NonFiniteLossError
from transfer_lab.training.fit import FitResult, fit_and_validate
from transfer_lab.training.frozen_features import Computed
from transfer_lab.training.heads import Heads, differ_in_rate_alone, fit_heads, share_backbone


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


def options_over(run: Run, store: RecordStore) -> Options:
    """Those that the searches of a run have found, by mean validation accuracy; raises TrialsError,
    and NonFiniteLossError if every trial has diverged in one of them."""
    place = choose_over([store.trials(search) for search in run.searches])
    if place is None:
        named = ", ".join(search.id for search in run.searches)
        raise NonFiniteLossError(f"every trial diverged in one of the searches {named}")
    return run.searches[0].tune[place]


def searches(
    runs: Sequence[Run], domains: Sequence[ImageDomain], store: RecordStore, **fitting: Any
) -> list[Search]:
    """Try each run's options on its drawn images and store what came of it, whatever that is.

    Linear heads are fitted in one pass, those of several runs too, which differ in their seeds
    alone. Raises ValueError for several runs of which anything else learns. `fitting`: rows and
    precision.
    """
    found = _in_one_pass(runs, domains, store, fitting)
    if found is None:
        if len(runs) > 1:
            raise ValueError("the trials of these runs are not fitted in one pass")
        found = [_one_by_one(runs[0], domains[0], store, fitting)]
    for run, search in zip(runs, found, strict=True):
        content = to_csv(search.trials, search.place)
        write_atomically(
            store.file(run.id, TRIALS), lambda handle, text=content: handle.write(text)
        )
    return found


def search(run: Run, fit: Callable[[Run, FitResult], None]) -> Search:
    """Try each of the run's options; `fit` trains and validates one untuned run.

    A trial that diverges loses and ends no other. Any other error ends the search.
    """
    results = [FitResult() for _ in run.tune]
    tried, fits = [], len(run.tune) + _refits(run)
    for number, given in enumerate(zip(run.tune, results, strict=True), start=1):
        pulse.part(number, fits)
        tried.append(_tried(run, *given, fit))
    pulse.part(fits, fits)
    return Search.of(charged(run, tried, [result.features for result in results]))


def _refits(run: Run) -> int:
    """Fits that follow the choice."""
    return int(run.purpose == "result")


def charged(
    run: Run, trials: Sequence[Trial], features: Sequence[Mapping[Computed, float]]
) -> Iterator[Trial]:
    """The trials with the seconds of those frozen prefixes that they are the first to need, but
    for what the final fit pays, if there is one.

    That is the chosen trial's, on all labelled images. Where training images are augmented no
    trial computes them once, nor does the final fit, and it has no validation images.
    """
    place = choose(trials) if _refits(run) else None
    final = {} if place is None else features[place]
    paid = {prefix for prefix, section in final if section == "train"}
    for trial, costs in zip(trials, features, strict=True):
        own = sum(seconds for (prefix, _), seconds in costs.items() if prefix not in paid)
        paid |= {prefix for prefix, _ in costs}
        yield trial._replace(feature_seconds=own)


def _tried(
    run: Run, options: dict, result: FitResult, fit: Callable[[Run, FitResult], None]
) -> Trial:
    try:
        fit(run.trial(options), result)
    except NonFiniteLossError:
        last = result.curve.last
        reached = (last.get("epoch", 0), last.get("steps", 0))
        return Trial(options, None, None, *reached, result.clock.read(), "diverged")
    return trial_of(options, result.kept, result.clock.seconds)


def _one_by_one(run: Run, domain: ImageDomain, store: RecordStore, fitting: dict) -> Search:
    def fit(trial: Run, result: FitResult) -> None:
        regime = build_regime(trial, domain, store)
        fit_and_validate(regime, domain, trial.fit, result, **fitting)

    return search(run, fit)


def _in_one_pass(
    runs: Sequence[Run], domains: Sequence[ImageDomain], store: RecordStore, fitting: dict
) -> list[Search] | None:
    """The same searches in one pass over the batches; None where that would not be exact."""
    tune = runs[0].tune
    if any(set(options) != {"lr"} for options in tune) or runs[0].fit.patience:
        return None
    groups: list[Heads] = []
    for run, domain in zip(runs, domains, strict=True):
        regimes = [build_regime(run.trial(options), domain, store) for options in tune]
        first = groups[0].regimes[0] if groups else regimes[0]
        if not differ_in_rate_alone([first, *regimes]) or not share_backbone(regimes):
            return None
        groups.append(Heads(domain, regimes))
    fits = 1 + _refits(runs[0])
    pulse.part(1, fits)
    fitted = fit_heads(groups, runs[0].fit, **fitting)
    pulse.part(fits, fits)
    return [_search(run, results) for run, (_, results) in zip(runs, fitted, strict=True)]


def _search(run: Run, results: Sequence[FitResult]) -> Search:
    """Of heads that were fitted in one pass: each trial has its part of the seconds."""
    tried = [
        trial_of(options, result.curve.last, result.clock.seconds / len(run.tune))
        for options, result in zip(run.tune, results, strict=True)
    ]
    return Search.of(charged(run, tried, [result.features for result in results]))
