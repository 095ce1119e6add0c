"""The vocabulary as data: experiment, scenario, run, cell. Frozen, no torch."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from transfer_lab.experiment.budget import Fit, Float, Int
from transfer_lab.experiment.choices import (
    Architecture,
    Choice,
    Options,
    Regime,
    Spec,
    Trials,
    Weights,
)
from transfer_lab.experiment.looks import EXAMPLE, Looks, Seed, spelt_out
from transfer_lab.experiment.settings import (
    Claim,
    SearchSettings,
    SimilaritySettings,
    Slug,
    TrackerName,
    Tracking,
)
from transfer_lab.system.sealed_json import canonical
from transfer_lab.system.workers import Numbers

PROTOCOL = 3
"""Raised whenever a change of code changes results, so that old records are not reused."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_.-]{1,63})?$")]
"""A slug, or a member of a family: `torchvision:CIFAR10`."""
PerClass = Annotated[Int, Field(ge=1)] | Literal["all"]
Size = Literal["small", "medium", "large"]
"""Of the sizes between the smallest and the largest, the rules say nothing."""
SIZES: tuple[Size, ...] = ("small", "medium", "large")
Similarity = Literal["similar", "dissimilar"]


class Pretrain(Fit):
    """The source run: a `from_scratch` run on the source domain, unless `regime` names another.

    Its budget and its augmentation are its own and not those of the target.
    """

    regime: Slug = "from_scratch"

    per_class: PerClass = "all"
    seed: Seed = 0
    per_seed: Annotated[bool, Field(strict=True)] = False
    options: dict[str, JsonValue] = Field({})

    @property
    def fit(self) -> Fit:
        """The budget part alone."""
        return Fit(**{name: getattr(self, name) for name in Fit.model_fields})


class Scenario(Spec):
    """A source, a target and the labelled images per class (validation images included).

    The source may be left out where no backbone is pretrained by a source run. `sources`: further
    ones, for regimes that see several. `via`: domains that lie between, on which the network is
    fine-tuned one after the other before the target. `labels: none`: the target's images have no
    labels but for the test. `control: self`: the target is its own source, of the same images.
    """

    source: str | None = None
    sources: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    target: str
    labels: Literal["given", "none"] = "given"
    control: Literal["self"] | None = None
    per_class: PerClass
    size: Size
    similarity: Similarity

    @property
    def learnt(self) -> tuple[str, ...]:
        """The domains that lie before the target, in the order in which they are learnt."""
        return (*(() if self.source is None else (self.source,)), *self.via)

    @property
    def path(self) -> str:
        """These as one name: 'textures → latin'."""
        return " → ".join(self.learnt)

    @model_validator(mode="before")
    @classmethod
    def _two_domains(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        source, target = data.get("source"), data.get("target")
        if data.get("control") == "self":
            if data.get("labels") == "none":
                raise ValueError("control: self learns the target's labels; leave labels out")
            if source not in (None, target):
                raise ValueError("control: self makes the target its own source; leave source out")
            return data | {"source": target}
        if source is not None and source == target:
            raise ValueError(
                "source and target are the same domain; nothing is transferred (control: self "
                "says that this is meant)"
            )
        return data


class Experiment(Spec):
    """One YAML file: scenarios x backbones x regimes x seeds under one shared budget, and under
    each of the further `budgets` again."""

    name: Slug
    title: str = ""
    image_size: Int = Field(32, ge=8, le=1024)
    domains: dict[Name, Choice]
    scenarios: dict[Slug, Scenario] = Field(min_length=1)
    backbones: dict[Name, Architecture] = Field(min_length=1)
    regimes: dict[Slug, Regime] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)
    folds: Annotated[Int, Field(ge=2)] | None = None
    looks: Looks | None = None
    """Written in place of the seeds, which then are all that an arm may come to."""
    fit: Fit = Fit()
    budgets: dict[Slug, Fit] = Field({})
    pretrain: Pretrain = Pretrain()
    tune: Trials | None = None
    search: SearchSettings | None = None
    claims: dict[Slug, Claim] = Field({})
    margin: Float = Field(1, gt=0, le=100)
    """Points by which a regime may be behind and still count as good as another; of no run."""
    measure: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = "accuracy"
    """What leads in the report; of no run."""
    keep: Literal["best"] | None = None
    """Whether the recommended model is kept for each target; of no run."""
    precision: Numbers = "auto"
    """Numbers that networks compute in unless whoever runs it asks for others; of no run."""
    similarity: SimilaritySettings = SimilaritySettings()
    trackers: tuple[TrackerName, ...] = ()
    wandb: Tracking = Tracking()

    @property
    def tracking(self) -> Tracking:
        """What W&B is given: copies that stay here, where `trackers` names it and `wandb.mode` says
        nothing."""
        silent = "mode" not in self.wandb.model_fields_set
        if "wandb" in self.trackers and silent:
            return self.wandb.model_copy(update={"mode": "offline"})
        return self.wandb

    _looks_in_place_of_seeds = model_validator(mode="before")(spelt_out)

    @field_validator("backbones")
    @classmethod
    def _distinct_labels(cls, backbones: dict[str, Architecture]) -> dict[str, Architecture]:
        """Files of the same name may hold different code or weights: the entries' names tell."""
        if len({choice.content for choice in backbones.values()}) < len(backbones):
            raise ValueError("two entries are the same backbone with the same options")
        count = Counter(choice.label for choice in backbones.values())
        return {
            name: choice.model_copy(update={"told_apart": name})
            if count[choice.label] > 1
            else choice
            for name, choice in backbones.items()
        }

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("the same seed twice would count one result as two")
        return seeds

    @field_validator("looks")
    @classmethod
    def _of_the_seeds(cls, looks: Looks | None, info: ValidationInfo) -> Looks | None:
        if looks and info.data.get("seeds", looks.seeds) != looks.seeds:
            raise ValueError(f"is no key of its own; write seeds: {EXAMPLE}")
        return looks


class Stream(Spec):
    """Images that a regime sees beside those of its target: all that determines them.

    Those of a source are the training images of its source run, never the validation images; what
    is not `labelled` has its labels hidden.
    """

    domain: Choice
    per_class: PerClass
    val_fraction: float
    seed: int
    labelled: bool = True
    fold: tuple[int, int] | None = None
    """As that of a run: the fold that is not seen."""

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if k != "fold" or v is not None}


class Run(Spec):
    """All that determines one trained model.

    `streams`: what it sees beside the target's images, by role. `starts`: trained models that it
    draws on beside the one it starts from, by role. With `labels: none` the target's labels are
    hidden but for the test. Each of these is written, and so hashed, only where there is any.

    With `tune` each of these options is tried with the same seed, and the model is fitted anew on
    training and validation images with those of the best validation accuracy. A run whose `purpose`
    is `search` ends with the trials: it refits nothing and reads no test image. A run that names
    `searches` takes the options of the best mean validation accuracy over them.
    """

    domain: Choice
    image_size: int
    per_class: PerClass
    backbone: Architecture
    regime: Choice
    fit: Fit
    seed: Seed
    init: Run | Weights | None = None
    tune: Trials | None = None
    purpose: Literal["result", "search"] = "result"
    searches: tuple[Run, ...] = ()
    streams: dict[str, Stream] = Field({})
    starts: dict[str, Run] = Field({})
    labels: Literal["given", "none"] = "given"
    subset_seed: Seed | None = None
    """The seed of the drawn images, where it is not that of weights and batches."""
    fold: tuple[int, int] | None = None
    """With cross-validation: how many folds the seed divides all images into, and the number, from
    0, of the one that is the test set."""

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run without trials is written, and so hashed, as if nothing could be tuned, and one
        without streams as if there were none."""
        absent = {name for name, value in _ABSENT.items() if getattr(self, name) == value}
        return {name: value for name, value in handler(self).items() if name not in absent}

    def trial(self, options: Options) -> Run:
        """The untuned run with these options, its validation images held back."""
        return self._with(options, self.fit)

    def refit(self, options: Options) -> Run:
        """The untuned run that learns from training and validation images with these options."""
        return self._with(options, self.fit.model_copy(update={"val_fraction": 0.0}))

    def _with(self, options: Options, fit: Fit) -> Run:
        regime = self.regime.with_options(self.regime.options | options)
        # Not model_copy, which would take the id along.
        content = {name: getattr(self, name) for name in Run.model_fields}
        untuned = {"tune": None, "purpose": "result", "searches": ()}
        return Run(**content | {"regime": regime, "fit": fit} | untuned)

    @cached_property
    def id(self) -> str:
        """Hash of the content, the parent's included, and of the protocol number."""
        return self.id_under(PROTOCOL)

    def id_under(self, protocol: int) -> str:
        """The id that the same content has, or had, under that protocol."""
        content = f"[{protocol}, {self.canonical}]"
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def canonical(self) -> str:
        """The content as JSON with sorted keys; what many runs have in common is written once."""
        return self.canonical_but()

    def canonical_but(self, *left_out: str) -> str:
        """The same without some of the fields."""
        content = self.__dict__
        parts = [
            f'"{name}": {_json(content[name])}'
            for name in _FIELDS
            if name not in left_out and (name not in _ABSENT or content[name] != _ABSENT[name])
        ]
        return "{" + ", ".join(parts) + "}"

    @property
    def parent(self) -> Run | None:
        """The source run that must be trained first, if this run starts from one."""
        return self.init if isinstance(self.init, Run) else None

    @property
    def drawn_on(self) -> tuple[Run, ...]:
        """The runs whose weights this one starts from, or draws on."""
        return (*([self.parent] if self.parent else []), *self.starts.values())

    @property
    def parents(self) -> tuple[Run, ...]:
        """All runs that must be trained first, those included that only tell which options."""
        return (*self.drawn_on, *self.searches)

    @property
    def ancestors(self) -> Iterator[Run]:
        """These, the runs that those need, and so on, the nearest first."""
        for parent in self.parents:
            yield parent
            yield from parent.ancestors

    @property
    def init_id(self) -> str | None:
        """Id of what the run starts from."""
        return self.init.id if self.init else None

    @property
    def title(self) -> str:
        """A short line for people: progress bars and error lists."""
        searching = "search of " if self.purpose == "search" else ""
        return (
            f"{searching}{_name(self.domain)}/{self.per_class} {_name(self.backbone)} "
            f"{self.regime.kind} seed {self.seed}" + (f" fold {self.fold[1]}" if self.fold else "")
        )


class Cell(Spec):
    """A place in the matrix: an experiment's scenario, backbone, regime and seed, and its run.

    `budget` names one of the experiment's further budgets; without, the run's budget is `fit`.
    `fold`: with cross-validation, the number of the fold that is tested on, from 0.
    """

    experiment: str
    scenario: str
    size: Size
    similarity: Similarity
    source: str | None
    target: str
    backbone: str
    regime: str
    budget: Slug | None = None
    seed: Seed
    fold: int | None = None
    run: Run

    @property
    def unit(self) -> str:
        """Which of a place's runs it is: `seed 0`, or `seed 0 fold 3`."""
        return f"seed {self.seed}" + ("" if self.fold is None else f" fold {self.fold}")


_FIELDS = tuple(sorted(Run.model_fields))
_ABSENT: dict[str, object] = {
    "tune": None,
    "purpose": "result",
    "searches": (),
    "streams": {},
    "starts": {},
    "labels": "given",
    "subset_seed": None,
    "fold": None,
}
"""Fields of a run that are left out where they say nothing."""


def _json(value: object) -> str:
    """As `canonical`, which takes several times as long for a plain number, or for a part that
    many runs share."""
    if type(value) is int:
        return repr(value)
    if isinstance(value, dict):
        inner = (f"{json.dumps(key)}: {_json(value[key])}" for key in sorted(value))
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    return value.canonical if isinstance(value, Spec) else canonical(value)


def _name(choice: Choice) -> str:
    """The kind, or the member of a family."""
    return str(choice.options.get("name", choice.kind))
