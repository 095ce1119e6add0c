"""Read a written report back as its readers would: tables by caption, from either format."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

Table = list[list[str]]


def markdown_tables(text: str) -> dict[str, Table]:
    """Every table of a Markdown report, head first, formatting removed."""
    found: dict[str, Table] = {}
    pattern = r"^\*\*(.+)\*\*\n\n((?:^\|.*\|\n)+)"
    for caption, body in re.findall(pattern, text, flags=re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in body.splitlines()]
        found[_plain(caption)] = [
            [_plain(entry) for entry in line] for line in [lines[0], *lines[2:]]
        ]
    return found


def html_tables(text: str) -> dict[str, Table]:
    """Every table of an HTML report, head first."""
    reader = _Reader()
    reader.feed(text)
    return reader.tables


def _plain(entry: str) -> str:
    entry = entry.replace("<br>", " ")
    entry = re.sub(r"(?<!\\)\*", "", entry)
    return _spaced(html.unescape(re.sub(r"\\(.)", r"\1", entry)))


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, Table] = {}
        self.rows: Table = []
        self.caption, self.text = "", ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("caption", "th", "td"):
            self.text = ""
        elif tag == "br":
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self.caption = _spaced(self.text)
        elif tag in ("th", "td"):
            self.rows[-1].append(_spaced(self.text))
        elif tag == "table":
            self.tables[self.caption] = self.rows
