"""Which photographs the page shows, and beside what: cells of the confusion matrix, and contact
sheets of what should be looked at. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transfer_lab.advice.advice import Advice, Flag
from transfer_lab.reporting.wording import one_line

WIDEST_MATRIX = 20
"""Classes; beyond, the matrix gives way to the pairs that are confused most."""
_IN_CELL, _IN_RIGHT_CELL, _IN_SHEET = 24, 6, 48
_PAIRS = 20

KINDS = {
    "two_classes": (
        "The same photo in two folders",
        "Left out: a photo can have one class. Keep each in the folder where it belongs.",
    ),
    "alike_in_two_classes": (
        "Alike, but in different folders",
        "One of each group is probably in the wrong folder, or the classes overlap.",
    ),
    "label_suspects": (
        "May be in the wrong folder",
        "All other photos speak for another class. About half of such suspicions are right: look "
        "at each, and move it if you agree.",
    ),
    "small_images": (
        "Very small",
        "Little can be seen in them; use the originals if there are larger ones.",
    ),
    "unlike_the_rest": (
        "Unlike the rest",
        "Nothing else in the folder looks like these. They may not belong here.",
    ),
    "near_copies": (
        "Near-copies",
        "Bursts, crops and re-saved files. They were kept together and counted once, so that "
        "nothing is tested on a copy of what was learnt.",
    ),
    "unreadable": (
        "Could not be read",
        "Left out. They are damaged, or no photographs; open them, or delete them.",
    ),
}
"""Kind of a flag -> the title of its sheet, and what to do with it."""


class Shot(NamedTuple):
    """A photograph: its path below the root, its class and what it was named, as numbers."""

    path: str
    label: int
    answer: int | None = None


class Picture(NamedTuple):
    """One photograph on a sheet."""

    path: str
    caption: str


class Sheet(NamedTuple):
    """Photographs under a title, some of them in groups that belong together; `left_out` of them
    had no room."""

    name: str
    title: str
    text: str
    groups: tuple[tuple[Picture, ...], ...]
    left_out: int = 0


class Cell(NamedTuple):
    """How many photographs, in `total`, of one class were named another; `share` of their class."""

    name: str
    title: str
    total: int
    share: float
    right: bool
    pictures: tuple[Picture, ...]


class Confusion(NamedTuple):
    """Rows of cells where there is room for them, else the most frequent mistakes."""

    classes: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    mistakes: tuple[Cell, ...]

    @property
    def cells(self) -> Iterator[Cell]:
        """All that a reader can open."""
        yield from (cell for row in self.rows for cell in row if cell.total)
        yield from self.mistakes if not self.rows else ()


def sheets(advice: Advice, shots: Sequence[Shot]) -> tuple[Sheet, ...]:
    """A sheet for each flag that names photographs, in the order of the flags."""
    known = {shot.path: shot for shot in shots}
    named = [flag for flag in advice.flags if flag.paths]
    return tuple(_sheet(number, flag, advice, known) for number, flag in enumerate(named))


def _sheet(number: int, flag: Flag, advice: Advice, known: dict[str, Shot]) -> Sheet:
    title, text = KINDS.get(flag.kind, (one_line(flag.text), ""))
    groups: list[tuple[Picture, ...]] = []
    room = _IN_SHEET
    for paths in flag.paths:
        if room <= 0:
            break
        groups.append(tuple(Picture(path, _where(path, advice, known)) for path in paths[:room]))
        room -= len(paths)
    left = sum(map(len, flag.paths)) - sum(map(len, groups))
    return Sheet(f"sheet-{number}", title, text, tuple(groups), left)


def _where(path: str, advice: Advice, known: dict[str, Shot]) -> str:
    """'in oak; looks like beech'."""
    shot, classes = known.get(path), advice.data.classes
    if shot is None:
        return one_line(path)
    text = f"in {one_line(classes[shot.label])}"
    if shot.answer is not None and shot.answer != shot.label:
        text += f"; looks like {one_line(classes[shot.answer])}"
    return text


def confusion(advice: Advice, shots: Sequence[Shot]) -> Confusion | None:
    """What was named what on the folds that held it out; None where nothing was named.

    Counted are the photographs that can be shown; without any, what advice.json says.
    """
    counts = _counts(advice, shots)
    if not counts:
        return None
    classes = tuple(map(one_line, advice.data.classes))
    inside: dict[tuple[int, int], list[Shot]] = {}
    for shot in shots:
        if shot.answer is not None:
            inside.setdefault((shot.label, shot.answer), []).append(shot)
    numbers = range(len(classes))

    def cell(row: int, column: int) -> Cell:
        count, whole = counts[row][column], sum(counts[row])
        right = row == column
        found = inside.get((row, column), [])[: _IN_RIGHT_CELL if right else _IN_CELL]
        return Cell(
            f"cell-{row}-{column}",
            _told(count, classes[row], None if right else classes[column], len(found)),
            *(count, count / whole if whole else 0.0, right),
            tuple(Picture(shot.path, one_line(shot.path)) for shot in found),
        )

    if len(classes) <= WIDEST_MATRIX:
        rows = tuple(tuple(cell(i, j) for j in numbers) for i in numbers)
        return Confusion(classes, rows, ())
    wrong = [
        (count, i, j)
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
    return Confusion(classes, (), tuple(cell(i, j) for _, i, j in wrong[:_PAIRS]))


def _counts(advice: Advice, shots: Sequence[Shot]) -> Sequence[Sequence[int]]:
    named = [(shot.label, shot.answer) for shot in shots if shot.answer is not None]
    if not named:
        return advice.confusion
    counts = [[0] * len(advice.data.classes) for _ in advice.data.classes]
    for label, answer in named:
        counts[label][answer] += 1
    return counts


def _told(count: int, label: str, answer: str | None, shown: int) -> str:
    photos = f"{count:,} photo{'' if count == 1 else 's'} of “{label}”"
    was = "was" if count == 1 else "were"
    text = f"{photos} {was} named right" if answer is None else f"{photos} {was} named “{answer}”"
    return text if not shown or shown >= count else f"{text}; {shown} of them"


def paths_shown(sheets: Sequence[Sheet], confusion: Confusion | None) -> tuple[str, ...]:
    """Every photograph that the page shows, once."""
    pictures = [one for sheet in sheets for group in sheet.groups for one in group]
    for cell in confusion.cells if confusion else ():
        pictures += cell.pictures
    return tuple(dict.fromkeys(one.path for one in pictures))
