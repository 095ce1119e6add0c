"""Experiment -> cells. Pure and deterministic: what would run, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from pydantic import JsonValue

from transfer_lab.experiment.budget import MAIN, Fit
from transfer_lab.experiment.catalog import RegimeEntry
from transfer_lab.experiment.choices import Arm, Trials, Weights, regime_entry
from transfer_lab.experiment.sources import fold_of, start_of, streams_of
from transfer_lab.experiment.spec import Cell, Experiment, Run, Scenario


def plan(experiment: Experiment) -> tuple[Cell, ...]:
    """Every cell of the grid, in the order scenario, backbone, regime, seed, fold; after those
    of the budget `fit` come those of each further budget.

    A regime is planned on the backbones it is meant for, and one that starts from a source only on
    those that have one. One that learns nothing has no further budgets. Without labels of the
    target only such regimes are planned as need none.
    """
    shared = _Shared(experiment)
    return tuple(
        shared.cell(scenario, backbone, regime, seed, budget, fold)
        for budget, scenario, backbone, regime, seed, fold in product(
            (None, *experiment.budgets),
            *(experiment.scenarios, experiment.backbones, experiment.regimes, experiment.seeds),
            range(experiment.folds) if experiment.folds else (None,),
        )
        if fits(experiment, backbone, regime)
        and suits(experiment, scenario, regime)
        and (budget is None or spends_budget(experiment, regime))
    )


def plan_one_seed(experiment: Experiment) -> tuple[Cell, ...]:
    """The cells of the first seed, for what does not depend on how many there are."""
    return plan(experiment.model_copy(update={"seeds": experiment.seeds[:1]}))


def fits(experiment: Experiment, backbone: str, regime: str) -> bool:
    """Whether the regime is planned on the backbone."""
    choice = experiment.regimes[regime]
    if choice.on is not None and backbone not in choice.on:
        return False
    needs_source = regime_entry(choice).from_source
    return not (needs_source and experiment.backbones[backbone].pretrained == "none")


def suits(experiment: Experiment, scenario: str, regime: str) -> bool:
    """Whether the regime is planned in the scenario: where it is meant for it, and of those that
    read no labels of the target only where there are none, of those that need some only where there
    are."""
    choice = experiment.regimes[regime]
    if choice.scenarios is not None and scenario not in choice.scenarios:
        return False
    reads = regime_entry(choice).target_labels
    unlabelled = experiment.scenarios[scenario].labels == "none"
    return reads != ("needed" if unlabelled else "unread")


def spends_budget(experiment: Experiment, regime: str) -> bool:
    """Whether the regime takes steps, so that another budget makes it another run."""
    return regime_entry(experiment.regimes[regime]).spends_budget


def budgets_of(experiment: Experiment) -> dict[tuple[str, ...], Fit]:
    """All budgets of the targets' runs by the place where they are written, the main one first."""
    further = experiment.budgets.items()
    return {(MAIN,): experiment.fit} | {("budgets", name): fit for name, fit in further}


def trials_of(experiment: Experiment, regime: str) -> Trials | None:
    """What is tried for a regime: its own trials, or those of all regimes that learn."""
    choice = experiment.regimes[regime]
    return (choice.tune or experiment.tune) if regime_entry(choice).tunable else None


def searched_in(experiment: Experiment, regime: str) -> tuple[str, ...]:
    """The scenarios in which a regime's trials are tried once for the whole grid: those that the
    experiment names, or of those in which the regime is planned the ones with the fewest images.
    None where trials are tried in each place."""
    if experiment.search is None or not trials_of(experiment, regime):
        return ()
    planned = {
        name: math.inf if place.per_class == "all" else place.per_class
        for name, place in experiment.scenarios.items()
        if suits(experiment, name, regime)
    }
    named = experiment.search.scenarios
    if named is not None:
        return tuple(name for name in planned if name in named)
    return tuple(name for name, images in planned.items() if images == min(planned.values()))


def searches_of(experiment: Experiment) -> dict[tuple[str, str, str | None], dict[str, Run]]:
    """The searches for the whole grid by the names of backbone, regime and budget (None: the main
    one), each by its scenario; scenarios that differ in nothing that the regime sees share one."""
    if experiment.search is None:
        return {}
    shared = _Shared(experiment)
    return {
        (backbone, regime, budget): found
        for budget, backbone, regime in product(
            (None, *experiment.budgets), experiment.backbones, experiment.regimes
        )
        if fits(experiment, backbone, regime)
        and (budget is None or spends_budget(experiment, regime))
        and (found := shared.searches(backbone, regime, budget))
    }


def fixed_options(experiment: Experiment, regime: str) -> dict[str, JsonValue]:
    """The options that a regime has in every trial: those written, less what trials replace."""
    return _fixed(experiment.regimes[regime].options, trials_of(experiment, regime))


def runs_of(cells: Iterable[Cell]) -> dict[str, Run]:
    """The distinct runs behind the cells by id, every parent before its children."""
    runs: dict[str, Run] = {}
    for cell in cells:
        if cell.run.id not in runs:
            for run in _lineage(cell.run):
                runs.setdefault(run.id, run)
    return runs


def parents_of(runs: Iterable[Run]) -> frozenset[str]:
    """Ids of the runs whose weights another run starts from, or draws on."""
    return frozenset(parent.id for run in runs for parent in run.drawn_on)


class _Shared:
    """An experiment, and what many of its cells have in common, made once."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.labels = {name: b.label for name, b in experiment.backbones.items()}
        self.trials = {name: trials_of(experiment, name) for name in experiment.regimes}
        self.regimes = {
            name: choice.with_options(fixed_options(experiment, name))
            for name, choice in experiment.regimes.items()
        }
        self._starts: dict[tuple[object, ...], Run | Weights] = {}
        self._arms: dict[tuple[object, ...], Cell] = {}
        self._searches: dict[tuple[str, str, str | None], dict[str, Run]] = {}

    def start(
        self,
        scenario: str,
        backbone: str,
        seed: int,
        *,
        with_head: bool = False,
        fold: int | None = None,
    ) -> Run | Weights:
        """What the runs of a seed start from: ready-made weights, or the source run, and what comes
        of it on the domains that lie between; `with_head`: a model that has learnt the source's
        classes, whatever its weights were before. Raises ValueError where there is no source."""
        place = self.experiment.scenarios[scenario]
        # Scenarios of one source share its runs; the target's own images are those of the size.
        own = (scenario, fold) if place.control == "self" else None
        key = (place.source, place.via, own, backbone, seed, with_head)
        if key not in self._starts:
            self._starts[key] = start_of(
                self.experiment, scenario, backbone, seed, with_head=with_head, fold=fold
            )
        return self._starts[key]

    def cell(
        self,
        scenario: str,
        backbone: str,
        regime: str,
        seed: int,
        budget: str | None,
        fold: int | None,
    ) -> Cell:
        """The cell of that place, made once: others may draw on its run."""
        key = (scenario, backbone, regime, seed, budget, fold)
        if key not in self._arms:
            self._arms[key] = _cell(self, *key)
        return self._arms[key]

    def searches(self, backbone: str, regime: str, budget: str | None) -> dict[str, Run]:
        """Where the trials of an arm are tried once for the whole grid, by scenario."""
        key = (backbone, regime, budget)
        if key not in self._searches:
            self._searches[key] = {
                scenario: _search(self, scenario, *key)
                for scenario in searched_in(self.experiment, regime)
            }
        return self._searches[key]


def _cell(
    shared: _Shared,
    scenario: str,
    backbone: str,
    regime: str,
    seed: int,
    budget: str | None,
    fold: int | None,
) -> Cell:
    experiment = shared.experiment
    place = experiment.scenarios[scenario]
    searches = {run.id: run for run in shared.searches(backbone, regime, budget).values()}
    return Cell(
        experiment=experiment.name,
        scenario=scenario,
        backbone=shared.labels[backbone],
        regime=regime,
        budget=budget,
        seed=seed,
        fold=fold,
        run=_run(
            shared,
            *(scenario, backbone, regime, seed, budget, fold),
            tune=None if searches else shared.trials[regime],
            searches=tuple(searches.values()),
        ),
        source=_source(
            experiment.backbones[backbone].pretrained, place, regime_entry(shared.regimes[regime])
        ),
        size=place.size,
        similarity=place.similarity,
        target=place.target,
    )


def _search(shared: _Shared, scenario: str, backbone: str, regime: str, budget: str | None) -> Run:
    """The trials of a regime at the seed of searches: what a run of the grid would be there, but
    for the fit that follows the choice, and the test."""
    how = shared.experiment.search
    assert how is not None
    place = (scenario, backbone, regime, how.seed, budget, None)
    found = _run(shared, *place, tune=shared.trials[regime], purpose="search")
    epochs = found.fit.epochs if how.epochs is None else min(how.epochs, found.fit.epochs)
    return found.model_copy(update={"fit": found.fit.model_copy(update={"epochs": epochs})})


def _run(
    shared: _Shared,
    scenario: str,
    backbone: str,
    regime: str,
    seed: int,
    budget: str | None,
    fold: int | None,
    **choosing: Any,
) -> Run:
    """The run of a regime at a seed; `choosing`: how its options are found."""
    experiment = shared.experiment
    place = experiment.scenarios[scenario]
    choice = shared.regimes[regime]
    entry = regime_entry(choice)
    init: Run | Weights | None = None
    if entry.from_source:
        init = shared.start(scenario, backbone, seed, with_head=entry.source_head, fold=fold)
    starts: dict[str, Run] = {}
    if teacher := experiment.regimes[regime].teacher:
        # A teacher that spends no budget is the same under every one.
        under = budget if spends_budget(experiment, teacher.regime) else None
        starts["teacher"] = shared.cell(scenario, *_names(teacher), seed, under, fold).run
    fit = experiment.fit if budget is None else experiment.budgets[budget]
    return Run(
        domain=experiment.domains[place.target],
        image_size=experiment.image_size,
        per_class=place.per_class,
        backbone=experiment.backbones[backbone],
        regime=choice,
        fit=fit if place.labels == "given" else fit.model_copy(update={"val_fraction": 0.0}),
        seed=seed,
        init=init,
        streams=dict(streams_of(experiment, scenario, regime, seed, fold)),
        starts=starts,
        labels=place.labels,
        fold=fold_of(experiment, fold),
        **choosing,
    )


def _fixed(options: Mapping[str, JsonValue], trials: Trials | None) -> dict[str, JsonValue]:
    """The options that some trial leaves as they are."""
    replaced = set.intersection(*map(set, trials)) if trials else set()
    return {name: value for name, value in options.items() if name not in replaced}


def _names(arm: Arm) -> tuple[str, str]:
    return arm.backbone, arm.regime


def _source(start: str | Weights, place: Scenario, entry: RegimeEntry) -> str | None:
    """What a cell's table says it learnt from beside the target."""
    if not isinstance(start, Weights):
        return place.path or None
    first = start.label
    if entry.needs_source_images and place.source:
        first += f", {place.source}"
    return " → ".join((first, *place.via))


def _lineage(run: Run) -> list[Run]:
    return [*(one for parent in run.parents for one in _lineage(parent)), run]
