"""Sections as one self-contained page: no request leaves it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from transfer_lab.report.blocks import Section, one_line


def to_html(sections: tuple[Section, ...], images: Mapping[str, bytes]) -> str:
    """The whole report; `images` are the PNG files of its pictures by name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("transfer_lab", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    encoded = {name: base64.b64encode(image).decode() for name, image in images.items()}
    page = environment.get_template("page.html.jinja")
    return page.render(sections=sections, images=encoded)


def _prose(text: str) -> str:
    """The text on one line, no number parted from its interval or its percent sign."""
    return one_line(text).replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")
