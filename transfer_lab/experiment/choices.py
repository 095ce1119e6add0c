"""What an experiment chooses by name: domains, backbones and what they start from, regimes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from transfer_lab.experiment.catalog import REGIMES, RegimeEntry
from transfer_lab.system.sealed_json import canonical


class Spec(BaseModel):
    """Base of all specifications: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @cached_property
    def canonical(self) -> str:
        """The content as JSON with sorted keys: what is hashed."""
        return canonical(self.model_dump(mode="json"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As usual, without what was derived from the content: the copy's may be another."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Choice(Spec):
    """A kind and the options that go to its constructor, and nowhere else: a registered one, a
    class in a Python file of the user's own, or one that an installed package provides.

    What tells one's own code apart is part of the content only where there is such code.
    """

    kind: str
    """A registered name, or the name of the class in the user's own file."""
    options: dict[str, JsonValue] = {}
    root: str | None = Field(None, exclude=True)
    """Where the data lie on this machine; what they hold is in `options` or in `holds`, and that
    alone counts."""
    module: str | None = Field(None, exclude=True)
    """Path of the user's own Python file; `code` is its hash, and that alone counts."""
    code: str | None = None
    """SHA-256 of the Python file that defines a class which is not the lab's own."""
    distribution: str | None = None
    """Name and version of the installed package that provides it: they stand for what else the
    package holds, and `code` tells apart what is edited in place."""
    holds: str | None = None
    """SHA-256 of what lies at the `root` that a domain of one's own reads."""
    entry: RegimeEntry | None = Field(None, exclude=True)
    """What a regime that is not the lab's own says of itself."""

    _always_written: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A registered kind is written, and so hashed, as if there were no others."""
        left_out = {"code", "distribution", "holds"} - self._always_written
        return {k: v for k, v in handler(self).items() if v is not None or k not in left_out}

    @property
    def is_own(self) -> bool:
        """Whether the class is not one of the lab's own."""
        return self.module is not None or self.distribution is not None

    def with_options(self, options: Mapping[str, JsonValue]) -> Choice:
        """The same kind with other options, and nothing that only an experiment knows of it."""
        content = {name: getattr(self, name) for name in Choice.model_fields}
        return Choice(**content | {"options": dict(options)})

    @property
    def arguments(self) -> dict[str, JsonValue]:
        """All keyword arguments of the constructor."""
        return self.options | ({} if self.root is None else {"root": self.root})

    @cached_property
    def options_text(self) -> str:
        """The options as JSON, in one order."""
        return canonical(self.options)

    @property
    def label(self) -> str:
        """The kind and every option that was set, so that no variant hides behind a plain name."""
        return _label(self.kind, self.options)


class Weights(Spec):
    """Ready-made weights that a backbone starts from: those published for ImageNet, a file, or what
    an installed package holds."""

    origin: Literal["imagenet", "file", "package"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    path: str | None = Field(None, exclude=True)
    """Where a file lies on this machine; only its content counts. What a package holds is found by
    its content."""

    @property
    def id(self) -> str:
        """What a record names as the start: the origin, or the beginning of the file's hash."""
        return self.sha256[:16] if self.sha256 else self.origin

    @property
    def label(self) -> str:
        """The name people know them by."""
        return Path(self.path).stem if self.path else self.origin


class Architecture(Choice):
    """A backbone, and what it is pretrained on.

    `pretrained` is `run` (a source run of the lab's own, of the experiment's regime for such or of
    `source_regime`), `none` (only regimes that need no source are planned) or weights. It is not
    part of the architecture's identity: a network trained from scratch is the same whatever weights
    exist for it.
    """

    _always_written: ClassVar[frozenset[str]] = frozenset({"code"})
    pretrained: Literal["run", "none"] | Weights = Field("run", exclude=True)
    source_regime: str | None = Field(None, exclude=True)
    told_apart: str | None = Field(None, exclude=True)
    """The entry's own name, where another entry would be called the same."""

    @property
    def label(self) -> str:
        """As for every choice, and where the weights come from if that is not a source run."""
        name = super().label
        if self.pretrained != "run" or self.source_regime:
            given = self.pretrained
            start = given.label if isinstance(given, Weights) else self.source_regime or given
            name = _label(self.kind, self.options | {"pretrained": start})
        return f"{name} [{self.told_apart}]" if self.told_apart else name

    @property
    def content(self) -> tuple[object, ...]:
        """What makes it another backbone than one of the same label: code, options, weights."""
        start = self.pretrained.id if isinstance(self.pretrained, Weights) else self.pretrained
        return self.model_dump_json(), start, self.source_regime


Options = Annotated[dict[str, JsonValue], Field(min_length=1)]


def _distinct(trials: tuple[Options, ...]) -> tuple[Options, ...]:
    if len({json.dumps(trial, sort_keys=True) for trial in trials}) < len(trials):
        raise ValueError("the same trial twice")
    return trials


Trials = Annotated[tuple[Options, ...], Field(min_length=2), AfterValidator(_distinct)]
"""Options to try, of which validation chooses; they take the place of a regime's own."""


class SearchSettings(Spec):
    """Where trials are tried once for the whole grid: at a seed of its own, which no cell has, in
    the scenarios whose mean validation accuracy chooses (those with the fewest images unless
    named)."""

    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 0
    scenarios: tuple[str, ...] | None = Field(None, min_length=1)


class Arm(Spec):
    """A backbone in a regime, by the experiment's names."""

    backbone: str
    regime: str


class Regime(Choice):
    """A regime, the backbones and the scenarios it is meant for (all of them unless `on` and
    `scenarios` name some), trials of its own in place of the experiment's, and the arm that is its
    teacher, if it has one."""

    scenarios: tuple[str, ...] | None = Field(None, exclude=True, min_length=1)
    on: tuple[str, ...] | None = Field(None, exclude=True, min_length=1)
    tune: Trials | None = Field(None, exclude=True)
    teacher: Arm | None = Field(None, exclude=True)


def regime_entry(choice: Choice) -> RegimeEntry:
    """What plan and report must know of a regime; raises UnknownNameError for an unknown one."""
    return choice.entry or REGIMES[choice.kind]


def is_known_regime(choice: Choice) -> bool:
    """Whether that is known of it."""
    return choice.entry is not None or choice.kind in REGIMES


def _label(kind: str, options: Mapping[str, JsonValue]) -> str:
    rest = dict(options)
    if "name" in rest:
        kind = f"{kind}:{rest.pop('name')}"
    inner = ", ".join(f"{key}={_plain(value)}" for key, value in rest.items())
    return f"{kind}({inner})" if inner else kind


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
