"""The folder that advice is written to: the page, advice.json for programs, and a table of what
should be looked at. No torch."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from transfer_lab.advice.advice import Advice
from transfer_lab.advice.page.render import to_html
from transfer_lab.advice.page.sheets import Shot
from transfer_lab.reporting.render.csv import harmless
from transfer_lab.system.files import write_atomically

JSON, PAGE, TABLE = "advice.json", "index.html", "to-check.csv"


def write(advice: Advice, shots: Sequence[Shot], root: Path, out: Path, command: str) -> Path:
    """Write all three, each whole or not at all; returns the page.

    `root`: where the photographs lie; `command`: what the page names as the next step. Raises
    OSError.
    """
    texts = {
        JSON: to_json(advice),
        TABLE: to_check(advice, shots),
        PAGE: to_html(advice, shots, root, out, command),
    }
    for name, text in texts.items():
        content = io.BytesIO(text.encode("utf-8", errors="replace"))
        write_atomically(out / name, partial(shutil.copyfileobj, content))
    return out / PAGE


def to_json(advice: Advice) -> str:
    """advice.json, a key a line: of a thousand classes the confusion alone has a million numbers,
    and one of them a line would take longer to write than the advice itself."""
    content = advice.model_dump(by_alias=True)
    lines = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(out: Path) -> Advice | None:
    """The advice that was written there; None where there is none that can be read."""
    try:
        return Advice.model_validate_json((out / JSON).read_bytes())
    except (OSError, ValueError):
        return None


def to_check(advice: Advice, shots: Sequence[Shot]) -> str:
    """CSV: every photograph of a flag, with the group of those that belong together, its class and
    what it was named."""
    known = {shot.path: shot for shot in shots}
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["what", "group", "file", "class", "looks_like", "note"])
    for flag in advice.flags:
        for number, paths in enumerate(flag.paths, start=1):
            for path in paths:
                found = known.get(path)
                label, answer = _names(advice, found) if found else ("", "")
                values = (flag.kind, number, path, label, answer, flag.text)
                rows.writerow([harmless(value) for value in values])
    return text.getvalue()


def _names(advice: Advice, shot: Shot) -> tuple[str, str]:
    classes = advice.data.classes
    return classes[shot.label], "" if shot.answer is None else classes[shot.answer]
