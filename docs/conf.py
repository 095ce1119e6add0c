"""How Sphinx builds the pages. Nothing is fetched, at build or at view."""

from __future__ import annotations

import re

from transfer_lab import __version__

project = "transfer_lab"
author = "The transfer_lab authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_heading_anchors = 3

default_role = "code"  # as single backticks are meant in docstrings

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_inherit_docstrings = False

html_theme = "furo"
html_title = "transfer_lab"
html_copy_source = False
html_show_copyright = html_show_sphinx = False


_OUTSIDE = re.compile(r"\[(`?)([^\]]*?)`?\]\(\.\./([^)#]+)[^)]*\)")


def _named(match: re.Match) -> str:
    code, text, path = match.groups()
    return f"`{path}`" if code else f"{text} (`{path}`)"


def setup(app: object) -> None:
    """Files of the repository that are no pages are named on the site, and not linked."""

    def without_links(_app: object, _page: str, source: list[str]) -> None:
        source[0] = _OUTSIDE.sub(_named, source[0])

    app.connect("source-read", without_links)
