"""What regimes would see beside the target's images and cannot have: found before any training."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.catalog import DOMAINS, REGIMES, RegimeEntry, suggest
from transfer_lab.experiment.choices import Arm, Choice, is_known_regime, regime_entry
from transfer_lab.experiment.plan import budgets_of, fits, spends_budget, suits, trials_of
from transfer_lab.experiment.spec import Experiment
from transfer_lab.experiment.yaml_source import KeyPath

Problem = tuple[KeyPath, str]


def unseen(experiment: Experiment) -> Iterator[Problem]:
    """Regimes that lack what they see, teachers that are none, and what cannot be had without
    labels of the target."""
    yield from _missing_sources(experiment)
    yield from _teachers(experiment)
    yield from _without_labels(experiment)
    yield from _pretraining(experiment)


def _missing_sources(experiment: Experiment) -> Iterator[Problem]:
    for scenario, place in experiment.scenarios.items():
        here: KeyPath = ("scenarios", scenario)
        for name in _known(experiment, scenario):
            entry = regime_entry(experiment.regimes[name])
            if entry.needs_source_images and place.source is None:
                yield here, f"is without a source, whose images {name} sees; name a source"
            elif {"source", "sources"} & {*entry.sees} and place.control == "self":
                told = f"its own images are the source, so that {name} has nothing else to see"
                yield (*here, "control"), f"{told}; put {name} into an experiment without it"
        if place.sources and place.source is None:
            yield (*here, "source"), "is missing: `sources` are those that come beside it"
        for role in ("sources", "via"):
            listed = getattr(place, role)
            for position, domain in enumerate(listed):
                others = (place.source, place.target, *listed[:position])
                if any(other and same(experiment, domain, other) for other in others):
                    told = f"{domain} holds images that are the scenario's already"
                    yield (*here, role, position), told
        fractions = {fit.val_fraction for fit in (experiment.fit, *experiment.budgets.values())}
        if place.control == "self" and len(fractions) > 1:
            told = "budgets with other val_fractions would validate on what its source run learnt"
            yield (*here, "control"), told


def _teachers(experiment: Experiment) -> Iterator[Problem]:
    for name, regime in experiment.regimes.items():
        place: KeyPath = ("regimes", name, "teacher")
        if not is_known_regime(regime):
            continue
        needs = "teacher" in regime_entry(regime).sees
        arm = regime.teacher
        if arm is None:
            if needs:
                told = (
                    "is missing: write teacher: {backbone: ..., regime: ...}, an arm of this grid"
                )
                yield place, told
            continue
        if not needs:
            yield place, f"{regime.kind} has no teacher"
        yield from _no_arm(experiment, arm, place)


def _no_arm(experiment: Experiment, arm: Arm, place: KeyPath) -> Iterator[Problem]:
    """Why that arm cannot teach."""
    if arm.backbone not in experiment.backbones:
        hint = suggest(arm.backbone, experiment.backbones)
        yield (*place, "backbone"), f"no backbone '{arm.backbone}' here; {hint}"
    elif arm.regime not in experiment.regimes:
        hint = suggest(arm.regime, experiment.regimes)
        yield (*place, "regime"), f"no regime '{arm.regime}' here; {hint}"
    elif experiment.regimes[arm.regime].teacher is not None:
        yield (*place, "regime"), f"{arm.regime} has a teacher itself"
    elif not fits(experiment, arm.backbone, arm.regime):
        yield place, f"{arm.backbone}/{arm.regime} is not planned"
    elif not is_known_regime(experiment.regimes[arm.regime]):
        return
    elif regime_entry(experiment.regimes[arm.regime]).adds_layers:
        told = (
            "leaves layers or a head that are not the backbone's: no other network learns from it"
        )
        yield (*place, "regime"), f"{arm.regime} {told}"
    elif regime_entry(experiment.regimes[arm.regime]).control:
        yield (*place, "regime"), f"{arm.regime} is a control and teaches nothing"
    else:
        yield from _not_everywhere(experiment, place)


def _not_everywhere(experiment: Experiment, place: KeyPath) -> Iterator[Problem]:
    """Scenarios that have the student and not its teacher, and trials that its teacher spoils."""
    student = str(place[1])
    arm = experiment.regimes[student].teacher
    assert arm is not None
    for scenario in experiment.scenarios:
        if suits(experiment, scenario, student) and not suits(experiment, scenario, arm.regime):
            yield (*place, "regime"), f"{arm.regime} is not planned in {scenario}, where it teaches"
    both = trials_of(experiment, student) and trials_of(experiment, arm.regime)
    if both and experiment.search is None:
        told = (
            f"{arm.regime} has trials and so has learnt in the end from the validation images too, "
            f"by which those of {student} are chosen; leave `tune` out for one of both"
        )
        yield place, told


def _without_labels(experiment: Experiment) -> Iterator[Problem]:
    """Of what reads labels there must be something else to learn from, and nothing to choose by."""
    for scenario, place in experiment.scenarios.items():
        here: KeyPath = ("scenarios", scenario)
        planned = _known(experiment, scenario)
        if experiment.regimes and not planned:
            without = place.labels == "none"
            told = "needs labels of the target" if without else "is for targets without labels"
            yield here, f"no regime is planned here: each {told}"
        if place.labels == "given":
            continue
        for name in planned:
            if trials_of(experiment, name):
                told = f"{name} has trials, but without labels nothing says which is the best"
                yield (*here, "labels"), f"{told}; leave `tune` out for such regimes"
        stepping = [name for name in planned if spends_budget(experiment, name)]
        for where, fit in budgets_of(experiment).items():
            if fit.patience and stepping:
                told = f"it watches labels of validation images, and {scenario} has none"
                yield (*where, "patience"), told


def _pretraining(experiment: Experiment) -> Iterator[Problem]:
    """Regimes that are for source runs alone, and source runs of regimes that are not for them."""
    for name, regime in experiment.regimes.items():
        if is_known_regime(regime) and regime_entry(regime).pretext:
            told = f"{regime.kind} learns no classes: write pretrain: {{regime: {regime.kind}}}"
            yield ("regimes", name), told
    for place, kind in _named(experiment).items():
        if kind not in REGIMES:
            yield place, f"no regime named '{kind}'; {suggest(kind, REGIMES.names)}"
            continue
        entry = REGIMES[kind]
        if entry.sees or entry.source_head or entry.control or not entry.spends_budget:
            yield place, f"{kind} learns nothing from a source's images alone"
        elif entry.adds_layers:
            told = "leaves layers between the backbone's: no other run starts from those"
            yield place, f"{kind} {told}"
        elif entry.from_source and _starts_from_nothing(experiment, place):
            told = "goes on from weights, and backbones here start from none: give them weights"
            yield place, f"{kind} {told}, or write from_scratch"
        elif entry.pretext and (going_by := _going_by_heads(experiment)):
            told = f"learns no classes, and {', '.join(going_by)} goes by the source's answers"
            yield place, f"{kind} {told}"


def _named(experiment: Experiment) -> dict[KeyPath, str]:
    """What source runs are, by where that is written."""
    named: dict[KeyPath, str] = {("pretrain", "regime"): experiment.pretrain.regime}
    for name, backbone in experiment.backbones.items():
        if backbone.source_regime:
            named["backbones", name, "pretrained", "run"] = backbone.source_regime
    return named


def _starts_from_nothing(experiment: Experiment, place: KeyPath) -> bool:
    """Whether a source run that is named there has no weights to go on from."""
    if place[0] == "backbones":
        return True
    starts = [b for b in experiment.backbones.values() if not b.source_regime]
    return any(backbone.pretrained == "run" for backbone in starts)


def _going_by_heads(experiment: Experiment) -> list[str]:
    """Planned regimes that start from the head of the source's model."""
    planned = {name for scenario in experiment.scenarios for name in _known(experiment, scenario)}
    return [n for n in experiment.regimes if n in planned and _entry(experiment, n).source_head]


def _entry(experiment: Experiment, name: str) -> RegimeEntry:
    return regime_entry(experiment.regimes[name])


def _known(experiment: Experiment, scenario: str) -> list[str]:
    """Regimes that are planned in a scenario on some backbone."""
    return [
        name
        for name, regime in experiment.regimes.items()
        if is_known_regime(regime)
        and suits(experiment, scenario, name)
        and any(
            fits(experiment, backbone, name)
            for backbone in experiment.backbones
            if regime.on is None or backbone in regime.on
        )
    ]


def same(experiment: Experiment, source: str, target: str) -> bool:
    """Whether two domains hold the same images, under whatever names."""
    first, second = (experiment.domains.get(name) for name in (source, target))
    if first is None or second is None or _unread(first) or _unread(second):
        return False
    return first.canonical == second.canonical


def _unread(domain: Choice) -> bool:
    """A folder whose content is not known: why it is not has been told."""
    in_folder = domain.kind in DOMAINS and DOMAINS[domain.kind].in_folder
    return bool(in_folder) and "content" not in domain.options
