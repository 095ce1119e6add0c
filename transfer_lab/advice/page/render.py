"""Advice as a page: no script, no request, whatever names files and classes have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from transfer_lab.advice import wording
from transfer_lab.advice.advice import Advice, ClassOutcome
from transfer_lab.advice.page.sheets import Shot, confusion, paths_shown, sheets
from transfer_lab.advice.page.thumbnails import thumbnails
from transfer_lab.reporting.wording import one_line

_LISTED = 200
"""Classes in the table, the weakest first."""


class Bar(NamedTuple):
    """A row of a small chart: what it is, its number, and its interval, of 100."""

    title: str
    value: float
    low: float
    high: float


def to_html(advice: Advice, shots: Sequence[Shot], root: Path, out: Path, command: str) -> str:
    """The page, as it stands in the folder `out`; `root` is where the photographs are read, and
    `command` what is best called next."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("transfer_lab", "advice/page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    links = _Links(root, out)
    environment.filters |= {
        "prose": _prose,
        "hundred": wording.hundred,
        "share": lambda value: f"{100 * value:.2f}",
        "file": links.to,
        "title": lambda text: text[:1].upper() + text[1:],
    }
    matrix, found = confusion(advice, shots), sheets(advice, shots)
    return environment.get_template("advice.html.jinja").render(
        advice=advice,
        words=wording,
        command=command,
        headline=_headline(advice),
        bars=_bars(advice),
        outcomes=_weakest_first(advice.per_class),
        matrix=matrix,
        sheets=found,
        bare_flags=[flag.text for flag in advice.flags if not flag.paths],
        pictures=thumbnails(root, paths_shown(found, matrix)),
        details=_details(advice),
        style=Markup(_style()),  # nosec B704 # a file of the package's
    )


def _headline(advice: Advice) -> dict[str, Any] | None:
    """The large number, what it is of, and what would be reached without looking."""
    if advice.recommendation is None or advice.promise is None:
        return None
    promise = advice.promise
    return {"number": wording.hundred(promise.value), "promise": promise}


def _bars(advice: Advice) -> list[Bar]:
    if advice.promise is None or not advice.more_images:
        return []
    now = advice.promise
    return [
        Bar(f"now: {advice.data.images:,}", now.value, now.low, now.high),
        *(
            Bar(f"{wording.times(one.factor)}: {_photos(advice, one.factor)}", *_span(one))
            for one in advice.more_images
        ),
    ]


def _photos(advice: Advice, factor: float) -> str:
    return f"{round(advice.data.images * factor):,}"


def _span(one: Any) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def _weakest_first(outcomes: Sequence[ClassOutcome]) -> list[ClassOutcome]:
    return sorted(outcomes, key=lambda one: (one.recall, one.name))[:_LISTED]


def _details(advice: Advice) -> list[tuple[str, str]]:
    """How we know, as terms and what is to be said of them."""
    data, promise, found = advice.data, advice.promise, advice.recommendation
    told = [("Photographs", wording.summary(advice))]
    if promise:
        told += [
            ("Tested by", promise.protocol),
            (
                "The range",
                f"of such ranges {100 * promise.level:.0f} in 100 hold the true share. It rests on "
                f"{promise.n_effective:,.0f} photos that count as independent, which is fewer than "
                "were given because photos of one folder resemble each other.",
            ),
            (
                "The number",
                "the share named right, averaged over classes, each counting the same"
                if promise.metric == "mean_recall"
                else "the share of all photos that is named right",
            ),
        ]
    if found:
        told.append(("Network", f"{found.backbone}, at {found.image_size} pixels"))
    if advice.similarity:
        told.append(("Like what the network knows?", _place(advice.similarity.position)))
    told += [(f"Not said: {what}", reason) for what, reason in wording.why_not(advice)]
    if advice.cost:
        told.append(("Times", f"measured on {advice.cost.machine}"))
    told += [
        ("Content", f"{data.content_hash}; renaming or moving photos changes nothing"),
        ("Versions", ", ".join(f"{name} {number}" for name, number in advice.versions.items())),
        ("Seed", str(advice.seed)),
    ]
    return told


def _place(position: float) -> str:
    near = "much" if position < 1 / 3 else "somewhat" if position < 2 / 3 else "little"
    return (
        f"{near}: {position:.2f} on a scale from 0, the photographs that it was trained on, to 1, "
        "noise"
    )


class _Links:
    """Addresses of photographs, seen from the page; none where the two lie on different drives."""

    def __init__(self, root: Path, out: Path):
        self._root, self._out = root.resolve(), out.resolve()

    def to(self, path: str) -> str:
        try:
            relative = Path(os.path.relpath(self._root / path, self._out)).as_posix()
        except ValueError:
            return ""
        return "./" + quote(relative, errors="surrogateescape")


def _prose(text: str) -> str:
    """On one line, and sendable whatever bytes a file's name has."""
    return one_line(text).encode("utf-8", "replace").decode()


def _style() -> str:
    """That of reports, and what this page adds to it."""
    report = files("transfer_lab.reporting.render") / "page" / "page.css"
    own = files("transfer_lab.advice") / "page" / "advice.css"
    return report.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")
