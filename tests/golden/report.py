"""The report on a grid that nobody measured, whole; pin its files: `python -m tests.golden.report`.

Records, curves, predictions, searches, places on the axis and the network's changes are invented,
the same every time, and so are dates, host and commit: of what writes the report nothing but the
versions of the libraries that draw and format it enters the files.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pandas as pd

from tests.reporting.invented import Grid, record
from transfer_lab.experiment.spec import Experiment, Run
from transfer_lab.reporting.report import write, write_latex
from transfer_lab.store.records import Record

FILE = Path(__file__).with_name("report.json")
MAKE = "python -m tests.golden.report"
COMMAND = "transfer-lab run golden.yaml"
LIBRARIES = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "scipy")
SIZES = {5: "small", 20: "medium", 80: "large"}
REGIMES = {
    "from_scratch": {"kind": "from_scratch"},
    "linear_probe": {"kind": "linear_probe", "tune": [{"lr": lr} for lr in (0.001, 0.01, 0.1)]},
    "full_finetune": {"kind": "full_finetune"},
    "lp_ft": {"kind": "lp_ft"},
    "majority": {"kind": "majority"},
}
_PICTURE = re.compile(rb"data:image/png;base64,[A-Za-z0-9+/=]+")


def experiment() -> Experiment:
    """Three sizes, two sources, two budgets, a search, a claim."""
    return Experiment(
        name="golden",
        title="Cyrillic letters from two sources",
        image_size=32,
        domains={name: {"kind": name} for name in ("cyrillic", "latin", "textures")},
        scenarios={
            f"{similarity}_{n}": {
                "source": source,
                "target": "cyrillic",
                "per_class": n,
                "size": size,
                "similarity": similarity,
            }
            for similarity, source in {"similar": "latin", "dissimilar": "textures"}.items()
            for n, size in SIZES.items()
        },
        backbones={"cnn": {"kind": "cnn"}},
        regimes=REGIMES,
        seeds=(0, 1, 2),
        budgets={"longer": {"epochs": 40}},
        claims={
            "transfer": {
                "text": "What is transferred beats what is not.",
                "arm": "cnn/full_finetune",
                "relation": "above",
                "than": "cnn/from_scratch",
            }
        },
    )


def files(out: Path) -> dict[str, bytes]:
    """Write the report and its LaTeX tables into `out / report`; every file by its name."""
    # Invented numbers are drawn from the runs' ids, which a new protocol changes.
    with mock.patch.object(sys.modules[Run.__module__], "PROTOCOL", 2):
        grid, report = _grid().predict(out / "runs"), out / "report"
        stored = replace(grid.stored, changes=_changes(grid), sources=_sources(grid))
        write(grid.experiment, stored, report, COMMAND)
        write_latex(grid.experiment, stored, report)
    found = {
        str(path.relative_to(report)): path.read_bytes()
        for path in sorted(report.rglob("*"))
        if path.is_file()
    }
    page = found["index.html"]
    return found | {"index.html without its pictures": _PICTURE.sub(b"", page)}


def _grid() -> Grid:
    """All cells finished but one that failed and one that is missing."""
    grid = (
        Grid(experiment()).finish().place({"latin": (0.2, 0.15, 0.25), "textures": (0.8, 0.7, 1)})
    )
    failed, missing, *_ = (c for c in grid.cells if c.regime == "lp_ft" and c.seed == 2)
    grid.fail(failed.run, "the loss is NaN")
    del grid.records[missing.run.id], grid.curves[missing.run.id]
    return grid


def _changes(grid: Grid) -> dict[str, pd.DataFrame]:
    """What fine-tuning left of each stage."""
    stages, cka = [1, 2, 3], [0.98, 0.9, 0.7]
    known = {"stage": stages, "frozen": [False] * 3, "images": 200, "cka": cka, "note": None}
    fine = [cell for cell in grid.cells if cell.regime in ("full_finetune", "lp_ft")]
    return {cell.run.id: pd.DataFrame(known) for cell in fine if cell.run.id in grid.curves}


def _sources(grid: Grid) -> dict[str, Record]:
    """The records of the source runs."""
    parents = {cell.run.parent.id: cell for cell in grid.cells if cell.run.parent}
    content = {"init_id": None, "test_accuracy": 0.91, "num_classes": 26, "epochs": 12}
    return {init: record(cell, run_id=init, **content) for init, cell in parents.items()}


def versions() -> dict[str, str]:
    """Of all that the bytes depend on."""
    from matplotlib import ft2font

    found = {name: version(name) for name in LIBRARIES}
    return found | {"freetype": ft2font.__freetype_version__}


def digests(found: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def holds_pictures(name: str) -> bool:
    """Whether another version of a library may draw the file otherwise."""
    return name.endswith(".png") or name == "index.html"


def moved(found: Mapping[str, str], pinned: Mapping[str, str]) -> list[str]:
    """What differs, is new or is gone."""
    return sorted(n for n in {*found, *pinned} if found.get(n) != pinned.get(n))


def main() -> None:
    """Pin the files of the report."""
    with TemporaryDirectory() as folder:
        found = digests(files(Path(folder)))
    changed = moved(found, json.loads(FILE.read_text())["files"]) if FILE.exists() else []
    FILE.write_text(json.dumps({"versions": versions(), "files": found}, indent=1) + "\n")
    print(f"{len(found)} files pinned in {FILE}; other than before: {', '.join(changed) or 'none'}")


if __name__ == "__main__":
    main()
