"""Before any training: options against constructors, k against stages, subsets against pools,
phases against the budget."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import backbone_class
from transfer_lab.backbones.weights import check_published, find
from transfer_lab.data import build as data
from transfer_lab.data.base import ImageDomain
from transfer_lab.data.folds import Fold, Folded
from transfer_lab.data.splits import SubsetError, check_per_class, split_sizes
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.choices import Architecture, Choice, Weights, regime_entry
from transfer_lab.experiment.classes import ModuleError
from transfer_lab.experiment.options import option_problems
from transfer_lab.experiment.plan import budgets_of, fits, suits, trials_of
from transfer_lab.experiment.registry import Annotation, MissingExtraError, RegimeEntry
from transfer_lab.experiment.sources import source_kind
from transfer_lab.experiment.spec import Experiment
from transfer_lab.grid.passes import refusal
from transfer_lab.regimes.base import TransferModule, check_stages
from transfer_lab.regimes.build import regime_class
from transfer_lab.regimes.hooks import refused_hooks
from transfer_lab.system import pulse
from transfer_lab.system.files import WeightsError
from transfer_lab.training.claims import contradicted
from transfer_lab.training.fit import epochs_for

_CLASSES = 2
_REFUSALS = (ValueError, OverflowError, MemoryError, RuntimeError, OSError)

Problem = tuple[tuple[str, ...], str]
Subset = tuple[str | None, int | Literal["all"], tuple[str, ...]]
"""Domain, drawn images per class, and where that is written."""
Epochs = Mapping[tuple[str, ...], int]
"""Place of a budget -> its epochs."""
Sizes = Mapping[str, np.ndarray]
"""Domain -> images per class of its pool."""
Annotated = Mapping[str, tuple[Annotation, ...]]
"""Domain -> what it knows of its images beside their classes."""


def preflight(
    experiment: Experiment, cache: Path | None = None, *, download: bool = False
) -> list[Problem]:
    """Everything that would fail in a run for a reason that is known now: (field path, message).

    Constructs every domain, makes its images once if there is a `cache` to keep them, and
    constructs every regime on every backbone (without its memory): what they refuse is refused
    here, and no run has to wait for images. Ready-made weights are read and compared with their
    backbone; with `download`, weights and datasets that are published and absent are fetched.
    """
    counts, classes, annotated, problems = _check_domains(experiment, cache, download)
    problems += _check_sizes(experiment, counts)
    problems += _check_classes(experiment, classes)
    problems += _check_annotations(experiment, annotated)
    problems += _check_patience(experiment, counts)
    problems += _check_models(experiment, download, counts)
    return list(dict.fromkeys(problems))


def _build(
    cls: type, choice: Choice, place: tuple[str, ...], *context: object
) -> tuple[Any, list[Problem]]:
    """The object, or None and why not."""
    try:
        refused = list(option_problems(cls, choice.arguments))
    except Exception as error:  # annotations of somebody's class may name anything
        return None, [(place, f"{cls.__name__}: {type(error).__name__}: {error}")]
    wrong = [((*place, name) if name else place, text) for name, text in refused]
    if wrong:
        return None, wrong
    try:
        return cls(*context, **choice.arguments), []
    except _REFUSALS as error:
        return None, [(place, str(error) or type(error).__name__)]
    except Exception as error:  # somebody's class, or a library's
        return None, [(place, f"{cls.__name__}: {type(error).__name__}: {error}")]


def _check_domains(
    experiment: Experiment, cache: Path | None, download: bool
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]], Annotated, list[Problem]]:
    """Images per class of each domain's pool, its classes, what it knows beside them, and what is
    wrong with the others."""
    counts, classes, annotated, problems = {}, {}, {}, []
    # The lab's own first: what makes their images must not have been changed by foreign code.
    ordered = sorted(experiment.domains.items(), key=lambda item: item[1].is_own)
    for number, (name, choice) in enumerate(ordered, start=1):
        pulse.tell(f"looking at domains: {name} ({number} of {len(experiment.domains)})")
        place = ("domains", name)
        try:
            cls = data.domain_class(choice)
        except ModuleError as error:
            problems.append((_code(place, choice), str(error)))
            continue
        except MissingExtraError as error:
            problems.append((place, str(error)))
            continue
        domain, wrong = _build(cls, choice, place, experiment.image_size)
        problems += wrong
        try:
            if domain is not None:
                counts[name] = _prepared(data.described(domain, choice), cache, download)
                classes[name], annotated[name] = tuple(domain.classes), domain.annotates
                counts |= _divided(experiment, name, domain)
        except _REFUSALS as error:
            problems.append((place, str(error)))
        except Exception as error:  # somebody's class
            problems.append((place, f"{cls.__name__}: {type(error).__name__}: {error}"))
    return counts, classes, annotated, problems


def _prepared(domain: ImageDomain, cache: Path | None, download: bool) -> np.ndarray:
    """Images per class of the pool, once the data are there and the images made."""
    if download:
        domain.fetch()
    if cache is not None:
        domain.cache = cache
        domain.prepare_data()
    return np.bincount(domain.labels("train"), minlength=domain.num_classes)


def _divided(experiment: Experiment, name: str, domain: ImageDomain) -> Sizes:
    """With cross-validation, images per class that the folds of a target leave at least."""
    if not experiment.folds or all(s.target != name for s in experiment.scenarios.values()):
        return {}
    folded = Folded(domain, Fold(experiment.folds, 0))
    if domain.cache is not None:
        folded.prepare_data()
    return {_pool(experiment, name): np.min([folded.least(s) for s in experiment.seeds], axis=0)}


def _pool(experiment: Experiment, target: str) -> str:
    """What the images of a target are drawn from."""
    return f"{target} without a fold" if experiment.folds else target


def _code(place: tuple[str, ...], choice: Choice) -> tuple[str, ...]:
    """Where it is written which code a choice means."""
    return (*place, "module") if choice.module is not None else place


def _check_sizes(experiment: Experiment, counts: Sizes) -> list[Problem]:
    problems = []
    for domain, per_class, place in [*_targets(experiment), *_sources(experiment)]:
        if domain in counts:
            try:
                check_per_class(counts[domain], per_class)
            except SubsetError as error:
                problems.append((place, f"{domain}: {error}"))
    return problems


def _check_classes(
    experiment: Experiment, classes: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    """Sources whose classes are not the target's, where a regime goes by the source's answers."""
    for scenario, place in experiment.scenarios.items():
        going_by = [
            name
            for name, choice in experiment.regimes.items()
            if suits(experiment, scenario, name) and regime_entry(choice).same_classes
        ]
        if not going_by or place.target not in classes:
            continue
        several = {
            role
            for name in going_by
            for role in regime_entry(experiment.regimes[name]).sees
            if role == "sources"
        }
        # A network that comes by other domains must have their classes in the end, too.
        for source in (place.source, *(place.sources if several else ()), *place.via[-1:]):
            if source in classes and classes[source] != classes[place.target]:
                theirs, own = _differing(classes[source], classes[place.target])
                yield (
                    ("scenarios", scenario),
                    f"{going_by[0]} needs the same classes in source and target, but {source} has "
                    f"{theirs} and {place.target} has {own}; leave {', '.join(going_by)} out, or "
                    "give both the same classes",
                )


def _check_annotations(experiment: Experiment, annotated: Annotated) -> Iterator[Problem]:
    """Targets that do not know what a regime learns of them, and budgets whose changes of images
    would leave it behind."""
    learning = {
        name: kinds
        for name, choice in experiment.regimes.items()
        if (kinds := regime_entry(choice).annotations)
    }
    for name, kinds in learning.items():
        for scenario, place in experiment.scenarios.items():
            lacking = [k for k in kinds if k not in annotated.get(place.target, kinds)]
            if lacking and suits(experiment, scenario, name):
                yield (
                    ("scenarios", scenario, "target"),
                    f"{place.target} knows no {' and no '.join(lacking)} of its images, which "
                    f"{name} learns; leave {name} out, or take a target that does, as the letters "
                    "latin, greek and cyrillic",
                )
    for place, fit in budgets_of(experiment).items() if learning else ():
        if fit.augment:
            (name, kinds), *_ = learning.items()
            told = f"{' and '.join(kinds)}, which {name} learns, would not move with the images"
            yield (*place, "augment"), f"{told}; leave augment out, or {', '.join(learning)}"


def _differing(theirs: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, str]:
    if len(theirs) != len(own):
        return f"{len(theirs)} classes", f"{len(own)}"
    first = next(i for i, pair in enumerate(zip(theirs, own, strict=True)) if pair[0] != pair[1])
    return f"'{theirs[first]}' as its class number {first + 1}", f"'{own[first]}'"


def _targets(experiment: Experiment) -> Iterator[Subset]:
    for name, scenario in experiment.scenarios.items():
        pool = _pool(experiment, scenario.target)
        yield pool, scenario.per_class, ("scenarios", name, "per_class")


def _sources(experiment: Experiment) -> Iterator[Subset]:
    for scenario in experiment.scenarios.values():
        learnt = scenario.source if scenario.control is None else None
        for domain in (learnt, *scenario.sources, *scenario.via):
            yield domain, experiment.pretrain.per_class, ("pretrain", "per_class")


def _check_patience(experiment: Experiment, counts: Sizes) -> Iterator[Problem]:
    """Patience with nothing to watch: a class of one image leaves none for validation."""
    budgets = [(fit, _targets(experiment)) for fit in budgets_of(experiment).values()]
    for fit, subsets in [*budgets, (experiment.pretrain.fit, _sources(experiment))]:
        for domain, per_class, place in subsets if fit.patience else ():
            if domain in counts and not split_sizes(counts[domain], per_class, fit.val_fraction)[1]:
                told = "no class has two images, so that none validates, which patience watches"
                yield place, f"{domain}: {told}"


def _least_epochs(experiment: Experiment, counts: Sizes, *, tuned: bool) -> Epochs:
    """By the place of each budget, its epochs in the scenario that has the fewest; nothing where
    no target could be counted. The model of a run that is tuned by itself learns from validation
    images, too."""

    def images(fit: Fit) -> int:
        fraction = 0 if tuned else fit.val_fraction
        return max(split_sizes(counts[domain], n, fraction)[0] for domain, n in known)

    known = [(domain, n) for domain, n, _ in _targets(experiment) if domain in counts]
    budgets = budgets_of(experiment).items() if known else ()
    return {place: epochs_for(fit, images(fit)) for place, fit in budgets}


def _check_models(experiment: Experiment, download: bool, counts: Sizes) -> list[Problem]:
    problems = []
    epochs = {tuned: _least_epochs(experiment, counts, tuned=tuned) for tuned in (False, True)}
    for number, (name, choice) in enumerate(experiment.backbones.items(), start=1):
        pulse.tell(f"looking at backbones: {name} ({number} of {len(experiment.backbones)})")
        backbone, wrong = _backbone(choice, ("backbones", name), experiment.image_size)
        problems += wrong
        if backbone is None:
            continue
        problems += _check_weights(backbone, choice, ("backbones", name, "pretrained"), download)
        wrong = [
            problem
            for regime in experiment.regimes
            if fits(experiment, name, regime)
            for problem in _check_regime(experiment, regime, backbone, epochs)
        ]
        pretraining = Choice(
            kind=_pretraining(experiment, name), options=experiment.pretrain.options
        )
        wrong += _check_options(pretraining, ("pretrain", "options"), backbone, {})
        problems += [(path, _on_backbone(text, choice)) for path, text in wrong]
    return problems


def _pretraining(experiment: Experiment, backbone: str) -> str:
    """The regime that a backbone's source runs are; of ready-made weights, for those that need a
    head of the source's classes."""
    start = experiment.backbones[backbone].pretrained
    return source_kind(experiment, backbone, has_weights=isinstance(start, Weights))


def _check_regime(
    experiment: Experiment, name: str, backbone: Backbone, least: Mapping[bool, Epochs]
) -> Iterator[Problem]:
    """What the regime refuses: of its own options at their place, of its trials' at theirs."""
    regime, here = experiment.regimes[name], ("regimes", name)
    if regime.is_own:
        pulse.tell(f"looking at regimes: {name}")
    trials = trials_of(experiment, name)
    epochs = least[trials is not None and experiment.search is None]
    if trials is None:
        yield from _check_options(regime, here, backbone, epochs)
        return
    tried = (*here, "tune") if regime.tune else ("tune",)
    for trial in trials:
        choice = regime.with_options(regime.options | trial)
        for path, text in _check_options(choice, here, backbone, epochs):
            own = path != here and path[-1] not in trial
            yield (path, text) if own else ((*tried, *path[len(here) :]), f"{name}: {text}")


def _check_options(
    choice: Choice, place: tuple[str, ...], backbone: Backbone, epochs: Epochs
) -> list[Problem]:
    try:
        cls = regime_class(choice)
    except ModuleError as error:
        return [(_code(place, choice), str(error))]
    with torch.device("meta"):
        # A copy, since a regime may leave stages out.
        regime, wrong = _build(cls, choice, place, copy.deepcopy(backbone), _CLASSES)
        if regime is None:
            return wrong
        try:
            _surround(regime, regime_entry(choice))
            phases = regime.phases()
            check_stages(regime, phases)
            wrong += [(place, f"{choice.kind}: {told}") for told in refused_hooks(regime)]
            wrong += [(_code(place, choice), text) for text in contradicted(regime, choice)]
        except _REFUSALS as error:
            return [(place, str(error) or type(error).__name__)]
        except Exception as error:  # somebody's class
            return [(place, f"{cls.__name__}: {type(error).__name__}: {error}")]
        return [*wrong, *_check_budgets(len(phases), choice.kind, epochs)]


def _surround(regime: TransferModule, entry: RegimeEntry) -> None:
    """What the regime starts from and sees beside the target, without its memory."""
    if entry.source_head:
        regime.start_head(
            torch.empty(_CLASSES, regime.backbone.num_features), torch.empty(_CLASSES)
        )
    sees = {"source", "sources"} & {*entry.sees}
    regime.meet({"source": _CLASSES} if sees else {})


def _check_budgets(phases: int, kind: str, epochs: Epochs) -> Iterator[Problem]:
    """A phase takes an epoch at least, so that more phases than epochs would break the budget."""
    for place, fewest in epochs.items():
        if phases > fewest:
            told = (
                f"{kind} has {phases} phases of an epoch or more, so that it alone would exceed a "
                f"budget of {fewest}: set epochs to {phases} or more, or leave {kind} out"
            )
            yield (*place, "epochs"), told


def _backbone(
    choice: Architecture, place: tuple[str, ...], image_size: int
) -> tuple[Backbone | None, list[Problem]]:
    """The backbone without its memory, or None and why not."""
    try:
        cls = backbone_class(choice)
    except ModuleError as error:
        return None, [(_code(place, choice), str(error))]
    except MissingExtraError as error:
        return None, [(place, str(error))]
    with torch.device("meta"):
        backbone, wrong = _build(cls, choice, place, image_size)
    if backbone is None:
        return None, wrong
    if told := refusal(backbone, choice, image_size):
        return None, [(place, told)]
    return backbone, []


def _check_weights(
    backbone: Backbone, choice: Architecture, place: tuple[str, ...], download: bool
) -> list[Problem]:
    if not isinstance(choice.pretrained, Weights):
        return []
    try:
        find(backbone, choice.pretrained, download=download)
        check_published(backbone, choice.pretrained)
    except WeightsError as error:
        return [(place, str(error))]
    return []


def _on_backbone(text: str, backbone: Choice) -> str:
    return text.replace("this backbone", f"backbone {backbone.label}")
