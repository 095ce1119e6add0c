"""Writes the reference pages from the code: `python -m docs.reference`.

`experiments-reference.md` holds every key of an experiment, from the pydantic models;
`kinds.md` every domain, backbone and regime with its options, from the constructors. Types,
defaults and bounds are the code's own. The words beside a key stand in `MEANINGS`: a key without
words, or words without a key, is an error.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from transfer_lab.experiment.budget import Augment, Fit
from transfer_lab.experiment.catalog import BACKBONES, DOMAINS, REGIMES, Registry
from transfer_lab.experiment.looks import Looks
from transfer_lab.experiment.options import options_of
from transfer_lab.experiment.settings import Claim, SearchSettings, SimilaritySettings, Tracking
from transfer_lab.experiment.spec import (
    Experiment,
    Pretrain,
    Scenario,
)

FOLDER = Path(__file__).parent

HEAD = "<!-- Written by `python -m docs.reference` from the code; change that, not this page. -->"

MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "experiment": (Experiment, "The keys of the file itself."),
    "scenarios": (
        Scenario,
        "Each entry is one place of the matrix, under a name of your own. With "
        "`per_class: [5, 10, 20]` it is one scenario a size, named `<name>_5` and so on: the "
        "smallest is small, the largest large, those between are medium.",
    ),
    "seeds": (
        Looks,
        "In place of a list: `seeds: {start: 3, at_most: 8, until: 2}`. After each look at the "
        "results more seeds are trained only of the arms that are still in question.",
    ),
    "fit": (Fit, "The budget of every regime on the target."),
    "augment": (Augment, "Within `fit` or `pretrain`; off unless named."),
    "pretrain": (
        Pretrain,
        "The source run that regimes start from: training from scratch on the source domain. It "
        "has the keys of `fit`, for itself, and these:",
    ),
    "search": (
        SearchSettings,
        "Where the trials of `tune` are tried once for the whole grid; without it they are tried "
        "in each place and with each seed.",
    ),
    "claims": (Claim, "Each entry is a statement that the report holds against the results."),
    "similarity": (SimilaritySettings, "How the distance of source and target is measured."),
    "wandb": (Tracking, "Where copies of the results go at Weights & Biases."),
}

MEANINGS: dict[str, dict[str, str]] = {
    "experiment": {
        "name": "Name of the experiment, and of its folder under `reports/`.",
        "title": "Heading of the report.",
        "image_size": "Side of the square images in pixels, for every domain and backbone.",
        "domains": "Domains and their options, by name (see [below](#entries)). One without "
        "options need not be listed: its name in a scenario is enough.",
        "scenarios": "Places of the matrix: see [scenarios](#scenarios).",
        "backbones": "Backbones, by name: a list of kinds, or options (see [below](#entries)).",
        "regimes": "Regimes, by name: a list of kinds, or options (see [below](#entries)).",
        "seeds": "Each seed draws its own subset, initial weights and order of training. A list, "
        "or `{start: 3, at_most: 8, until: 2}`: more of them only where they are needed, see "
        "[seeds](#seeds).",
        "folds": "k-fold cross-validation: each seed divides all images of a target, its test set "
        "included, into so many folds, and each is tested on once. See "
        "[no images to spare](your-images.md#no-images-to-spare-for-a-test-set).",
        "fit": "The budget of every regime: see [fit](#fit).",
        "budgets": "Further budgets by name, each as what it changes of `fit`; everything that "
        "learns is run under each again.",
        "pretrain": "The source runs: see [pretrain](#pretrain).",
        "tune": "Trials for every regime that learns: `{option: [values]}` for all combinations, "
        "or a list of `{option: value}`. Validation accuracy chooses.",
        "search": "Trials are tried once for the whole grid: see [search](#search).",
        "claims": "Statements to be measured: see [claims](#claims).",
        "margin": "Points by which a regime may be behind another and still count as as good: a "
        "rule is refuted only by a larger lead. For `log_loss` hundredths of a nat.",
        "measure": "What leads in the report, decisions and rules included: on the test set, over "
        "the classes that occur or are predicted. Of `log_loss`, in nats, less is better.",
        "keep": "`best`: at the end the recommended model for each target is kept whole, as "
        "the command `train` writes one: see "
        "[the model itself](your-images.md#the-model-itself).",
        "precision": "Numbers that networks compute in: `fp32`, `bf16`, or `auto`, bf16 where the "
        "processor or the GPU has it in hardware. `--precision` overrides it.",
        "similarity": "See [similarity](#similarity).",
        "trackers": "Where finished runs are copied to: see "
        "[trackers](dashboard-and-trackers.md#trackers). `--tracker` overrides it.",
        "wandb": "See [wandb](#wandb).",
    },
    "scenarios": {
        "source": "Domain that source runs are trained on. May be left out where every backbone "
        "has ready-made weights.",
        "target": "Domain that is learnt; another one than the source.",
        "sources": "Further source domains, for regimes that see several.",
        "via": "Domains between source and target, on which the network is fine-tuned one after "
        "the other before it comes to the target.",
        "labels": "`none`: the target's images have no labels but for the test, and only regimes "
        "that need none are planned. Such regimes are planned nowhere else.",
        "control": "`self`: the target is its own source, of the very images that are learnt.",
        "per_class": "Labelled images per class, validation images included; or a list of sizes.",
        "size": "What the rules call it; implied by a name such as `small_similar`.",
        "similarity": "Your own word for how alike source and target are, which the report holds "
        "against a measurement; implied by a name such as `small_similar`.",
    },
    "seeds": {
        "start": "Seeds of every arm.",
        "at_most": "Seeds that an arm comes to which is still in question by then. Between the two "
        "are looks, each with rather more than half as many again: 3, 5, 8.",
        "until": "Percentage points: no more seeds once nothing tried can be so much better than "
        "what leads, with 95 % confidence over all looks.",
        "settle": "`backbones`: what is best on each backbone of a scenario, and over all of them; "
        "`scenarios`: over all of them alone, for fewer trainings.",
        "first": "The number of the first seed; the others follow.",
    },
    "fit": {
        "epochs": "Passes over the training images; with `patience` the most there may be.",
        "min_steps": "As many more epochs as it takes to make so many steps: for small data.",
        "batch_size": "Images a step.",
        "val_fraction": "Part of the labelled images that is held back for validation.",
        "augment": "Random changes of training images: see [augment](#augment).",
        "patience": "A phase of training ends once validation has not been better for so many "
        "times in a row, and the best model is kept. Together with `tune` only if there is a "
        "`search`.",
    },
    "augment": {
        "flip": "Left and right are swapped for half of the images.",
        "shift": "Images are moved by up to this part of their side, in both directions.",
    },
    "pretrain": {
        "regime": "What source runs are: `from_scratch`; one of another regime, as "
        "[`linear_probe`](kinds.md#linear_probe) for backbones with ready-made weights; or "
        "[`rotation`](kinds.md#rotation), [`autoencoder`](kinds.md#autoencoder) and "
        "[`denoising`](kinds.md#denoising), which read no labels. A backbone's `pretrained: {run: "
        "REGIME}` goes before it.",
        "per_class": "Source images per class.",
        "seed": "The seed of the source run that all seeds of the grid share.",
        "per_seed": "Each seed of the grid has a source run of its own, of the same seed.",
        "options": "Options of that regime for the source runs.",
    },
    "search": {
        "seed": "The seed at which trials are tried; no seed of the grid.",
        "scenarios": "Scenarios of which the mean validation accuracy chooses, for all of them; "
        "those with the fewest images unless named.",
        "epochs": "Of a trial at most, unless `min_steps` ask for more; the budget's unless named.",
    },
    "claims": {
        "text": "The statement in words.",
        "arm": "`backbone/regime`; of several, the one of best validation accuracy.",
        "relation": "On which side of `than` the arm is said to lie.",
        "than": "Another arm, `majority`, or a number.",
        "measure": "What is compared.",
        "scenario": "The scenario it is about; needed where there are several.",
        "published": "The number that the article gives.",
    },
    "similarity": {
        "far": "The domain that is 1 on the axis; images of random pixels unless named.",
        "images": "Images of each domain's training pool that are looked at, at most.",
    },
    "wandb": {
        "mode": "Whether finished runs are copied to Weights & Biases; `--wandb` overrides it. "
        "`offline` where it is left out and `trackers` names `wandb`.",
        "project": "Its project there.",
        "entity": "Its user or team there.",
    },
}

ENTRIES = """\
## entries

An entry of `domains`, `backbones` or `regimes` is a name and what it stands for. The name is the
kind, unless `kind` says another: so the same kind can stand there twice under names of your own.
All other keys are options of that kind and go to its constructor, and nowhere else: see
[kinds](kinds.md); installed packages may [provide more](adding-things.md#installed-packages).
These stand beside them:

| entry of | key | written as | meaning |
| :--- | :--- | :--- | :--- |
| any | `kind` | a [kind](kinds.md) | what the entry is, if its name does not say it |
| `backbones` | `pretrained` | `run`, `none`, `imagenet`, `package`, \
`{imagenet: HASH}` or `{file: PATH, sha256: HASH}` \
| what it starts from: a source run of the lab's own (the default), \
nothing (only regimes that need no source), the published weights, those that an installed package \
holds, or a file (`sha256` may be left out): see \
[ready-made weights](your-images.md#ready-made-weights) |
| any | `module` | `file.py:ClassName` | a class of your own, in a file beside the experiment or \
seen from where the command runs: see [adding things](adding-things.md) |
| `regimes` | `on` | list of backbones | the backbones it is run on; all unless named |
| `regimes` | `tune` | as `tune` of the experiment | trials of its own in place of those |
"""

INTRODUCTIONS: dict[str, tuple[Registry, str]] = {
    "Domains": (
        DOMAINS,
        "Datasets with one fixed test set; source or target. All of them take the experiment's "
        "`image_size`.",
    ),
    "Backbones": (BACKBONES, "Feature extractors made of ordered stages."),
    "Regimes": (
        REGIMES,
        "How the target is learnt. `recipe` is the optimiser and its schedule: `adamw_cosine` is "
        "the lab's own (AdamW, linear warm-up, cosine to zero), `keras_adam` and `keras_sgd` are "
        "those of published listings. Without `weight_decay` it is 1e-4 under `adamw_cosine`; the "
        "others have none.",
    ),
}


def experiment_page() -> str:
    """The page of all keys."""
    parts = [
        HEAD,
        "# Every key of an experiment",
        "An experiment is one YAML file. An unknown key, a wrong type or a value out of bounds is "
        "refused with its line before anything is trained. `--set a.b=value` overrides any of "
        "them on the command line.",
    ]
    for name, (model, introduction) in MODELS.items():
        parts += [f"## {name}", introduction, _keys(name, model)]
        if name == "experiment":
            parts.append(ENTRIES.rstrip())
    return "\n\n".join(parts) + "\n"


def kinds_page() -> str:
    """The page of all domains, backbones and regimes. Imports torch."""
    parts = [
        HEAD,
        "# Domains, backbones, regimes",
        "Every kind that an experiment can name, and its options. `family:NAME` is written with a "
        "name of that library, as in `torchvision:resnet50`.",
    ]
    for heading, (registry, introduction) in INTRODUCTIONS.items():
        parts += [f"## {heading}", introduction]
        for kind in registry:
            parts += _kind(registry, kind)
    return "\n\n".join(parts) + "\n"


def _keys(name: str, model: type[BaseModel]) -> str:
    inherited = set(Fit.model_fields) if model is Pretrain else {"looks"}  # those are `seeds`
    meanings, fields = MEANINGS[name], set(model.model_fields) - inherited
    if fields != set(meanings):
        raise SystemExit(f"docs/reference.py: MEANINGS of {name}: {fields ^ set(meanings)}")
    schema = model.model_json_schema()
    rows = [
        f"| `{key}` | {_type(schema['properties'][key], schema)} "
        f"| {'–' if (name, key) in _IMPLIED else _default(field)} | {meanings[key]} |"
        for key, field in model.model_fields.items()
        if key in fields
    ]
    head = ["| key | value | default | meaning |", "| :--- | :--- | :--- | :--- |"]
    return "\n".join(head + rows)


_IMPLIED = {("experiment", "domains"), ("scenarios", "size"), ("scenarios", "similarity")}
"""Required in the full form, and filled in where the short form says them otherwise."""


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "as below"
    return "–" if value in (None, {}, "") else f"`{_yaml(value)}`"


def _type(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in part:
        told = [_type(one, schema) for one in part["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(told))
    if "$ref" in part:
        return _type(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part.get("type") == "array":
        return f"list of {_type(part['items'], schema)}" if "items" in part else "list"
    if part.get("type") == "object":
        return "keys" if "properties" in part else "entries by name"
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
    return words[part["type"]] + "".join(_bounds(part))


def _bounds(part: Mapping[str, Any]) -> Iterator[str]:
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
    for key, sign in (*signs, ("exclusiveMaximum", "<")):
        if key in part:
            yield f", {sign} {part[key]:g}" if part[key] < 1e6 else ""


def _kind(registry: Registry, kind: str) -> list[str]:
    entry, cls = registry[kind], registry.described(kind)
    name = f"{kind}:NAME" if entry.family else kind
    told = [f"### `{name}`", *_flags(entry), *_paragraphs(cls)]
    rows = [
        f"| `{option}` | {_annotation(p)} | {_option_default(p)} |"
        for option, p in options_of(cls).items()
        if not (entry.family and option == "name")
        if (kind, option) not in _FILLED_IN
    ]
    head = ["| option | value | default |", "| :--- | :--- | :--- |"]
    told.append("\n".join(head + rows) if rows else "No options.")
    return told


_FILLED_IN = {("folder", "content"), ("one_against_background", "content")}
"""What the lab itself says to the constructor."""


def _flags(entry: object) -> Iterator[str]:
    if getattr(entry, "control", False):
        yield "*A control: there for comparison, and never recommended.*"
    if getattr(entry, "from_source", None) is False:
        yield "*Needs no source.*"


def _paragraphs(cls: type) -> list[str]:
    """The class's own words, and what its bases say of options that it has from them."""
    told = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("transfer_lab"):
            continue
        for text in inspect.cleandoc(base.__doc__ or "").split("\n\n"):
            new = [name for name in options_of(cls) if f"`{name}`" in text]
            new = [name for name in new if f"`{name}`" not in " ".join(told)]
            if new and (match := re.match(r"Options?: ", text)):
                told.append(f"Options of {base.__name__}: {text[match.end() :]}")
    return [" ".join(text.split()) for text in told]


def _annotation(parameter: inspect.Parameter) -> str:
    """The type in words; None stands in the column of defaults."""
    kind = parameter.annotation
    union = get_origin(kind) in (Union, UnionType)
    words = [
        word
        for one in (get_args(kind) if union else (kind,))
        if one is not NoneType
        for word in _words(one)
    ]
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _words(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [f"`{value}`" for value in get_args(kind)]
    return [_TYPES[kind]]


_TYPES = {
    float: "number",
    int: "integer",
    bool: "true or false",
    str: "text",
    Sequence[int]: "list of integers",
    Sequence[str]: "list of texts",
}


def _option_default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    return "–" if parameter.default is None else f"`{_yaml(parameter.default)}`"


def _yaml(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


PAGES = {"experiments-reference.md": experiment_page, "kinds.md": kinds_page}


def main() -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
