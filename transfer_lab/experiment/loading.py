"""YAML + `--set a.b=v` -> Experiment, or all errors at once. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from transfer_lab.experiment.budget import MAIN, Augment, Fit
from transfer_lab.experiment.catalog import suggest
from transfer_lab.experiment.checks import contradictions, unknown_arms
from transfer_lab.experiment.choices import SearchSettings
from transfer_lab.experiment.fingerprints import pin_contents
from transfer_lab.experiment.installed import look_anew
from transfer_lab.experiment.looks import EXAMPLE, Looks
from transfer_lab.experiment.shorthand import full_form
from transfer_lab.experiment.spec import (
    Claim,
    Experiment,
    Pretrain,
    Scenario,
    SimilaritySettings,
    Tracking,
)
from transfer_lab.experiment.sweeps import expand_budgets, expand_sizes
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
    ("search",): SearchSettings,
    ("similarity",): SimilaritySettings,
    ("wandb",): Tracking,
    ("looks",): Looks,
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
    look_anew()
    sized = expand_sizes(source.data)
    expanded = expand_budgets(sized.data)
    source.origins = sized.origins | expanded.origins
    data, problems = full_form(expanded.data)
    problems += sized.problems + expanded.problems
    problems += pin_contents(data, source.path.parent)
    try:
        experiment = Experiment.model_validate(data)
        problems += contradictions(experiment)
        if not problems:
            problems += unknown_arms(experiment)
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


def _line_number(line: str) -> int:
    number = line.partition(":")[2].partition(":")[0]
    return int(number) if number.isdigit() else 0


def _explain(error: ErrorDetails) -> tuple[KeyPath, str]:
    path, message = tuple(error["loc"]), error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return path, f"unknown key; {suggest(str(path[-1]), _fields(path[:-1]))}"
    if error["type"] == "missing":
        if path[0] == "looks":
            return path, f"is missing: write seeds: {EXAMPLE}, or a list of seeds"
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
    return [name for name in model.model_fields if name != "looks"]  # which stand under seeds


def _written(path: KeyPath) -> KeyPath:
    """The path as people write it: options stand beside `kind`, a union's branch has no name."""
    if path[0] == "looks" and len(path) > 1:
        path = ("seeds", *path[1:])
    skip = ("options", "constrained-int", "literal['all']", "[key]", "int")
    return tuple(
        key for key in path if key not in skip or (path[0] == "pretrain" and key == "options")
    )
