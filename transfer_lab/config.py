"""YAML + `--set a.b=v` -> Experiment, or all errors at once. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from transfer_lab.backbones import BACKBONES
from transfer_lab.domains import DOMAINS
from transfer_lab.listing import DataUnavailable, list_images
from transfer_lab.regimes import REGIMES
from transfer_lab.registry import Registry, suggest
from transfer_lab.spec import Experiment, Fit, Pretrain, Scenario, Tracking
from transfer_lab.yaml_source import ConfigError, KeyPath, Source, read_yaml

_CHOICES: dict[str, Registry] = {
    "domains": DOMAINS,
    "backbones": BACKBONES,
    "regimes": REGIMES,
}
_IMPLIED = ("size", "similarity")
_MODELS: dict[KeyPath, type[BaseModel]] = {
    (): Experiment,
    ("fit",): Fit,
    ("pretrain",): Pretrain,
    ("wandb",): Tracking,
}


@dataclass(frozen=True)
class ExperimentFile:
    """A valid experiment and the file it came from, for messages that name a line."""

    experiment: Experiment
    source: Source

    def refuse(self, problems: Iterable[tuple[KeyPath, str]]) -> None:
        """Raise ConfigError with every problem at its place; nothing if there is none."""
        lines = [self.source.problem(path, message) for path, message in problems]
        if lines:
            raise ConfigError(lines)


def load_experiment(path: Path | str, overrides: Iterable[str] = ()) -> ExperimentFile:
    """Read and check one experiment; raises ConfigError with every problem found.

    Options of domains, backbones and regimes are checked later, against their constructors
    (`preflight`), since that needs torch.
    """
    source = read_yaml(Path(path))
    for assignment in overrides:
        source.override(assignment)
    data, problems = _normalise(source.data)
    problems += _pin_contents(data.get("domains"))
    experiment = None
    try:
        experiment = Experiment.model_validate(data)
    except ValidationError as error:
        problems += _explanations(error)
    lines = source.duplicate_keys() + [source.problem(*problem) for problem in problems]
    if lines:
        raise ConfigError(sorted(lines, key=_line_number))
    return ExperimentFile(experiment, source)


def _normalise(raw: Mapping) -> tuple[dict, list[tuple[KeyPath, str]]]:
    """The short forms people write -> the full form of `spec`, and unknown names."""
    data, problems = dict(raw), []
    scenarios = data.get("scenarios")
    data.setdefault("domains", {})
    if isinstance(scenarios, dict):
        data["scenarios"] = {name: _scenario(name, value) for name, value in scenarios.items()}
        data["domains"] = _with_used_domains(data.get("domains"), data["scenarios"])
    for group, registry in _CHOICES.items():
        value = data.get(group)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            twice = [i for i, name in enumerate(value) if name in value[:i]]
            problems += [((group, index), "the same name twice") for index in twice]
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            data[group] = {name: _choice(name, options) for name, options in value.items()}
            problems += _unknown(group, data[group], registry, raw)
    return data, problems


def _scenario(name: object, value: object) -> object:
    """`small_similar` and the like say size and similarity by their name."""
    if not isinstance(value, dict):
        return value
    size, _, similarity = str(name).partition("_")
    implied = {}
    if size in ("small", "large") and similarity in ("similar", "dissimilar"):
        implied = {"size": size, "similarity": similarity}
    return implied | value


def _with_used_domains(declared: object, scenarios: Mapping) -> object:
    """Declared domains, and those that scenarios name without options."""
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        declared = dict.fromkeys(declared)
    if declared is not None and not isinstance(declared, dict):
        return declared
    used = [
        scenario[role]
        for scenario in scenarios.values()
        if isinstance(scenario, dict)
        for role in ("source", "target")
        if isinstance(scenario.get(role), str)
    ]
    return dict.fromkeys(used) | (declared or {})


def _choice(name: object, options: object) -> object:
    if options is None:
        return {"kind": name, "options": {}}
    if not isinstance(options, dict):
        return options
    rest = {key: value for key, value in options.items() if key != "kind"}
    return {"kind": options.get("kind", name), "options": rest}


def _unknown(
    group: str, choices: Mapping, registry: Registry, raw: Mapping
) -> list[tuple[KeyPath, str]]:
    problems = []
    for name, choice in choices.items():
        kind = choice.get("kind") if isinstance(choice, dict) else None
        if not isinstance(kind, str) or kind in registry:
            continue
        message = f"no {registry.kind} named '{kind}'; {suggest(kind, registry)}"
        if group == "domains" and name not in (raw.get("domains") or {}):
            problems += [(place, message) for place in _uses(name, raw["scenarios"])]
        else:
            key = raw[group].index(name) if isinstance(raw[group], list) else name
            problems.append(((group, key), message))
    return problems


def _pin_contents(domains: object) -> list[tuple[KeyPath, str]]:
    """Put the hash of what a folder holds in the place of its name: results belong to contents."""
    problems = []
    for name, choice in domains.items() if isinstance(domains, dict) else ():
        options = choice.get("options") if isinstance(choice, dict) else None
        kind = choice.get("kind") if isinstance(choice, dict) else None
        if not (
            isinstance(options, dict)
            and isinstance(kind, str)
            and kind in DOMAINS
            and DOMAINS[kind].in_folder
        ):
            continue
        root = options.pop("root", None)
        if not isinstance(root, str):
            problems.append((("domains", name), "'root' is missing: the folder of the images"))
            continue
        try:
            options["content"] = list_images(root).fingerprint
        except (DataUnavailable, ValueError) as error:
            problems.append((("domains", name, "root"), str(error)))
        choice["root"] = root
    return problems


def _uses(domain: object, scenarios: Mapping) -> list[KeyPath]:
    return [
        ("scenarios", name, role)
        for name, scenario in scenarios.items()
        if isinstance(scenario, dict)
        for role in ("source", "target")
        if scenario.get(role) == domain
    ]


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


def _explain(error: Mapping) -> tuple[KeyPath, str]:
    path, message = tuple(error["loc"]), error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return path, f"unknown key; {suggest(str(path[-1]), _fields(path[:-1]))}"
    if error["type"] == "missing":
        hint = "; a scenario named like small_similar needs none" if path[-1] in _IMPLIED else ""
        return path, f"is missing{hint}"
    value = error.get("input")
    shown = "" if isinstance(value, dict | list) else f" (it is {value!r})"
    return path, message + shown


def _fields(path: KeyPath) -> list[str]:
    model = Scenario if path[:1] == ("scenarios",) else _MODELS.get(path, Experiment)
    return list(model.model_fields)


def _written(path: KeyPath) -> KeyPath:
    """The path as people write it: options stand beside `kind`, a union's branch has no name."""
    skip = ("options", "constrained-int", "literal['all']", "[key]", "int")
    return tuple(
        key for key in path if key not in skip or (path[0] == "pretrain" and key == "options")
    )
