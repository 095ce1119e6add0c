"""Experiment -> cells. Pure and deterministic: what would run, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from pydantic import JsonValue

from transfer_lab.experiment.choices import Choice, Trials, Weights, regime_entry
from transfer_lab.experiment.spec import Cell, Experiment, Run


def plan(experiment: Experiment) -> tuple[Cell, ...]:
    """Every cell of the grid, in the order scenario, backbone, regime, seed; after those of the
    budget `fit` come those of each further budget.

    A regime is planned on the backbones it is meant for, and one that starts from a source only on
    those that have one. One that learns nothing has no further budgets.
    """
    shared = _Shared(experiment)
    return tuple(
        _cell(shared, scenario, backbone, regime, seed, budget)
        for budget, scenario, backbone, regime, seed in product(
            (None, *experiment.budgets),
            *(experiment.scenarios, experiment.backbones, experiment.regimes, experiment.seeds),
        )
        if fits(experiment, backbone, regime)
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


def spends_budget(experiment: Experiment, regime: str) -> bool:
    """Whether the regime takes steps, so that another budget makes it another run."""
    return regime_entry(experiment.regimes[regime]).spends_budget


def peers(run: Run) -> str | None:
    """What the run has in common with those that can be fitted with it in one pass: all but the
    seed. None for a run that is fitted alone.

    Such runs learn heads on the same stored outputs: they start from the same weights, and their
    images are the same at every epoch. With patience each would end at an epoch of its own.
    """
    by_rate = all(set(options) == {"lr"} for options in run.tune or ())
    in_step = run.fit.augment is None and run.fit.patience is None
    if not (run.init and by_rate and in_step and regime_entry(run.regime).head_alone):
        return None
    return run.canonical_but("seed")


def trials_of(experiment: Experiment, regime: str) -> Trials | None:
    """What is tried for a regime: its own trials, or those of all regimes that learn."""
    choice = experiment.regimes[regime]
    return (choice.tune or experiment.tune) if regime_entry(choice).tunable else None


def runs_of(cells: Iterable[Cell]) -> dict[str, Run]:
    """The distinct runs behind the cells by id, every parent before its children."""
    runs: dict[str, Run] = {}
    for cell in cells:
        if cell.run.id not in runs:
            for run in _lineage(cell.run):
                runs.setdefault(run.id, run)
    return runs


def parents_of(runs: Iterable[Run]) -> frozenset[str]:
    """Ids of the runs whose weights another run starts from."""
    return frozenset(run.parent.id for run in runs if run.parent)


class _Shared:
    """An experiment, and what many of its cells have in common, made once."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.labels = {name: b.label for name, b in experiment.backbones.items()}
        self.trials = {name: trials_of(experiment, name) for name in experiment.regimes}
        self.regimes = {
            name: choice.with_options(_fixed(choice.options, self.trials[name]))
            for name, choice in experiment.regimes.items()
        }
        self._source_runs: dict[tuple[str, str, int], Run] = {}

    def source_run(self, scenario: str, backbone: str, seed: int) -> Run:
        """The run that pretrains a backbone for the runs of a seed; raises ValueError where the
        scenario has no source."""
        source = self.experiment.scenarios[scenario].source
        if source is None:
            raise ValueError(f"scenario {scenario} has no source that {backbone} could start from")
        key = (source, backbone, seed if self.experiment.pretrain.per_seed else 0)
        if key not in self._source_runs:
            self._source_runs[key] = source_run(self.experiment, source, backbone, seed)
        return self._source_runs[key]


def _cell(
    shared: _Shared, scenario: str, backbone: str, regime: str, seed: int, budget: str | None
) -> Cell:
    experiment = shared.experiment
    place = experiment.scenarios[scenario]
    choice, start = shared.regimes[regime], experiment.backbones[backbone].pretrained
    init: Run | Weights | None = None
    if regime_entry(choice).from_source:
        init = start if isinstance(start, Weights) else shared.source_run(scenario, backbone, seed)
    run = Run(
        domain=experiment.domains[place.target],
        image_size=experiment.image_size,
        per_class=place.per_class,
        backbone=experiment.backbones[backbone],
        regime=choice,
        fit=experiment.fit if budget is None else experiment.budgets[budget],
        seed=seed,
        init=init,
        tune=shared.trials[regime],
    )
    return Cell(
        experiment=experiment.name,
        scenario=scenario,
        backbone=shared.labels[backbone],
        regime=regime,
        budget=budget,
        seed=seed,
        run=run,
        source=start.label if isinstance(start, Weights) else place.source,
        size=place.size,
        similarity=place.similarity,
        target=place.target,
    )


def _fixed(options: Mapping[str, JsonValue], trials: Trials | None) -> dict[str, JsonValue]:
    """The options that some trial leaves as they are."""
    replaced = set.intersection(*map(set, trials)) if trials else set()
    return {name: value for name, value in options.items() if name not in replaced}


def source_run(experiment: Experiment, source: str, backbone: str, seed: int) -> Run:
    """The run that pretrains a backbone on a source domain, for the runs of a seed."""
    pretrain = experiment.pretrain
    return Run(
        domain=experiment.domains[source],
        image_size=experiment.image_size,
        per_class=pretrain.per_class,
        backbone=experiment.backbones[backbone],
        regime=Choice(kind="from_scratch", options=pretrain.options),
        fit=pretrain.fit,
        seed=seed if pretrain.per_seed else pretrain.seed,
    )


def _lineage(run: Run) -> list[Run]:
    return [*(_lineage(run.parent) if run.parent else []), run]
