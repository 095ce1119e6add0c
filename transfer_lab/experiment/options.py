"""Options against the keyword-only arguments of a constructor."""

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


def _schema(cls: type) -> type[BaseModel]:
    constructor = inspect.getattr_static(cls, "__init__")
    hints = get_type_hints(constructor)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if p.default is p.empty else p.default)
        for name, p in inspect.signature(constructor).parameters.items()
        if p.kind is p.KEYWORD_ONLY
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
