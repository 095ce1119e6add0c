"""The short forms people write in an experiment, put into the full form of `spec`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from transfer_lab.experiment.catalog import BACKBONES, DOMAINS, REGIMES, Registry, suggest
from transfer_lab.experiment.families import members_named
from transfer_lab.experiment.spec import SIZES
from transfer_lab.experiment.sweeps import SIMILARITIES, implied
from transfer_lab.experiment.yaml_source import Data, KeyPath

Problem = tuple[KeyPath, str]

REGISTRIES: dict[str, Registry[Any]] = {
    "domains": DOMAINS,
    "backbones": BACKBONES,
    "regimes": REGIMES,
}
_BESIDE_OPTIONS = {
    "domains": ("module",),
    "backbones": ("module", "pretrained"),
    "regimes": ("module", "on", "scenarios", "tune", "teacher"),
}
_STARTS = ("run", "none", "imagenet", "package")
_MOST_TRIALS = 1000


def full_form(raw: Data) -> tuple[Data, list[Problem]]:
    """The data of an experiment in full form, and what cannot be understood."""
    data = dict(raw)
    problems: list[Problem] = []
    scenarios = data.get("scenarios")
    data.setdefault("domains", {})
    if isinstance(scenarios, dict):
        data["scenarios"] = {name: _scenario(name, value) for name, value in scenarios.items()}
        data["domains"] = _with_used_domains(data.get("domains"), _all_uses(data))
    for group, registry in REGISTRIES.items():
        value = data.get(group)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            twice = [i for i, name in enumerate(value) if name in value[:i]]
            problems += [((group, index), "the same name twice") for index in twice]
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            data[group] = {name: _choice(group, name, item) for name, item in value.items()}
            problems += _unknown(group, data[group], registry, raw)
    problems += _unknown_starts(data.get("backbones"))
    problems += _expand_trials(data, ("tune",))
    for name, choice in choices(data, "regimes"):
        problems += _expand_trials(choice, ("regimes", name, "tune"))
    return data, problems


def choices(data: Data, group: str) -> Iterator[tuple[str, Data]]:
    """The entries of a group that are choices in full form; what is malformed is left out."""
    found = data.get(group)
    for name, choice in found.items() if isinstance(found, dict) else ():
        if isinstance(choice, dict) and isinstance(choice.get("options"), dict):
            yield name, choice


def _scenario(name: object, value: object) -> object:
    """`small_similar` and the like say size and similarity by their name."""
    if not isinstance(value, dict):
        return value
    size, _, similarity = str(name).partition("_")
    named = size in SIZES and similarity in SIMILARITIES
    return implied(name) | value if named else value


def _with_used_domains(declared: object, uses: Mapping[KeyPath, object]) -> object:
    """Declared domains, and those that are named elsewhere, without options."""
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        declared = dict.fromkeys(declared)
    if declared is not None and not isinstance(declared, dict):
        return declared
    used = [name for name in uses.values() if isinstance(name, str)]
    return dict.fromkeys(used) | (declared or {})


def _choice(group: str, name: object, options: object) -> object:
    """`kind`, what stands beside the options, and the options; `family:name` taken apart."""
    if options is None:
        options = {}
    if not isinstance(options, dict):
        return options
    beside = {k: options[k] for k in _BESIDE_OPTIONS.get(group, ()) if k in options}
    rest = {k: v for k, v in options.items() if k != "kind" and k not in beside}
    kind = options.get("kind", name)
    module = beside.get("module")
    if isinstance(module, str):
        beside["module"], _, kind = module.partition(":")
    elif isinstance(kind, str) and ":" in kind and _is_family(group, kind):
        kind, _, member = kind.partition(":")
        rest = {"name": member} | rest
    return {"kind": kind, "options": rest, **beside}


def _is_family(group: str, kind: str) -> bool:
    family, registry = kind.partition(":")[0], REGISTRIES[group]
    return family in registry and registry[family].family


def _unknown(group: str, found: Data, registry: Registry[Any], raw: Data) -> list[Problem]:
    problems: list[Problem] = []
    for name, choice in found.items():
        kind = choice.get("kind") if isinstance(choice, dict) else None
        if not isinstance(kind, str) or "module" in choice or registry.knows(kind):
            continue
        hint = members_named(registry, kind) or suggest(kind, registry.names)
        message = f"no {registry.kind} named '{kind}'; {hint}"
        if group == "domains" and name not in (raw.get("domains") or {}):
            used = _all_uses(raw).items()
            problems += [(place, message) for place, domain in used if domain == name]
        else:
            key = raw[group].index(name) if isinstance(raw[group], list) else name
            problems.append(((group, key), message))
    return problems


def _all_uses(data: Data) -> dict[KeyPath, object]:
    """Where a domain is named outside of `domains`, and which."""
    uses: dict[KeyPath, object] = {
        ("scenarios", name, role): scenario.get(role)
        for name, scenario in data["scenarios"].items()
        if isinstance(scenario, dict)
        for role in ("source", "target")
    }
    uses |= {
        ("scenarios", name, role, position): domain
        for name, scenario in data["scenarios"].items()
        if isinstance(scenario, dict)
        for role in ("sources", "via")
        if isinstance(scenario.get(role), list)
        for position, domain in enumerate(scenario[role])
    }
    similarity = data.get("similarity")
    if isinstance(similarity, dict):
        uses["similarity", "far"] = similarity.get("far")
    return uses


def _unknown_starts(backbones: object) -> list[Problem]:
    """`imagenet`, `package` and `{run: REGIME}` in full form, and what `pretrained` cannot mean."""
    problems: list[Problem] = []
    for name, choice in choices({"backbones": backbones}, "backbones"):
        start = choice.get("pretrained", "run")
        if start in ("imagenet", "package"):
            choice["pretrained"] = {"origin": start}
        elif isinstance(start, dict) and [*start] == ["run"]:
            choice.update(pretrained="run", source_regime=start["run"])
        elif isinstance(start, dict) and [*start] == ["imagenet"]:
            choice["pretrained"] = {"origin": "imagenet", "sha256": start["imagenet"]}
        elif not (start in _STARTS or (isinstance(start, dict) and "file" in start)):
            choice["pretrained"] = "run"
            starts = (
                f"{', '.join(_STARTS)}, {{run: REGIME}}, {{imagenet: SHA256}} and "
                "{file: PATH, sha256: ...}"
            )
            message = f"{start!r} is none of {starts}"
            problems.append((("backbones", name, "pretrained"), message))
    return problems


def _expand_trials(holder: Data, place: KeyPath) -> list[Problem]:
    """`tune: {option: [values]}` as the list of all combinations; a list is one already."""
    values = holder.get("tune")
    if not isinstance(values, dict):
        return []
    wrong: list[Problem] = [
        ((*place, option), f"name the values to try as a list (it is {listed!r})")
        for option, listed in values.items()
        if not isinstance(listed, list) or not listed
    ]
    count = math.prod(len(listed) for listed in values.values()) if not wrong else 0
    if count > _MOST_TRIALS:
        wrong = [(place, f"makes {count:,} trials; {_MOST_TRIALS:,} at most")]
    made = [] if wrong else product(*values.values())
    holder["tune"] = [dict(zip(values, chosen, strict=True)) for chosen in made] or None
    return wrong
