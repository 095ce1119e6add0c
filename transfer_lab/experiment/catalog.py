"""The kinds there are: names of domains, backbones and regimes, known without importing the code
behind them; those of the lab's own, and those that installed packages provide."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, Literal, TypeVar, get_args

from transfer_lab.experiment.installed import provided, the_one


@dataclass(frozen=True)
class Entry:
    """One registered name: where its class lives, as `module:Class` inside the package.

    A family has members, written `family:member`; the class gets the member's as option `name`.
    `extra` is a package the class needs that not everybody has: an extra of transfer-lab.
    """

    path: str
    family: bool = False
    extra: str = ""


@dataclass(frozen=True)
class DomainEntry(Entry):
    """A domain's class, and whether it is what a folder (its `root`) holds on this machine."""

    in_folder: bool = False


@dataclass(frozen=True)
class Off:
    """A method switched off: the kind of its twin, and options of its own that leave no difference
    between the two. What the method is worth is what it is ahead of that twin."""

    twin: str
    options: tuple[tuple[str, float | bool | str], ...] = ()
    """None where no value switches the method off: the twin is what is left without it."""


Annotation = Literal["boxes", "masks"]
"""What a domain may know of an image beside its class: where its object lies, and which pixels show
it."""
Role = Literal["source", "sources", "unlabelled", "teacher", "boxes", "masks"]
"""What a regime may see beside labelled images of the target: the labelled images that its source
run learnt from, those of all further sources too, the target's training pool without labels, the
answers of another arm's network, or annotations of the labelled images themselves."""
TargetLabels = Literal["needed", "used", "unread"]
Family = Literal["weights", "instances", "features", "unlabelled"]
"""What is transferred or changed: weights, examples of the source, a common feature space, or what
unlabelled images of the target say."""


@dataclass(frozen=True)
class RegimeEntry(Entry):
    """A regime's class, and what the plan and the report must know without importing it.

    `from_source`: whether it starts from source weights. `control`: whether it is there for
    comparison and is never recommended. `tunable`: whether it has options that validation could
    choose. `spends_budget`: whether it takes steps, so that a budget changes it. `head_alone`:
    whether a linear head on frozen stages is all that learns, so that such runs can be fitted in
    one pass. `off`: how it is switched off, where it is a method on top of another regime.

    `sees`: what it sees beside labelled images of the target. `source_head`: whether it starts from
    the head of the source's model, too. `same_classes`: whether source and target must have the
    same classes. `target_labels`: whether it must have labels of the target, uses those there are,
    or reads none. `solves`: whether it is solved and takes no steps. `pretext`: whether it learns
    no classes, so that it is for source runs alone. `method_family`: what kind of method it is.

    A class of one's own says so itself: see `declared`.
    """

    from_source: bool = True
    control: bool = False
    tunable: bool = True
    spends_budget: bool = True
    head_alone: bool = False
    sees: tuple[Role, ...] = ()
    source_head: bool = False
    same_classes: bool = False
    target_labels: TargetLabels = "needed"
    solves: bool = False
    pretext: bool = False
    method_family: Family = "weights"
    off: Off | None = None

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """What it learns of the target's images beside their classes."""
        return tuple(kind for kind in get_args(Annotation) if kind in self.sees)

    @property
    def needs_source_images(self) -> bool:
        """Whether it cannot do without a source domain, whatever weights a backbone starts from."""
        return self.source_head or bool({"source", "sources"} & {*self.sees})

    @property
    def is_comparable(self) -> bool:
        """Whether it sees labelled images of the target and source weights and nothing else: what
        the published rules choose among."""
        return not (self.sees or self.source_head) and self.target_labels == "needed"


E = TypeVar("E", bound=Entry)


class UnknownNameError(KeyError):
    """A name that no registry entry has; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtraError(ImportError):
    """A package that a registered class needs is not installed; the message says how to."""


class Registry(Mapping[str, E], Generic[E]):
    """Name -> entry. The class is imported when it is first asked for.

    Names must be checkable in milliseconds, and importing the classes costs seconds, so the
    registry is a table of paths and not a decorator that runs on import. Its names are those of
    the lab's own; `group` is the entry point group in which installed packages provide others.
    """

    def __init__(self, kind: str, package: str, entries: Mapping[str, E]):
        self.kind, self.package, self._entries = kind, package, dict(entries)
        self.group = f"transfer_lab.{kind}s"

    def __getitem__(self, name: str) -> E:
        if name not in self._entries:
            raise UnknownNameError(f"no {self.kind} named '{name}'; {suggest(name, self.names)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def is_installed(self, name: object) -> bool:
        """Whether an installed package provides the name; the lab's own names stay its own."""
        return name not in self._entries and name in provided(self.group)

    def knows(self, name: object) -> bool:
        """Whether the name is the lab's own or that of an installed package."""
        return name in self._entries or self.is_installed(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All that can be chosen by name."""
        return tuple(dict.fromkeys((*self._entries, *provided(self.group))))

    def load(self, name: str) -> type:
        """Import and return the class behind `name`.

        Raises UnknownNameError, ProvidedError where several packages provide it, and
        MissingExtraError where what it needs is not installed.
        """
        if self.is_installed(name):
            provider = the_one(self.group, name)
            found: type = getattr(importlib.import_module(provider.module), provider.cls)
            return found
        entry = self[name]
        if entry.extra and find_spec(entry.extra) is None:
            how = f"pip install 'transfer-lab[{entry.extra}]'"
            told = f"{self.kind} '{name}' needs {entry.extra}, which is not installed: {how}"
            raise MissingExtraError(told)
        module, _, attribute = entry.path.partition(":")
        own: type = getattr(importlib.import_module(f"{self.package}.{module}"), attribute)
        return own


def suggest(name: str, choices: Iterable[str]) -> str:
    """'did you mean ...?' with the nearest valid names, or the whole list if none is near."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "choose from " + ", ".join(choices) if choices else "none is known"


DOMAINS = Registry(
    "domain",
    "transfer_lab.data",
    {
        "latin": DomainEntry("letters:Latin"),
        "greek": DomainEntry("letters:Greek"),
        "cyrillic": DomainEntry("letters:Cyrillic"),
        "textures": DomainEntry("textures:Textures"),
        "scenes": DomainEntry("scenes:Scenes"),
        "other_scenes": DomainEntry("scenes:OtherScenes"),
        "digits": DomainEntry("digits:Digits"),
        "folder": DomainEntry("folder:Folder", in_folder=True),
        "torchvision": DomainEntry("torchvision:TorchvisionDataset", family=True),
    },
)

BACKBONES = Registry(
    "backbone",
    "transfer_lab.backbones",
    {
        "mlp": Entry("mlp:MLP"),
        "cnn": Entry("cnn:CNN"),
        "vgg16": Entry("vgg16:VGG16"),
        "mlp_published": Entry("keras_study:PublishedMLP"),
        "cnn_published": Entry("keras_study:PublishedCNN"),
        "torchvision": Entry("torchvision:Torchvision", family=True),
        "timm": Entry("timm:Timm", family=True, extra="timm"),
    },
)

REGIMES = Registry(
    "regime",
    "transfer_lab.regimes",
    {
        "from_scratch": RegimeEntry("from_scratch:FromScratch", from_source=False),
        "linear_probe": RegimeEntry("linear_probe:LinearProbe", head_alone=True),
        "mlp_probe": RegimeEntry("mlp_probe:MLPProbe"),
        "partial_finetune": RegimeEntry("partial_finetune:PartialFinetune"),
        "full_finetune": RegimeEntry("full_finetune:FullFinetune"),
        "lp_ft": RegimeEntry("lp_ft:LPFT"),
        "partial_transfer": RegimeEntry("partial_transfer:PartialTransfer"),
        "surgical_finetune": RegimeEntry("surgical_finetune:SurgicalFinetune"),
        "gradual_unfreezing": RegimeEntry("gradual_unfreezing:GradualUnfreezing"),
        "discriminative_finetune": RegimeEntry(
            "discriminative_finetune:DiscriminativeFinetune",
            off=Off("full_finetune", (("rate_decay", 1.0),)),
        ),
        "l2_sp": RegimeEntry("l2_sp:L2SP", off=Off("full_finetune", (("alpha", 0.0),))),
        "bss": RegimeEntry(
            "bss:BatchSpectralShrinkage", off=Off("full_finetune", (("penalty", 0.0),))
        ),
        "multi_task": RegimeEntry(
            "multi_task:MultiTask",
            sees=("source",),
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "joint_training": RegimeEntry(
            "joint_training:JointTraining",
            sees=("source",),
            same_classes=True,
            target_labels="used",
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "distillation": RegimeEntry(
            "distillation:Distillation",
            sees=("teacher",),
            off=Off("full_finetune", (("alpha", 0.0),)),
        ),
        "detection": RegimeEntry(
            "detection:Detection",
            sees=("boxes",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "encoder_decoder": RegimeEntry(
            "encoder_decoder:EncoderDecoder",
            sees=("masks",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "source_only": RegimeEntry(
            "source_only:SourceOnly",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            solves=True,
            spends_budget=False,
            tunable=False,
            method_family="unlabelled",
        ),
        "autoencoder": RegimeEntry("autoencoder:Autoencoder", from_source=False, pretext=True),
        "denoising": RegimeEntry("autoencoder:Denoising", from_source=False, pretext=True),
        "rotation": RegimeEntry("rotation:Rotation", from_source=False, pretext=True),
        "majority": RegimeEntry(
            "majority:Majority", from_source=False, control=True, tunable=False, spends_budget=False
        ),
        "random_features": RegimeEntry(
            "random_features:RandomFeatures", from_source=False, control=True, head_alone=True
        ),
    },
)
