"""Further budgets, each written as what it changes: `budgets: {longer: {epochs: 40}}`."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_lab.experiment.budget import MAIN, Fit
from transfer_lab.experiment.choices import is_known_regime
from transfer_lab.experiment.plan import trials_of
from transfer_lab.experiment.spec import Experiment
from transfer_lab.experiment.sweeps import Expansion, Problem
from transfer_lab.experiment.yaml_source import Data, Key, KeyPath


def expand_budgets(data: Data) -> Expansion:
    """Each entry of `budgets` with all that it leaves as it is in `fit`."""
    made = Expansion(dict(data), [], {})
    budgets, usual = data.get("budgets"), data.get(MAIN) or {}
    if not isinstance(budgets, dict) or not isinstance(usual, dict):
        return made
    found = made.data["budgets"] = {}
    for name, changes in budgets.items():
        here: KeyPath = ("budgets", name)
        if name == MAIN:
            made.problems.append((here, "is what the main budget is called; give it another name"))
        changes = {} if changes is None else changes
        if not isinstance(changes, dict):
            found[name] = changes
            continue
        found[name] = {**usual, **changes}
        inherited = usual.keys() - changes.keys()
        if "val_fraction" in changes:  # patience is then not wrong where it was written, but here
            inherited -= {"patience"}
        made.origins.update({(*here, key): (MAIN, key) for key in inherited})
    return made


def budgets_of(experiment: Experiment) -> dict[KeyPath, Fit]:
    """All budgets of the targets' runs by the place where they are written, the main one first."""
    further = experiment.budgets.items()
    return {(MAIN,): experiment.fit} | {("budgets", name): fit for name, fit in further}


def budget_problems(experiment: Experiment) -> Iterator[Problem]:
    """Budgets that are another one again, and patience that could not see or must not be."""
    known: dict[Fit, Key] = {}
    for place, fit in budgets_of(experiment).items():
        if fit in known:  # it would show one result as two
            yield place, f"is the same as {known[fit]}"
        known.setdefault(fit, place[-1])
    yield from _blind_patience(experiment)


def _blind_patience(experiment: Experiment) -> Iterator[Problem]:
    patient = [place for place, fit in budgets_of(experiment).items() if fit.patience]
    if patient and _is_tuned(experiment):
        for place in patient:
            yield (
                (*place, "patience"),
                "the model of a tuned run learns from the validation images, too, so that none "
                "are left to watch; leave out patience or `tune`",
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
