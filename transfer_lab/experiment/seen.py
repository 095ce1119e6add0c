"""What regimes would see beside the target's images and cannot have: found before any training."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.budget import MAIN
from transfer_lab.experiment.catalog import REGIMES, suggest
from transfer_lab.experiment.choices import Arm, is_known_regime, regime_entry
from transfer_lab.experiment.plan import fits, suits, trials_of
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
            for position, domain in enumerate(getattr(place, role)):
                if domain in (place.source, place.target):
                    told = f"{domain} is the scenario's source or target already"
                    yield (*here, role, position), told


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
    elif regime_entry(experiment.regimes[arm.regime]).adds_layers:
        told = f"{arm.regime} leaves layers between the backbone's: no other network learns from it"
        yield (*place, "regime"), told


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
        if experiment.fit.patience and planned:
            told = "patience watches labels of validation images, and there are none"
            yield (MAIN, "patience"), told


def _pretraining(experiment: Experiment) -> Iterator[Problem]:
    """Regimes that are for source runs alone, and source runs of regimes that are not for them."""
    for name, regime in experiment.regimes.items():
        if is_known_regime(regime) and regime_entry(regime).pretext:
            told = f"{regime.kind} learns no classes: write pretrain: {{regime: {regime.kind}}}"
            yield ("regimes", name), told
    named: dict[KeyPath, str] = {("pretrain", "regime"): experiment.pretrain.regime}
    for name, backbone in experiment.backbones.items():
        if backbone.source_regime:
            named["backbones", name, "pretrained", "run"] = backbone.source_regime
    for place, kind in named.items():
        if kind not in REGIMES:
            yield place, f"no regime named '{kind}'; {suggest(kind, REGIMES.names)}"
            continue
        entry = REGIMES[kind]
        if entry.sees or entry.source_head or not entry.spends_budget:
            yield place, f"{kind} learns nothing from a source's images alone"
        elif entry.adds_layers:
            told = "leaves layers between the backbone's: no other run starts from those"
            yield place, f"{kind} {told}"


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
