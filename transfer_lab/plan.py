"""Experiment -> cells. Pure and deterministic: what would run, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from pydantic import JsonValue

from transfer_lab.choices import Choice, Trials, Weights
from transfer_lab.regimes import REGIMES
from transfer_lab.spec import Cell, Experiment, Run


def plan(experiment: Experiment) -> tuple[Cell, ...]:
    """Every cell of the grid, in the order scenario, backbone, regime, seed.

    A regime is planned on the backbones it is meant for, and one that starts from a source only on
    those that have one.
    """
    return tuple(
        _cell(experiment, scenario, backbone, regime, seed)
        for scenario, backbone, regime, seed in product(
            experiment.scenarios, experiment.backbones, experiment.regimes, experiment.seeds
        )
        if fits(experiment, backbone, regime)
    )


def fits(experiment: Experiment, backbone: str, regime: str) -> bool:
    """Whether the regime is planned on the backbone."""
    choice = experiment.regimes[regime]
    if choice.on is not None and backbone not in choice.on:
        return False
    needs_source = REGIMES[choice.kind].from_source
    return not (needs_source and experiment.backbones[backbone].pretrained == "none")


def trials_of(experiment: Experiment, regime: str) -> Trials | None:
    """What is tried for a regime: its own trials, or those of all regimes that learn."""
    choice = experiment.regimes[regime]
    if not REGIMES[choice.kind].learns:
        return None
    return choice.tune or experiment.tune


def runs_of(cells: Iterable[Cell]) -> dict[str, Run]:
    """The distinct runs behind the cells by id, every parent before its children."""
    runs: dict[str, Run] = {}
    for cell in cells:
        for run in _lineage(cell.run):
            runs.setdefault(run.id, run)
    return runs


def parents_of(runs: Iterable[Run]) -> frozenset[str]:
    """Ids of the runs whose weights another run starts from."""
    return frozenset(run.parent.id for run in runs if run.parent)


def _cell(experiment: Experiment, scenario: str, backbone: str, regime: str, seed: int) -> Cell:
    place = experiment.scenarios[scenario]
    choice, start = experiment.regimes[regime], experiment.backbones[backbone].pretrained
    trials = trials_of(experiment, regime)
    init = None
    if REGIMES[choice.kind].from_source:
        run = start == "run"
        init = source_run(experiment, place.source, backbone, seed) if run else start
    run = Run(
        domain=experiment.domains[place.target],
        image_size=experiment.image_size,
        per_class=place.per_class,
        backbone=experiment.backbones[backbone],
        regime=Choice(kind=choice.kind, options=_fixed(choice.options, trials)),
        fit=experiment.fit,
        seed=seed,
        init=init,
        tune=trials,
    )
    return Cell(
        experiment=experiment.name,
        scenario=scenario,
        backbone=experiment.backbones[backbone].label,
        regime=regime,
        seed=seed,
        run=run,
        source=start.label if isinstance(start, Weights) else place.source,
        **{name: getattr(place, name) for name in ("size", "similarity", "target")},
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
