"""The options of a class: its constructor's keyword-only arguments, and those of its bases' that it
hands on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from transfer_lab.experiment.catalog import suggest


def option_problems(cls: type, options: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(option, message) for each option that the constructor's keyword-only arguments refuse."""
    schema = _schema(cls)
    try:
        schema.model_validate(dict(options), strict=True)
    except ValidationError as error:
        for item in error.errors():
            name = str(item["loc"][0])
            if item["type"] == "extra_forbidden":
                yield name, f"unknown option; {suggest(name, schema.model_fields)}"
            elif item["type"] == "missing":
                yield "", f"option '{name}' is missing"
            else:
                yield name, f"{item['msg']} (it is {item['input']!r})"


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """The options of a class by name, each annotated with its type.

    They are the keyword-only parameters of its constructor; where that takes `**options`, too, it
    hands those on, and the next class that has a constructor has its own beside them.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        hints, parameters = get_type_hints(constructor), inspect.signature(constructor).parameters
        for name, parameter in parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(name, parameter.replace(annotation=hints.get(name, Any)))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return found


def _schema(cls: type) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (p.annotation, ... if p.default is p.empty else p.default)
        for name, p in options_of(cls).items()
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
