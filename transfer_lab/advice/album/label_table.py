"""Photographs in a table of files and labels. No torch."""

from __future__ import annotations

import csv
from pathlib import Path

from transfer_lab.advice.album.handed_over import (
    FOREIGN,
    HandedOver,
    Labelled,
    RefusedError,
    listed,
)

_FILE = ("file", "filename", "file_name", "image", "path")
_LABEL = ("label", "class", "category")


def read_label_table(table: Path) -> HandedOver:
    """The rows of a CSV file with the columns file and label; files are relative to its folder.

    Rows without a label, or whose file is missing, are set aside. Raises RefusedError.
    """
    rows = _rows(table)
    header = [name.strip().lower() for name in rows[0]]
    file_column, label_column = _column(table, header, _FILE), _column(table, header, _LABEL)
    files: dict[Labelled, None] = {}
    aside = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        row = [*row, *[""] * (len(header) - len(row))]
        name, label = row[file_column].strip(), row[label_column].strip()
        path = table.parent / name
        if not name:
            aside.append((table, f"line {number} names no file"))
        elif not label:
            aside.append((path, f"no label in line {number} of {table.name}"))
        elif not path.is_file():
            aside.append((path, f"named in {table.name}, and not there"))
        elif reason := FOREIGN.get(path.suffix.lower()):
            aside.append((path, reason))
        else:
            files[Labelled(path, label)] = None
    if not files:
        told = f"; {aside[0][0]}: {aside[0][1]}" if aside else ""
        raise RefusedError(
            f"{table}: none of its {len(rows) - 1} lines gives a photograph and its label{told}. "
            f"Files are looked for from {table.parent} on"
        )
    return HandedOver(table.parent, list(files), aside)


def _rows(table: Path) -> list[list[str]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{table}: cannot be read as a table in UTF-8 ({error})") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    if not rows:
        raise RefusedError(f"{table}: the table is empty; it should begin with the line file,label")
    return rows


def _column(table: Path, header: list[str], names: tuple[str, ...]) -> int:
    found = [header.index(name) for name in names if name in header]
    if not found:
        raise RefusedError(
            f"{table}: has no column {names[0]}, only {listed(header, 6)}; its first line should "
            "be file,label"
        )
    return found[0]
