"""Every measured number that README, docs and experiments quote stands in a committed report.

In Markdown a comment behind a number, or behind several joined by `,`, `and` or `/`, names its row:

    53.1 ± 4.6 %<!-- four_scenarios > Accuracy > linear_probe > small_similar, cnn -->

the report's folder under reports/, the section, and words that the section's tables have in their
title, in the row or above its column, where `small_similar, cnn` are two. In the header of an
experiment, lines of their own do so:

    # Numbers: 60.8 / 77.9 / 84.8 in scene15 > Accuracy > MobileNetV1 > partial_finetune

A number that was set and not measured is told apart by `<!-- set -->`.
`python -m docs.quoted_numbers --show` lists every quoted number, whether it holds, and its row now.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

_NUMBER = r"[-+−]?\d(?:[\d,]*\d)?(?:\.\d+)?"
_VALUE = rf"{_NUMBER}(?:\s*±\s*{_NUMBER})?"
_UNIT = r"(?:\s*%|\s+(?:points?|seconds|s|minutes|min|hours|times|MiB|GiB)\b)?"
_GROUP = rf"(?<![\w.])(?:{_VALUE}{_UNIT}(?:\s*/\s*|,\s+|,?\s+and\s+))*{_VALUE}{_UNIT}"
_QUOTED = re.compile(rf"({_GROUP})\s?<!--\s*(set|[\w/]+ > .*?)\s*-->", re.DOTALL)
_LISTED = re.compile(rf"^# Numbers: ({_GROUP}) in (.+)$", re.MULTILINE)
_MEASURED = re.compile(
    rf"{_NUMBER}\s*±\s*{_NUMBER}|\d+\.\d+\s*%"
    rf"|(?<![\w.]){_NUMBER}\s+(?:points?|seconds|s|minutes|min|hours|times)\b"
)
_IN_HEADERS = re.compile(rf"{_GROUP}")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A line of a report: the section and the title it stands under, its cells by column."""

    section: str
    title: str
    cells: tuple[tuple[str, str], ...]

    def numbers(self, words: tuple[str, ...]) -> list[str] | None:
        """The numbers of the cells that the words name; None where they name none of them."""
        line = " | ".join((self.title, *(text for _, text in self.cells)))
        titles = [{column, *column.split(", ")} for column, _ in self.cells]
        columns = {word for word in words if any(word in title for title in titles)}
        if not all(word in columns or _holds(line, word) for word in words):
            return None
        # Words may name several columns, or a group of columns and one in it.
        fit = [len(columns & title) for title in titles]
        cells = zip(fit, self.cells, strict=True)
        named = [text for n, (_, text) in cells if n == max(fit)]
        return [number for text in named for number in _numbers(text)] or None


@dataclass(frozen=True)
class Quote:
    """Numbers as they are quoted, and the row they are from."""

    file: str
    text: str
    place: str

    @property
    def found(self) -> list[list[str]]:
        """The numbers of every row that the place names."""
        report, section, *words = (part.strip() for part in self.place.split(" > "))
        rows = (row.numbers(tuple(words)) for row in _rows(report) if row.section == section)
        return [numbers for numbers in rows if numbers is not None]

    @property
    def problem(self) -> str | None:
        """What is wrong with it, in words."""
        found = self.found
        if len(found) != 1:
            return f"its place names {len(found)} rows; name one" if found else "no such row"
        wrong = [n for n in _numbers(self.text) if not any(_rounds(n, told) for told in found[0])]
        return f"the row does not hold {', '.join(wrong)}" if wrong else None


def sources() -> list[Path]:
    """What quotes numbers: README, the pages, the experiments."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    return [ROOT / "README.md", *pages, *sorted((ROOT / "experiments").glob("*.yaml"))]


def quotes(path: Path) -> list[Quote]:
    """All marked numbers of a file."""
    name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    pattern = _LISTED if path.suffix == ".yaml" else _QUOTED
    found = (match.groups() for match in pattern.finditer(_without_code(path, text)))
    return [Quote(name, _one_line(n), _one_line(place)) for n, place in found if place != "set"]


def unmarked(path: Path) -> list[str]:
    """What looks measured in a file and names no row."""
    text = _without_code(path, path.read_text(encoding="utf-8"))
    if path.suffix != ".yaml":
        return [_one_line(found) for found in _MEASURED.findall(_QUOTED.sub("", text))]
    header = text.partition("\nname:")[0]
    told = [line for line in header.splitlines() if not line.startswith("# Numbers:")]
    listed = {n for quote in quotes(path) for n in _numbers(quote.text)}
    groups = _IN_HEADERS.findall("\n".join(told).replace("\n# ", " "))
    measured = (text for text in groups if re.search("±|%|points", text))
    return [n for text in measured for n in _numbers(text) if n not in listed]


def _without_code(path: Path, text: str) -> str:
    return text if path.suffix == ".yaml" else _CODE.sub("", text)


@cache
def _rows(report: str) -> tuple[Row, ...]:
    """Every line of a report that may hold a number; raises FileNotFoundError."""
    path = ROOT / "reports" / report / "report.md"
    return tuple(_parsed(path.read_text(encoding="utf-8").splitlines()))


def _parsed(lines: list[str]) -> Iterator[Row]:
    section, title, columns = "", "", None
    for line in lines:
        if match := re.match(r"#+ (.*)|<details><summary>(.*)</summary>|\*\*(.*)\*\*$", line):
            head, summary, named = match.groups()
            section, title, columns = head or section, named or summary or "", None
        elif not line.startswith("|"):
            columns = None
            if line.strip():
                yield Row(section, title, (("", line),))
        elif columns is None:
            columns = _cells(line)
        elif set(line) - set("|:- "):
            yield Row(section, title, tuple(zip(columns, _cells(line), strict=True)))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _holds(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _numbers(text: str) -> list[str]:
    """`56.9±5.5`, `92`: the numbers of a text in one spelling."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", text.replace("−", "-"))
    return [re.sub(r"\s", "", found).lstrip("+") for found in re.findall(_VALUE, plain)]


def _rounds(quoted: str, told: str) -> bool:
    """Whether the quoted number is the report's, at as many or fewer digits."""
    pairs = list(zip(quoted.split("±"), told.split("±"), strict=False))
    exact = quoted.count("±") <= told.count("±")
    return exact and all(_near(ours, theirs) for ours, theirs in pairs)


def _near(quoted: str, told: str) -> bool:
    digits = len(quoted.partition(".")[2])
    return abs(float(quoted) - float(told)) <= 0.5 * 10**-digits + 1e-9


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    """Print what is wrong, or with `--show` everything; 1 if anything is."""
    wrong = 0
    for path in sources():
        told = [(f"{q.text}   <- {q.place}", q.problem, q.found) for q in quotes(path)]
        told += [(text, "names no report", []) for text in unmarked(path)]
        for text, problem, found in told:
            wrong += problem is not None
            if problem or "--show" in sys.argv:
                print(f"{path.relative_to(ROOT)}: {text}: {problem or 'holds'}")
                for numbers in found[:3]:
                    print(f"    now: {', '.join(numbers)}")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
