"""Sections as one self-contained page: no request leaves it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from transfer_lab.reporting.blocks import Cell, Section, Table, pictures
from transfer_lab.reporting.figures.plotly import chart, in_script
from transfer_lab.reporting.wording import one_line

if TYPE_CHECKING:
    from markupsafe import Markup

Facets = Mapping[str, tuple[str, ...]]

# What a word in a table stands for, so that the page can set a sign beside it.
SIGNS = {
    "yes": ("supported", "holds", "ahead"),
    "no": (
        "refuted",
        "does not hold",
        "does not hold: equal",
        "failed",
        "below",
        "negative transfer",
    ),
    "open": ("undecided", "not separated", "blocked"),
    "none": ("no data", "not measured", "missing", "waiting"),
}
SIGN_OF = {word: sign for sign, words in SIGNS.items() for word in words}


def to_html(
    sections: tuple[Section, ...],
    images: Mapping[str, bytes],
    facets: Facets,
    colours: Mapping[str, str],
) -> str:
    """The whole report; the first section's title is the report's.

    `images` are the PNG files of its pictures by name; `facets` the values by which readers filter;
    `colours` those of regimes.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("transfer_lab", "reporting/render/page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "base64": lambda file: base64.b64encode(file).decode(),
        "prose": _prose,
        "breakable": _breakable,
        "halved": _halved,
        "sign": lambda text: SIGN_OF.get(text, ""),
        "marks": lambda table, row: _marks(table, row, facets),
        "slug": slug,
    }
    charts = {p.name: _safe(in_script(chart(p.figure))) for p in pictures(sections)}
    drawing = ("plotly-basic.min.js", "plots.js") if charts else ()
    scripts = [_asset(name) for name in (*drawing, "page.js")]
    head, *rest = sections
    return environment.get_template("page.html.jinja").render(
        head=head,
        first=[section for section in rest if not section.folded],
        details=[section for section in rest if section.folded],
        colours=colours,
        images={name: base64.b64encode(image).decode() for name, image in images.items()},
        charts=charts,
        facets=_safe(in_script(facets)),
        scripts=scripts,
        hashes=_safe(" ".join(f"'sha256-{_digest(script)}'" for script in scripts)),
        style=_asset("page.css"),
    )


def slug(title: str) -> str:
    """A section's name in the page's address."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _prose(text: str) -> str:
    """The text on one line, no number parted from its interval or its percent sign."""
    return one_line(text).replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")


def _breakable(text: str) -> Markup:
    """Text in which a long name may go on in the next line, after an underscore or a bracket."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[A-Za-z0-9][_(/])(?=[A-Za-z0-9])", _prose(text))
    return Markup("<wbr>").join(escape(part) for part in parts)


def _halved(text: str) -> Markup:
    """A number that stands out from the half-width of its interval."""
    from markupsafe import Markup

    mean, sign, half = text.partition(" ± ")
    if not sign:
        return _breakable(text)
    return Markup('{}<span class="half">\u00a0±\u00a0{}</span>').format(mean, half)


def _marks(table: Table, row: tuple[Cell, ...], facets: Facets) -> dict[str, str]:
    """What a row answers to when readers filter."""
    named = zip(table.head, row, strict=True)
    found = {title: entry[0].text for title, entry in named if title in facets and entry}
    return {title: text for title, text in found.items() if text in facets[title]}


def _asset(name: str) -> Markup:
    return _safe(
        (files("transfer_lab.reporting.render") / "page" / name).read_text(encoding="utf-8")
    )


def _safe(text: str) -> Markup:
    """Text that is no others': a file of the package's, a hash, or JSON that `in_script` made."""
    from markupsafe import Markup

    return Markup(text)  # nosec B704


def _digest(script: str) -> str:
    """By which the page's policy lets this script run, and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
