"""Experiment -> cells. Pure and deterministic: what would run, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import JsonValue

from transfer_lab.experiment.budget import MAIN, Fit
from transfer_lab.experiment.catalog import RegimeEntry
from transfer_lab.experiment.choices import Arm, Choice, Trials, Weights, regime_entry
from transfer_lab.experiment.spec import Cell, Experiment, Run, Scenario, Stream

_BETWEEN = "full_finetune"
"""How a network that has weights goes on learning before it comes to the target."""
_APART = 1000
"""Between the seeds of a target's run and of the source run on the same images."""


def plan(experiment: Experiment) -> tuple[Cell, ...]:
    """Every cell of the grid, in the order scenario, backbone, regime, seed; after those of the
    budget `fit` come those of each further budget.

    A regime is planned on the backbones it is meant for, and one that starts from a source only on
    those that have one. One that learns nothing has no further budgets. Without labels of the
    target only such regimes are planned as need none.
    """
    shared = _Shared(experiment)
    return tuple(
        shared.cell(scenario, backbone, regime, seed, budget)
        for budget, scenario, backbone, regime, seed in product(
            (None, *experiment.budgets),
            *(experiment.scenarios, experiment.backbones, experiment.regimes, experiment.seeds),
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
        self._arms: dict[tuple[str, str, str, int, str | None], Cell] = {}
        self._searches: dict[tuple[str, str, str | None], dict[str, Run]] = {}

    def start(
        self, scenario: str, backbone: str, seed: int, *, with_head: bool = False
    ) -> Run | Weights:
        """What the runs of a seed start from: ready-made weights, or the source run, and what comes
        of it on the domains that lie between; `with_head`: a model that has learnt the source's
        classes, whatever its weights were before. Raises ValueError where there is no source."""
        place = self.experiment.scenarios[scenario]
        # Scenarios of one source share its runs; the target's own images are those of the size.
        own = scenario if place.control == "self" else None
        key = (place.source, place.via, own, backbone, seed, with_head)
        if key not in self._starts:
            self._starts[key] = start_of(
                self.experiment, scenario, backbone, seed, with_head=with_head
            )
        return self._starts[key]

    def cell(
        self, scenario: str, backbone: str, regime: str, seed: int, budget: str | None
    ) -> Cell:
        """The cell of that place, made once: others may draw on its run."""
        key = (scenario, backbone, regime, seed, budget)
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
    shared: _Shared, scenario: str, backbone: str, regime: str, seed: int, budget: str | None
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
        run=_run(
            shared,
            *(scenario, backbone, regime, seed, budget),
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
    place = (scenario, backbone, regime, how.seed, budget)
    return _run(shared, *place, tune=shared.trials[regime], purpose="search")


def _run(
    shared: _Shared,
    scenario: str,
    backbone: str,
    regime: str,
    seed: int,
    budget: str | None,
    **choosing: Any,
) -> Run:
    """The run of a regime at a seed; `choosing`: how its options are found."""
    experiment = shared.experiment
    place = experiment.scenarios[scenario]
    choice = shared.regimes[regime]
    entry = regime_entry(choice)
    init: Run | Weights | None = None
    if entry.from_source:
        init = shared.start(scenario, backbone, seed, with_head=entry.source_head)
    starts: dict[str, Run] = {}
    if teacher := experiment.regimes[regime].teacher:
        # A teacher that spends no budget is the same under every one.
        under = budget if spends_budget(experiment, teacher.regime) else None
        starts["teacher"] = shared.cell(scenario, *_names(teacher), seed, under).run
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
        streams=dict(streams_of(experiment, scenario, regime, seed)),
        starts=starts,
        labels=place.labels,
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


def streams_of(
    experiment: Experiment, scenario: str, regime: str, seed: int
) -> Iterator[tuple[str, Stream]]:
    """What a regime sees beside the target's images in a scenario, by role.

    Of a source: the images that the source run of the seed learns from. Unlabelled images are the
    target's whole training pool; where there are no labels anyway, the images of the scenario.
    """
    place, sees = experiment.scenarios[scenario], regime_entry(experiment.regimes[regime]).sees
    sources = [place.source] if {"source", "sources"} & {*sees} else []
    sources += place.sources if "sources" in sees else ()
    for number, source in enumerate(sources, start=1):
        if source is not None:
            yield (
                ("source" if number == 1 else f"source_{number}"),
                _stream(experiment, source, seed),
            )
    if "unlabelled" in sees:
        yield (
            "unlabelled",
            Stream(
                domain=experiment.domains[place.target],
                per_class=place.per_class if place.labels == "none" else "all",
                val_fraction=0.0,
                seed=seed,
                labelled=False,
            ),
        )


def _stream(experiment: Experiment, source: str, seed: int) -> Stream:
    pretrain = experiment.pretrain
    return Stream(
        domain=experiment.domains[source],
        per_class=pretrain.per_class,
        val_fraction=pretrain.val_fraction,
        seed=seed if pretrain.per_seed else pretrain.seed,
    )


def start_of(
    experiment: Experiment, scenario: str, backbone: str, seed: int, *, with_head: bool = False
) -> Run | Weights:
    """What the runs of a seed start from in a scenario; see `_Shared.start`."""
    place, known = experiment.scenarios[scenario], experiment.backbones[backbone].pretrained
    start: Run | Weights | None = known if isinstance(known, Weights) else None
    if start is None or with_head:
        if place.source is None:
            raise ValueError(f"scenario {scenario} has no source that {backbone} could start from")
        start = source_run(experiment, place.source, backbone, seed, start)
        if place.control == "self":
            # The very images of the target's runs, of which those that validate are not learnt
            # from; weights and batches of its own, or stages drawn anew would be those it had.
            fit = start.fit.model_copy(update={"val_fraction": experiment.fit.val_fraction})
            update = {"per_class": place.per_class, "seed": seed + _APART, "subset_seed": seed}
            start = start.model_copy(update=update | {"fit": fit})
    for domain in place.via:
        between = source_run(experiment, domain, backbone, seed, start)
        start = between.model_copy(update={"regime": Choice(kind=_BETWEEN)})
    return start


def source_run(
    experiment: Experiment,
    source: str,
    backbone: str,
    seed: int,
    start: Run | Weights | None = None,
) -> Run:
    """The run that pretrains a backbone on a source domain, for the runs of a seed; from ready-made
    weights it goes on with all of them, unless the experiment names a regime."""
    pretrain = experiment.pretrain
    kind = source_kind(experiment, backbone, has_weights=start is not None)
    return Run(
        domain=experiment.domains[source],
        image_size=experiment.image_size,
        per_class=pretrain.per_class,
        backbone=experiment.backbones[backbone],
        regime=Choice(kind=kind, options=pretrain.options),
        fit=pretrain.fit,
        seed=seed if pretrain.per_seed else pretrain.seed,
        init=start,
    )


def source_kind(experiment: Experiment, backbone: str, *, has_weights: bool) -> str:
    """The regime of a backbone's source runs: what has weights already is not trained from
    scratch."""
    named = experiment.backbones[backbone].source_regime or experiment.pretrain.regime
    return _BETWEEN if has_weights and named == "from_scratch" else named


def _lineage(run: Run) -> list[Run]:
    return [*(one for parent in run.parents for one in _lineage(parent)), run]
