"""What `make faults` tried and what survived, as a table: pytest's own report in, Markdown out."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

MODULES = {
    "test_sweeps": "any single file operation: kill, torn write, EIO, full disk, failing flush",
    "test_damage": "each kind of file of a store: empty, flipped, foreign, a folder, unreadable",
    "test_mutations": "any mutation of any file from which a result or a report is made",
    "test_beside_records": "files beside a record, records that cannot be read, archived stores",
    "test_images": "stored images, and photographs that change meanwhile",
    "test_published_weights": "weights of a hub's cache: exchanged, damaged, absent",
    "test_weights_files": "weights files: cut off, changed, of other numbers, with code in them",
    "test_folders": "folders of images: pipes, devices, loops, twins, unreadable parts",
    "test_chance": "backbones that answer the same image otherwise at a second look",
    "test_inputs": "experiments: any bytes, large ones, tags, words put in",
    "test_processes": "processes: dying, stopped, interrupted twice, hung up, without room",
    "test_idleness": "foreign code that waits for ever, and what only looks like it",
    "test_scheduler": "runs: crashes and I/O errors once and twice, a full disk, foreign code",
    "test_output": "what is printed and written: escape sequences, closed and full streams",
    "test_memory": "runs that need more memory than there is: refused, killed",
    "test_concurrency": "several commands at once on one store, of one machine and of several",
    "test_clusters": "Ray that is not there, is something else, cannot start, or is left behind",
    "test_small_disks": "a disk of 64 KB",
}


@dataclass
class Row:
    """Of a module: its cases, those that survived and those that could not be tried here."""

    tried: int = 0
    survived: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)


def rows(report: Path) -> dict[str, Row]:
    """By module; a test that has not said how many cases it tried is one."""
    found: dict[str, Row] = defaultdict(Row)
    for case in ElementTree.parse(report).iter("testcase"):
        row = found[case.get("classname", "").rpartition(".")[2]]
        said = [p.get("value") for p in case.iter("property") if p.get("name") == "cases"]
        count = max(1, int(said[0] or 0)) if said else 1
        if case.find("skipped") is not None:
            row.skipped += count
            continue
        row.tried += count
        if case.find("failure") is None and case.find("error") is None:
            row.survived += count
        else:
            row.survived += count - 1
            row.failed.append(case.get("name", ""))
    return found


def markdown(found: dict[str, Row]) -> str:
    """The table, and the name of everything that did not survive."""
    total = Row(
        sum(row.tried for row in found.values()),
        sum(row.survived for row in found.values()),
        sum(row.skipped for row in found.values()),
    )
    lines = [
        "# Faults",
        "",
        f"{total.survived:,} of {total.tried:,} cases survived, {total.skipped:,} could not be "
        f"tried ({platform.system()}, Python {platform.python_version()}). A case survives where "
        "nothing is taken for what it is not, what is wrong is named, and the next call ends as an "
        "undisturbed one. `make faults` writes this file; what is promised stands in "
        "[security](../../docs/security.md).",
        "",
        "| what was made to go wrong | cases | survived | not tried here |",
        "| :--- | ---: | ---: | ---: |",
    ]
    for module, what in MODULES.items():
        row = found.get(module, Row())
        lines.append(f"| {what} | {row.tried:,} | {row.survived:,} | {row.skipped:,} |")
    failed = [f"- `{module}`: {name}" for module, row in found.items() for name in row.failed]
    return "\n".join([*lines, *(["", "Not survived:", "", *failed] if failed else [])]) + "\n"


if __name__ == "__main__":
    given, made = map(Path, sys.argv[1:])
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(markdown(rows(given)), encoding="utf-8")
    print(f"written: {made}")
