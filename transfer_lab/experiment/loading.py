"""YAML + `--set a.b=v` -> Experiment, or all errors at once. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from transfer_lab.experiment.budget import MAIN, Augment, Fit
from transfer_lab.experiment.budget_sweeps import budget_problems, budgets_of, expand_budgets
from transfer_lab.experiment.catalog import suggest
from transfer_lab.experiment.choices import is_known_regime, regime_entry
from transfer_lab.experiment.fingerprints import pin_contents
from transfer_lab.experiment.plan import fits, trials_of
from transfer_lab.experiment.shorthand import full_form
from transfer_lab.experiment.spec import (
    Claim,
    Experiment,
    Pretrain,
    Scenario,
    SimilaritySettings,
    Tracking,
)
from transfer_lab.experiment.sweeps import expand_sizes
from transfer_lab.experiment.yaml_source import ConfigError, KeyPath, Source, read_yaml

_IMPLIED = ("size", "similarity")
_SPELT_OUT = 20
"""Seeds at most that a message lists."""
_MODELS: dict[KeyPath, type[BaseModel]] = {
    (): Experiment,
    ("fit",): Fit,
    ("fit", "augment"): Augment,
    ("pretrain", "augment"): Augment,
    ("pretrain",): Pretrain,
    ("similarity",): SimilaritySettings,
    ("wandb",): Tracking,
}
_ENTRIES: dict[KeyPath, type[BaseModel]] = {("scenarios",): Scenario, ("claims",): Claim}


@dataclass(frozen=True)
class ExperimentFile:
    """A valid experiment and the file it came from, for messages that name a line."""

    experiment: Experiment
    source: Source

    def refuse(self, problems: Iterable[tuple[KeyPath, str]]) -> None:
        """Raise ConfigError with every problem at its place; nothing if there is none."""
        lines = dict.fromkeys(self.source.problem(path, message) for path, message in problems)
        if lines:
            raise ConfigError(list(lines))

    def __getattr__(self, name: str) -> object:
        """What the experiment holds: `name`, `scenarios`, `seeds`, ..."""
        if name.startswith("__") or name == "experiment":  # as while it is being unpickled
            raise AttributeError(name)
        return getattr(self.experiment, name)

    def __repr__(self) -> str:
        return f"<experiment {self.experiment.name!r}, {self.source.path}>"


def load_experiment(path: Path | str, overrides: Iterable[str] = ()) -> ExperimentFile:
    """Read and check one experiment; raises ConfigError with every problem found.

    Options of domains, backbones and regimes are checked later, against their constructors
    (`preflight`), since that needs torch.
    """
    source = read_yaml(Path(path))
    for assignment in overrides:
        source.override(assignment)
    return checked(source)


def checked(source: Source) -> ExperimentFile:
    """The experiment that a source holds; raises ConfigError with every problem found."""
    sized = expand_sizes(source.data)
    expanded = expand_budgets(sized.data)
    source.origins = sized.origins | expanded.origins
    data, problems = full_form(expanded.data)
    problems += sized.problems + expanded.problems
    problems += pin_contents(data, source.path.parent)
    try:
        experiment = Experiment.model_validate(data)
        problems += dict.fromkeys(_contradictions(experiment))
        problems += _unfair_trials(experiment)
        problems += budget_problems(experiment)
        if not problems:
            problems += _unknown_arms(experiment)
    except ValidationError as error:
        problems += _explanations(error)
    lines = source.duplicate_keys() + [source.problem(*problem) for problem in problems]
    if lines:
        raise ConfigError(sorted(dict.fromkeys(lines), key=_line_number))
    return ExperimentFile(experiment, source)


def _explanations(error: ValidationError) -> list[tuple[KeyPath, str]]:
    """One problem a place: what the branches of a union say is joined."""
    messages: dict[KeyPath, list[str]] = {}
    for item in error.errors():
        path, message = _explain(item)
        messages.setdefault(_written(path), []).append(message)
    # A list without its wrong items may be too short; that is no second mistake.
    return [
        (path, "; or: ".join(texts))
        for path, texts in messages.items()
        if not any(other[: len(path)] == path != other for other in messages)
    ]


def _contradictions(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Regimes on backbones that are not there, and starts that lead nowhere."""
    backbones = experiment.backbones
    yield from _far_sources(experiment)
    for name, place in experiment.scenarios.items():
        if place.source and _same(experiment, place.source, place.target):
            yield ("scenarios", name), "source and target hold the same images"
    for name, regime in experiment.regimes.items():
        for position, backbone in enumerate(regime.on or ()):
            if backbone not in backbones:
                hint = suggest(backbone, backbones)
                yield ("regimes", name, "on", position), f"no backbone '{backbone}' here; {hint}"
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
    for name, place in experiment.scenarios.items():
        if place.per_class == 1:
            problem = "1 image per class leaves none for validation, by which trials are chosen"
            yield ("scenarios", name, "per_class"), problem


def _far_sources(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """A far domain that is a source: nothing lies between a domain and itself."""
    far = experiment.similarity.far
    for name, place in experiment.scenarios.items():
        if far and place.source and (place.source == far or _same(experiment, place.source, far)):
            yield (
                ("similarity", "far"),
                f"{far} is the source of scenario {name}, and nothing lies between a domain and "
                "itself; name another, or none for random pixels",
            )


def _same(experiment: Experiment, source: str, target: str) -> bool:
    first, second = (experiment.domains.get(name) for name in (source, target))
    if first is None or second is None:
        return False
    return first.canonical == second.canonical


def _unknown_arms(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
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


def _line_number(line: str) -> int:
    number = line.partition(":")[2].partition(":")[0]
    return int(number) if number.isdigit() else 0


def _explain(error: ErrorDetails) -> tuple[KeyPath, str]:
    path, message = tuple(error["loc"]), error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return path, f"unknown key; {suggest(str(path[-1]), _fields(path[:-1]))}"
    if error["type"] == "missing":
        hint = "; a scenario named like small_similar needs none" if path[-1] in _IMPLIED else ""
        return path, f"is missing{hint}"
    value = error.get("input")
    if path == ("seeds",) and error["type"] == "tuple_type":
        return path, _listed_seeds(value)
    shown = "" if isinstance(value, dict | list) else f" (it is {value!r})"
    return path, message + shown


def _listed_seeds(value: object) -> str:
    """What to write in place of a number of seeds."""
    if type(value) is int and 0 < value <= _SPELT_OUT:
        listed = list(range(value))
        many = "one seed" if value == 1 else f"{value} seeds"
        return f"a list of seeds is needed: write {listed} for {many} (it is {value})"
    return f"a list of seeds is needed, as [0, 1, 2] (it is {value!r})"


def _fields(path: KeyPath) -> list[str]:
    if path[:1] == ("budgets",):  # each is written as `fit` is
        path = (MAIN, *path[2:])
    model = _ENTRIES.get(path[:1], _MODELS.get(path, Experiment))
    return list(model.model_fields)


def _written(path: KeyPath) -> KeyPath:
    """The path as people write it: options stand beside `kind`, a union's branch has no name."""
    skip = ("options", "constrained-int", "literal['all']", "[key]", "int")
    return tuple(
        key for key in path if key not in skip or (path[0] == "pretrain" and key == "options")
    )
