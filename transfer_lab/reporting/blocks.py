"""What a report is made of, before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from transfer_lab.reporting.figures.spec import Figure


@dataclass(frozen=True)
class Line:
    """A line of a table cell: a value, and a note beside it that matters less."""

    text: str
    note: str = ""
    weight: Literal["plain", "strong", "emphasis"] = "plain"


Cell = tuple[Line, ...]


@dataclass(frozen=True)
class Paragraph:
    """Running text; a warning is set apart."""

    kind: ClassVar[str] = "paragraph"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """The long text behind a caption: folded on the page, in the documentation for report.md."""

    kind: ClassVar[str] = "note"
    text: str
    title: str = "How to read this"
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heading:
    """What a part of a section is called."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class InShort:
    """The answer in a sentence or two, and how sure it is: so many dots of three, and in words."""

    kind: ClassVar[str] = "in_short"
    text: str
    dots: int
    words: str
    meaning: str


class Span(NamedTuple):
    """A mean and the ends of its interval, in a unit; without an interval all are alike."""

    mean: float
    low: float
    high: float
    unit: str = "%"
    decimals: int = 1

    @property
    def most(self) -> float:
        """Up to where it is drawn."""
        return 100 if self.unit == "%" else max(1, 2 * self.high)

    @property
    def short(self) -> str:
        """'59 %'."""
        return f"{self.mean:.{max(0, self.decimals - 1)}f} {self.unit}"

    @property
    def text(self) -> str:
        """'59.1 % (52.0 to 66.2)'."""
        mean, low, high = (f"{value:.{self.decimals}f}" for value in self[:3])
        return f"{mean} {self.unit}" if low == high else f"{mean} {self.unit} ({low} to {high})"


class Card(NamedTuple):
    """What to do in one case, what to expect of it, and how sure that is.

    `words`: the choice in plain words; `name`: as the experiment calls it. `as_good`: what is not
    ruled out beside it. `bound`: how far behind the best it is at most. `rule`: what the rule of
    thumb says there, and loses; `verdict`: one word on it. `more`: for those who ask. `model`: the
    file of the trained model beside the page, where it was kept.
    """

    case: str
    words: str
    name: str = ""
    colour: str = ""
    expect: Span | None = None
    time: str = ""
    as_good: tuple[str, ...] = ()
    bound: str = ""
    rule: str = ""
    verdict: str = ""
    more: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True)
class Board:
    """A card for each case, of the best network (`network` is None) or of one of them.

    With `columns` the cards fill the `rows` one after the other; None leaves a place open.
    """

    kind: ClassVar[str] = "board"
    network: str | None
    cards: tuple[Card | None, ...]
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filters:
    """Where the page's network switch and filters stand; nothing elsewhere."""

    kind: ClassVar[str] = "filters"


@dataclass(frozen=True)
class Limits:
    """What makes the answer worth less than it looks, in a few words each."""

    kind: ClassVar[str] = "limits"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """A command, verbatim."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Table:
    """A captioned table: the first column names the rows, the first `texts` columns hold words.

    Readers filter by backbone, regime and seed. A row answers to what stands in its columns of
    these names, the whole table to what it is `about`, and a column to the backbone that `networks`
    names for it, if any. `groups` are titles over so many columns each.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int = 1
    groups: tuple[tuple[str, int], ...] = ()
    networks: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A figure: a file of this name in the report, interactive on the page."""

    kind: ClassVar[str] = "picture"
    name: str
    caption: str
    alt: str
    figure: Figure
    about: tuple[tuple[str, str], ...] = ()


class Thumbnail(NamedTuple):
    """A small image: a WebP file of so many pixels a side, what stands below it, and what is read
    in its place."""

    file: bytes
    side: int
    caption: str
    alt: str


class Shelf(NamedTuple):
    """Thumbnails in a row under one title."""

    title: str
    items: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Thumbnails:
    """Small images on shelves, side by side where there is room, or on a sheet with room for longer
    captions; elsewhere a file of this name, a row a shelf."""

    kind: ClassVar[str] = "thumbnails"
    name: str
    caption: str
    shelves: tuple[Shelf, ...]
    look: Literal["row", "sheet"] = "row"


class Mistake(NamedTuple):
    """One class taken for another, in words; a test image that was, and one of the other class."""

    text: str
    images: tuple[Thumbnail, ...]


class Matrix(NamedTuple):
    """Answers by true class: a PNG file of one pixel a cell, and the names of the classes."""

    file: bytes
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Mistakes:
    """What is taken for what, the commonest first; images and matrix where there are any. Elsewhere
    the images are a file of this name, a row a mistake."""

    kind: ClassVar[str] = "mistakes"
    name: str
    caption: str
    items: tuple[Mistake, ...]
    matrix: Matrix | None = None
    about: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Fold:
    """Detail that is there for those who open it."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: tuple[Block, ...]


Block = (
    Paragraph
    | Note
    | Heading
    | Bullets
    | InShort
    | Board
    | Filters
    | Limits
    | Code
    | Table
    | Picture
    | Thumbnails
    | Mistakes
    | Fold
)


@dataclass(frozen=True)
class Section:
    """A title, what stands under it, and in a sentence what that is.

    On the page a section is `folded`, and unfolded from the start where it is `open`.
    """

    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
    folded: bool = True
    open: bool = False


def cell(text: object, note: str = "", *, strong: bool = False) -> Cell:
    """A table cell of one line."""
    return (Line(str(text), note, "strong" if strong else "plain"),)


def pictures(sections: Iterable[Section | None]) -> tuple[Picture, ...]:
    """Every picture of the sections that there are, in order; they stand at the top level only."""
    there = (section for section in sections if section)
    return tuple(b for section in there for b in section.blocks if isinstance(b, Picture))


def sheets(sections: tuple[Section, ...]) -> dict[str, tuple[tuple[Thumbnail, ...], ...]]:
    """The rows of every contact sheet, by the name of its file; those in folds as well."""
    found: dict[str, tuple[tuple[Thumbnail, ...], ...]] = {}
    left = [block for section in sections for block in section.blocks]
    for block in left:
        match block:
            case Fold(_, blocks):
                left += blocks
            case Thumbnails(name, _, shelves):
                found[name] = tuple(shelf.items for shelf in shelves)
            case Mistakes(name, _, items):
                found[name] = tuple(mistake.images for mistake in items if mistake.images)
    return {name: rows for name, rows in found.items() if rows}
