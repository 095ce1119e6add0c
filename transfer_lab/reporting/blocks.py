"""What a report is made of, before it is Markdown or HTML."""

from __future__ import annotations

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


class Advice(NamedTuple):
    """What to do: in which case, which choice, what to know about it, and how the rule does."""

    case: str
    choice: str
    notes: tuple[str, ...]
    rule: str

    @property
    def end(self) -> str:
        """What follows the choice where all of it is one line."""
        return "".join(f"; {note}" for note in self.notes) + f". {self.rule}"

    @property
    def text(self) -> str:
        """All of it as one line."""
        return f"{self.case}: {self.choice}{self.end}"


@dataclass(frozen=True)
class Answers:
    """What the reader came for: an advice for each case."""

    kind: ClassVar[str] = "answers"
    items: tuple[Advice, ...]


@dataclass(frozen=True)
class Code:
    """A command, verbatim."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Table:
    """A captioned table: the first column names the rows, the first `texts` columns hold words.

    Readers filter by backbone, regime and seed. A row answers to what stands in its columns of
    these names, the whole table to what it is `about`. A `matrix` is drawn as cards.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int = 1
    look: Literal["rows", "matrix"] = "rows"
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


Block = Paragraph | Bullets | Answers | Code | Table | Picture | Thumbnails | Mistakes | Fold


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def cell(text: object, note: str = "", *, strong: bool = False) -> Cell:
    """A table cell of one line."""
    return (Line(str(text), note, "strong" if strong else "plain"),)


def pictures(sections: tuple[Section, ...]) -> tuple[Picture, ...]:
    """Every picture of the sections, in order; they stand at the top level only."""
    return tuple(b for section in sections for b in section.blocks if isinstance(b, Picture))


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
