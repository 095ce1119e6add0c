"""What of an experiment contradicts itself, found once all of it is understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import suggest
from transfer_lab.experiment.choices import is_known_regime, regime_entry
from transfer_lab.experiment.plan import budgets_of, fits, searched_in, trials_of
from transfer_lab.experiment.seen import same, unseen
from transfer_lab.experiment.spec import Experiment
from transfer_lab.experiment.yaml_source import Key, KeyPath

Problem = tuple[KeyPath, str]


def contradictions(experiment: Experiment) -> list[Problem]:
    """Everything that cannot be meant, each at its place."""
    problems = list(dict.fromkeys(_lost_starts(experiment)))
    problems += unseen(experiment)
    problems += _unfair_trials(experiment)
    problems += _search_problems(experiment)
    problems += _budget_problems(experiment)
    problems += _unread_groups(experiment)
    problems += _not_with_folds(experiment)
    return problems


def _unread_groups(experiment: Experiment) -> Iterator[Problem]:
    """Groups of images that nothing keeps together: only folds do."""
    targets = {place.target for place in experiment.scenarios.values()}
    for name, domain in experiment.domains.items():
        if domain.options.get("groups") is None or name not in targets:
            continue
        if experiment.folds is None:
            told = "only folds keep groups of images together: write folds: 5, or leave groups out"
            yield ("domains", name, "groups"), told


def _not_with_folds(experiment: Experiment) -> Iterator[Problem]:
    """What would choose by images that are tested on later, and what stops by intervals that more
    seeds do not narrow."""
    if experiment.folds is None:
        return
    if experiment.search is not None:
        told = "would choose by images that folds test on; leave it out, and each fold has its own"
        yield ("search",), f"{told} trials"
    if experiment.looks is not None:
        told = "with folds more seeds divide the same images again and decide little: write a list"
        yield ("seeds",), told


def _lost_starts(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Regimes on backbones that are not there, and starts that lead nowhere."""
    backbones = experiment.backbones
    yield from _far_sources(experiment)
    for name, place in experiment.scenarios.items():
        meant = place.control == "self"
        if place.source and not meant and same(experiment, place.source, place.target):
            yield ("scenarios", name), "source and target hold the same images"
    yield from _not_there(experiment)
    for name, regime in experiment.regimes.items():
        known = [b for b in regime.on or backbones if b in backbones]
        if not is_known_regime(regime) or not regime_entry(regime).from_source or not known:
            continue
        if all(backbones[b].pretrained == "none" for b in known):
            yield ("regimes", name), "it starts from a source, and no backbone it is for has one"
        for scenario, own in experiment.scenarios.items():
            if own.source is None and any(backbones[b].pretrained == "run" for b in known):
                yield (
                    ("scenarios", scenario),
                    "is without a source, but some regimes start from a source run; name a "
                    "source, or give the backbones `pretrained` weights",
                )


def _not_there(experiment: Experiment) -> Iterator[Problem]:
    for name, regime in experiment.regimes.items():
        for position, backbone in enumerate(regime.on or ()):
            if backbone not in experiment.backbones:
                hint = suggest(backbone, experiment.backbones)
                yield ("regimes", name, "on", position), f"no backbone '{backbone}' here; {hint}"
        for position, scenario in enumerate(regime.scenarios or ()):
            if scenario not in experiment.scenarios:
                hint = suggest(scenario, experiment.scenarios)
                place = ("regimes", name, "scenarios", position)
                yield place, f"no scenario '{scenario}' here; {hint}"


def _unfair_trials(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Regimes with more trials than others, and trials that no validation image could tell
    apart."""
    regimes = experiment.regimes
    for name, regime in regimes.items():
        if regime.tune and is_known_regime(regime) and not regime_entry(regime).tunable:
            yield ("regimes", name, "tune"), f"{regime.kind} learns nothing that could be tuned"
    learning = [n for n, r in regimes.items() if is_known_regime(r) and regime_entry(r).tunable]
    counts = {name: len(trials_of(experiment, name) or (None,)) for name in learning}
    searches = Counter(count for count in counts.values() if count > 1)
    if not searches:
        return
    ((usual, _),) = searches.most_common(1)
    like = next(name for name, count in counts.items() if count == usual)
    for name, count in counts.items():
        if count != usual:
            here = ("regimes", name, *(("tune",) if regimes[name].tune else ()))
            told = f"{count} trial{'s' if count > 1 else ''}, but {like} has {usual}"
            yield here, f"{told}: give every regime the same number"
    for budget, fit in budgets_of(experiment).items():
        if fit.val_fraction == 0:
            yield (*budget, "val_fraction"), "is 0, but trials are chosen by validation images"
    searched = {name for regime in learning for name in searched_in(experiment, regime)}
    for name, place in experiment.scenarios.items():
        if place.per_class == 1 and (experiment.search is None or name in searched):
            problem = "1 image per class leaves none for validation, by which trials are chosen"
            yield ("scenarios", name, "per_class"), problem


def _search_problems(experiment: Experiment) -> Iterator[Problem]:
    """Searches at a seed of the grid, of nothing, or where a regime is not."""
    search, regimes = experiment.search, experiment.regimes
    if search is None:
        return
    tuned = [n for n, r in regimes.items() if is_known_regime(r) and trials_of(experiment, n)]
    if not tuned:
        yield ("search",), "there are no trials; write `tune`, or leave search out"
    if search.seed in experiment.seeds:
        listed = ", ".join(map(str, experiment.seeds))
        told = (
            f"{search.seed} is a seed of the grid ({listed}): options would be chosen by images "
            "that the grid's runs validate on; name another, or leave it out of seeds"
        )
        yield ("search", "seed"), told
    for position, name in enumerate(search.scenarios or ()):
        place: KeyPath = ("search", "scenarios", position)
        if name not in experiment.scenarios:
            yield place, f"no scenario '{name}' here; {suggest(name, experiment.scenarios)}"
    known = {*search.scenarios} <= {*experiment.scenarios} if search.scenarios else False
    for name in tuned if known else ():
        if not searched_in(experiment, name):
            told = f"{name} has trials and is planned in none of these; name one in which it is"
            yield ("search", "scenarios"), told


def _far_sources(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """A far domain that is a source: nothing lies between a domain and itself."""
    far = experiment.similarity.far
    for name, place in experiment.scenarios.items():
        if place.control == "self":
            continue
        if far and place.source and (place.source == far or same(experiment, place.source, far)):
            yield (
                ("similarity", "far"),
                f"{far} is the source of scenario {name}, and nothing lies between a domain and "
                "itself; name another, or none for random pixels",
            )


def unknown_arms(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Claims about arms or scenarios that are not planned."""
    arms = {
        f"{backbone}/{regime}"
        for backbone in experiment.backbones
        for regime in experiment.regimes
        if fits(experiment, backbone, regime)
    }
    for name, claim in experiment.claims.items():
        if claim.scenario is None and len(experiment.scenarios) > 1:
            yield ("claims", name), "'scenario' is missing: there are several"
        if claim.than == "majority" and claim.measure != "test_accuracy":
            yield ("claims", name, "than"), "the majority class takes no time; name an arm"
        named: list[tuple[str, str | float | None, set[str]]] = [
            *(("arm", arm, arms) for arm in claim.arms),
            ("than", claim.than, arms | {"majority"}),
            ("scenario", claim.scenario, {*experiment.scenarios}),
        ]
        for key, value, known in named:
            if isinstance(value, str) and value not in known:
                yield ("claims", name, key), f"no {value!r} here; {suggest(value, known)}"


def _budget_problems(experiment: Experiment) -> Iterator[Problem]:
    """Budgets that are another one again, and patience that could not see or must not be."""
    known: dict[Fit, Key] = {}
    for place, fit in budgets_of(experiment).items():
        if fit in known:  # it would show one result as two
            yield place, f"is the same as {known[fit]}"
        known.setdefault(fit, place[-1])
    yield from _blind_patience(experiment)


def _blind_patience(experiment: Experiment) -> Iterator[Problem]:
    patient = [place for place, fit in budgets_of(experiment).items() if fit.patience]
    if patient and experiment.search is None and _is_tuned(experiment):
        for place in patient:
            yield (
                (*place, "patience"),
                "the model of a tuned run learns from the validation images, too, so that none "
                "are left to watch; leave out patience or `tune`, or tune at a seed of its own "
                "(`search`)",
            )
    single = "1 image per class leaves none for validation, which patience watches"
    for name, scenario in experiment.scenarios.items():
        if patient and scenario.per_class == 1:
            yield ("scenarios", name, "per_class"), single
    if experiment.pretrain.patience and experiment.pretrain.per_class == 1:
        yield ("pretrain", "per_class"), single


def _is_tuned(experiment: Experiment) -> bool:
    known = (name for name, regime in experiment.regimes.items() if is_known_regime(regime))
    return any(trials_of(experiment, name) for name in known)
