"""What `predict` and `try` do, step by step. No torch where onnxruntime answers."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from transfer_lab.advice.album.handed_over import RefusedError
from transfer_lab.advice.wording import Line, counted
from transfer_lab.cli.endings import told
from transfer_lab.cli.lines import print_lines
from transfer_lab.cli.steps import Steps, console
from transfer_lab.reporting.wording import one_line
from transfer_lab.system.files import write_atomically

if TYPE_CHECKING:
    from transfer_lab.advice.model.loading import Answer

DONE, NONE_READ = 0, 1
_NAMED = 8
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def predict(
    model: Path,
    photos: Sequence[str],
    out: Path | None,
    *,
    top: int,
    sort_into: Path | None,
    kind: str | None,
) -> int:
    """Answer for every photograph and write the table; returns the exit code."""
    with told("each photo that was copied is whole") as ended:
        from transfer_lab.advice import predicting
        from transfer_lab.advice.model.loading import load_model

        with Steps(console(error=True)) as steps:
            paths = predicting.find_photos(_inputs(photos), sys.stdin)
            loaded = load_model(model)
            seen = _Seen(steps, len(paths))
            answers = loaded.answers(paths, top=top)
            if sort_into is not None:
                answers = predicting.sort_into(answers, sort_into)
            _write(seen.pass_on(answers), out, kind)
        seen.tell(out, sort_into)
        return NONE_READ if seen.unreadable == len(paths) else DONE
    return ended.code


def try_model(model: Path, port: int) -> int:
    """Serve the page until Ctrl-C; returns the exit code."""
    with told() as ended:
        from transfer_lab.advice.model.loading import load_model
        from transfer_lab.advice.trying.server import serve

        serve(load_model(model), port=port)
        return DONE
    return ended.code


class _Seen:
    """Counts answers as they pass."""

    def __init__(self, steps: Steps, total: int):
        self._steps, self._total = steps, total
        self._classes: Counter[str] = Counter()
        self.unreadable = self._unfamiliar = 0

    def pass_on(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        self._steps.step("naming photos", None)
        for number, answer in enumerate(answers, start=1):
            if answer.label is None:
                self.unreadable += 1
            else:
                self._classes[answer.label] += 1
                self._unfamiliar += bool(answer.unfamiliar)
            self._steps.progress(number, self._total)
            yield answer

    def tell(self, out: Path | None, folder: Path | None) -> None:
        """In a few lines, beside the table."""
        most = self._classes.most_common(_NAMED)
        text = ", ".join(f"{one_line(name)} {count}" for name, count in most)
        rest = len(self._classes) - len(most)
        lines = [
            Line(f"{self._total - self.unreadable:,} NAMED", text + f", {rest} more" * bool(rest))
        ]
        if self._unfamiliar:
            what = counted(self._unfamiliar, "photo")
            lines.append(Line("UNFAMILIAR", f"{what} unlike all that the model has learnt from"))
        if self.unreadable:
            lines.append(Line("UNREADABLE", counted(self.unreadable, "file")))
        if out is not None:
            lines.append(Line("TABLE", str(out)))
        if folder is not None:
            lines.append(Line("COPIES", f"{folder}/"))
        print_lines(console(error=True), lines)


class _Printed(io.TextIOBase):
    """The standard output, with what would steer a terminal written out."""

    def __init__(self, into: IO[str]):
        self._into = into

    def write(self, text: str) -> int:
        return self._into.write(_STEERING.sub(_spelt, text))


def _spelt(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _inputs(photos: Sequence[str]) -> Sequence[str]:
    if photos:
        return photos
    if sys.stdin is None or sys.stdin.isatty():
        raise RefusedError("no photos are named; name a folder or files, or - to read their names")
    return ["-"]


def _write(answers: Iterator[Answer], out: Path | None, kind: str | None) -> None:
    from transfer_lab.advice.predicting import write_csv, write_json

    if out is None:
        console()  # letters that the output does not know are replaced
        printed = cast("IO[str]", _Printed(sys.stdout))
        (write_json if kind == "json" else write_csv)(answers, printed)
        return
    is_json = kind == "json" or (kind is None and out.suffix.lower() == ".json")
    text = io.StringIO(newline="")
    (write_json if is_json else write_csv)(answers, text)
    write_atomically(out, lambda file: file.write(text.getvalue().encode("utf-8")))
