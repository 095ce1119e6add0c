"""What the runs of a scenario start from and see beside the target: source runs, streams, and which
images of the target that may be."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.choices import Choice, Weights, regime_entry
from transfer_lab.experiment.spec import Experiment, Run, Stream

_BETWEEN = "full_finetune"
"""How a network that has weights goes on learning before it comes to the target."""
_APART = 1000
"""Between the seeds of a target's run and of the source run on the same images."""


def fold_of(experiment: Experiment, number: int | None) -> tuple[int, int] | None:
    """As a run has it."""
    return None if number is None or experiment.folds is None else (experiment.folds, number)


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
                fold=fold_of(experiment, fold),
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
            update |= {"per_class": place.per_class, "fit": fit, "fold": fold_of(experiment, fold)}
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
