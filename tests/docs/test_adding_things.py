"""What the page on adding things shows works as a reader copies it, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT, ROOT
from transfer_lab import load_experiment, records
from transfer_lab.experiment.plan import plan
from transfer_lab.reporting.collect import study
from transfer_lab.store.records import RecordStore

PAGE = (ROOT / "docs" / "adding-things.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"([^\n]+(?:\n[^\n]+)*)\n\n```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`(\w+\.(?:py|yaml))`")


def files() -> dict[str, str]:
    """Every file that the page shows, under the last name that the paragraph before it has."""
    found = {}
    for before, _, text in BLOCK.findall(PAGE):
        if names := FILE.findall(before):
            assert names[-1] not in found
            found[names[-1]] = text
    return found


FILES = files()
CHECKS = sorted(name for name in FILES if name.startswith("check"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the files of the page and nothing else."""
    empty = tmp_path_factory.mktemp("empty")
    for name, text in FILES.items():
        (empty / name).write_text(text, encoding="utf-8")
    return empty


def said(folder: Path, *command: str) -> str:
    """What a command says that a reader types there."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_page_shows_a_file_of_every_sort():
    sorts = ("my_regimes.py", "smoothed.py", "my_domain.py", "my_backbone.py", "runs.py")
    assert set(FILES) == {*sorts, "mine.yaml", "stripes.yaml", *CHECKS}
    assert len(CHECKS) == 4


@pytest.fixture(scope="module")
def trained(folder) -> Path:
    """The same folder after the first experiment has run."""
    said(folder, "-m", "transfer_lab", "plan", "mine.yaml")
    said(folder, "-m", "transfer_lab", "run", "mine.yaml", "--jobs", "1")
    return folder


def test_the_checks_are_silent_if_all_is_well(folder):
    assert said(folder, "check.py") == ""
    others = ", ".join(name.removesuffix(".py") for name in CHECKS if name != "check.py")
    assert said(folder, "-c", f"import {others}") == ""


def all_done(folder: Path, name: str) -> bool:
    experiment = load_experiment(folder / f"{name}.yaml")
    table = records(experiment, folder / "runs")
    assert table["regime"].unique().tolist() == list(experiment.regimes)
    assert (folder / "reports" / name / "index.html").exists()
    return table["status"].unique().tolist() == ["done"]


def test_a_regime_of_ones_own_is_planned_trained_and_reported(trained):
    assert all_done(trained, "mine")


def test_a_domain_a_backbone_and_a_loss_of_ones_own_are_trained_together(folder):
    said(folder, "-m", "transfer_lab", "run", "stripes.yaml", "--jobs", "1")
    assert all_done(folder, "stripes")


def test_the_section_of_the_report_counts_runs(trained):
    asked = load_experiment(trained / "mine.yaml").experiment
    there = study(asked, plan(asked), RecordStore(trained / "runs"), "")
    namespace: dict[str, object] = {}
    exec(FILES["runs.py"], namespace)
    (bullets,) = namespace["runs_section"](there).blocks
    assert bullets.items == ("tune_first: 2", "full_finetune: 2", "majority: 2")


def test_a_number_of_stages_that_is_not_there_is_refused_at_its_line(folder):
    (folder / "beyond.yaml").write_text(FILES["mine.yaml"].replace("k: 1", "k: 7"))
    done = subprocess.run(
        [sys.executable, "-m", "transfer_lab", "plan", "beyond.yaml"],
        cwd=folder,
        env=dict(os.environ) | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.search(r"beyond\.yaml:11:.*k=7, but backbone mlp.* has 3 stages", done.stderr)
