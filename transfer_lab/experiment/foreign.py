"""Code that is not the lab's own: which of it a specification asks for."""

from __future__ import annotations

import re

from transfer_lab.experiment.choices import Spec

_CODE = re.compile(r'"code": "([0-9a-f]{64})"')


def foreign_code(*specs: Spec) -> str | None:
    """By what the foreign code is known that these run; None where there is none.

    What runs it is kept in a process of its own: a module may change libraries that others use.
    """
    found = {code for spec in specs for code in _CODE.findall(spec.canonical)}
    return " ".join(sorted(found)) or None
