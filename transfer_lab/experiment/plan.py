"""Experiment -> cells. Pure and deterministic: what would run, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

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


def peers(run: Run) -> str | None:
    """What the run has in common with those that can be fitted with it in one pass: all but the
    seed. None for a run that is fitted alone.

    Such runs learn heads on the same stored outputs: they start from the same weights, and their
    images are the same at every epoch. With patience each would end at an epoch of its own.
    """
    by_rate = all(set(options) == {"lr"} for options in run.tune or ())
    in_step = run.fit.augment is None and run.fit.patience is None
    # What is left beside a fold may be more or fewer images from seed to seed.
    in_step = in_step and not (run.fold and run.per_class == "all")
    if not (run.init and by_rate and in_step and regime_entry(run.regime).head_alone):
        return None
    return run.canonical_but("seed")


def trials_of(experiment: Experiment, regime: str) -> Trials | None:
    """What is tried for a regime: its own trials, or those of all regimes that learn."""
    choice = experiment.regimes[regime]
    return (choice.tune or experiment.tune) if regime_entry(choice).tunable else None


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
    return frozenset(parent.id for run in runs for parent in run.parents)


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
    choice, start = shared.regimes[regime], experiment.backbones[backbone].pretrained
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
    run = Run(
        domain=experiment.domains[place.target],
        image_size=experiment.image_size,
        per_class=place.per_class,
        backbone=experiment.backbones[backbone],
        regime=choice,
        fit=fit if place.labels == "given" else fit.model_copy(update={"val_fraction": 0.0}),
        seed=seed,
        init=init,
        tune=shared.trials[regime],
        streams=dict(streams_of(experiment, scenario, regime, seed, fold)),
        starts=starts,
        labels=place.labels,
        fold=_fold(experiment, fold),
    )
    return Cell(
        experiment=experiment.name,
        scenario=scenario,
        backbone=shared.labels[backbone],
        regime=regime,
        budget=budget,
        seed=seed,
        fold=fold,
        run=run,
        source=_source(start, place, entry),
        size=place.size,
        similarity=place.similarity,
        target=place.target,
    )


def _fold(experiment: Experiment, number: int | None) -> tuple[int, int] | None:
    """As a run has it."""
    return None if number is None or experiment.folds is None else (experiment.folds, number)


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
    experiment: Experiment, scenario: str, regime: str, seed: int, fold: int | None = None
) -> Iterator[tuple[str, Stream]]:
    """What a regime sees beside the target's images in a scenario, by role.

    Of a source: the images that the source run of the seed learns from. Unlabelled images are the
    target's whole training pool, which is what lies outside the fold; where there are no labels
    anyway, the images of the scenario.
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
                fold=_fold(experiment, fold),
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
    experiment: Experiment,
    scenario: str,
    backbone: str,
    seed: int,
    *,
    with_head: bool = False,
    fold: int | None = None,
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
            update: dict[str, object] = {"seed": seed + _APART, "subset_seed": seed}
            update |= {"per_class": place.per_class, "fit": fit, "fold": _fold(experiment, fold)}
            start = start.model_copy(update=update)
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
