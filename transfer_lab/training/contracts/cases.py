"""A class under test: what its constructor is given where nobody says so, and what is demanded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import nn

from transfer_lab.experiment.options import option_problems, options_of

Check = Callable[[Any], None]
"""Takes a case; raises ContractError where the case does not hold."""
State = dict[str, torch.Tensor]

_BY_TYPE: dict[object, object] = {bool: False, int: 1, float: 0.5}
_SMALL = {"train_per_class": 6, "test_per_class": 4}
"""Options that make a domain small, by the names that the lab's own have."""


class ContractError(AssertionError):
    """A contract that a class does not keep; the message says which and how."""


def demand(holds: object, otherwise: str) -> None:
    """Raise ContractError unless it holds."""
    if not holds:
        raise ContractError(otherwise)


def arguments(cls: type, options: Mapping[str, object]) -> dict[str, object]:
    """The options with a value for each that the constructor needs and that is not given.

    Raises ContractError for options that the constructor refuses, and TypeError where no value can
    be guessed.
    """
    given = dict(options)
    for name, parameter in options_of(cls).items():
        if name not in given and parameter.default is parameter.empty:
            given[name] = _guess(cls, name, parameter.annotation)
        elif name not in given and name in _SMALL:
            given[name] = _SMALL[name]
    for name, problem in option_problems(cls, given):
        raise ContractError(f"option '{name}': {problem}" if name else problem)
    return given


def _guess(cls: type, name: str, hint: object) -> object:
    origin = get_origin(hint)
    if origin is Literal:
        return get_args(hint)[0]
    wanted = get_args(hint) if origin in (Union, UnionType) else (hint,)
    for one in wanted:
        if one in _BY_TYPE:
            return _BY_TYPE[one]
    raise TypeError(f"{cls.__name__} needs the option '{name}': give it a value here, {name}=...")


def state(module: nn.Module) -> State:
    """A copy of all parameters and buffers."""
    return {key: value.clone() for key, value in module.state_dict().items()}


def changed(before: State, module: nn.Module) -> set[str]:
    """The tensors that are no longer as they were."""
    return {k for k, v in module.state_dict().items() if not torch.equal(v, before[k])}


def stage_of(key: str) -> int:
    """The index of the stage that a key of `stages.state_dict()` belongs to."""
    return int(key.partition(".")[0])


def keep(cls: type, checks: Iterable[Check], case: object) -> None:
    """Run the checks; raises one ContractError with all that does not hold."""
    broken: list[tuple[str, Exception]] = []
    for check in checks:
        try:
            check(case)
        except ContractError as error:
            broken.append((f"{_words(check)}: {error}", error))
        except Exception as error:  # somebody's class
            broken.append((f"{_words(check)}: {type(error).__name__}: {error}", error))
    if broken:
        lines = "\n".join(f"- {text}" for text, _ in broken)
        raise ContractError(f"{cls.__name__} breaks {len(broken)}:\n{lines}") from broken[0][1]


def _words(check: Check) -> str:
    return check.__name__.replace("_", " ")
