"""Which family of a registry has a member of some name, found without importing its library."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from transfer_lab.experiment.catalog import Registry

_FOLDERS = {"backbone": "models", "domain": "datasets"}
"""Of a library, where it defines its members."""


def members_named(registry: Registry[Any], name: str) -> str | None:
    """'did you mean torchvision:NAME ...?', of those families whose library defines it; None if
    there is none."""
    if not name.isidentifier():
        return None
    families = [family for family in registry if registry[family].family]
    found = [f"'{f}:{name}'" for f in families if _defines(f, _FOLDERS[registry.kind], name)]
    return f"did you mean {' or '.join(found)}?" if found else None


def _defines(library: str, folder: str, name: str) -> bool:
    spec = importlib.util.find_spec(library)
    places = spec.submodule_search_locations if spec else None
    definition = re.compile(rf"^(def|class) {name}\(", re.MULTILINE)
    return any(
        definition.search(path.read_text(encoding="utf-8", errors="replace"))
        for place in places or ()
        for path in sorted(Path(place, folder).glob("*.py"))
    )
