"""What the page on adding things shows works as a reader copies it, in an empty folder."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.builders import ENVIRONMENT, ROOT
from tests.cli.test_app import call
from tests.docs.test_examples import run_alone
from tests.toys import Leaky, drawn
from transfer_lab import load_experiment, records
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.hooks import own_hooks
from transfer_lab.reporting.collect import study
from transfer_lab.store.records import RecordStore
from transfer_lab.training.fit import fit_and_test

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
    sorts = ("my_regimes.py", "smoothed.py", "my_domain.py", "my_backbone.py", "runs.py", "sure.py")
    assert set(FILES) == {*sorts, "mine.yaml", "stripes.yaml", *CHECKS}
    assert len(CHECKS) == 5


@pytest.fixture(scope="module")
def trained(folder) -> Path:
    """The same folder after the first experiment has run."""
    with chdir(folder):
        assert call("plan", "mine.yaml") == 0
    said(folder, "-m", "transfer_lab", "run", "mine.yaml", "--jobs", "1")
    return folder


def test_the_checks_are_silent_if_all_is_well(folder):
    run = "import runpy, sys\nfor name in sys.argv[1:]: runpy.run_path(name, run_name='__main__')"
    assert said(folder, "-c", run, *CHECKS) == ""


def all_done(folder: Path, name: str) -> bool:
    experiment = load_experiment(folder / f"{name}.yaml")
    table = records(experiment, folder / "runs")
    assert table["regime"].unique().tolist() == list(experiment.regimes)
    assert (folder / "reports" / name / "index.html").exists()
    return table["status"].unique().tolist() == ["done"]


def test_a_regime_of_ones_own_is_planned_trained_and_reported(trained):
    assert all_done(trained, "mine")


@pytest.mark.slow
def test_a_domain_a_backbone_and_a_loss_of_ones_own_are_trained_together(folder):
    said(folder, "-m", "transfer_lab", "run", "stripes.yaml", "--jobs", "1")
    assert all_done(folder, "stripes")


def test_the_section_of_the_report_counts_runs(trained):
    asked = load_experiment(trained / "mine.yaml").experiment
    there = study(asked, plan(asked), RecordStore(trained / "runs"), "")
    (bullets,) = run_alone(FILES["runs.py"])["runs_section"](there).blocks
    assert bullets.items == ("tune_first: 2", "full_finetune: 2", "majority: 2")


def test_the_example_regime_freezes_what_it_says():
    regime = run_alone(FILES["my_regimes.py"])["TuneFirst"](Leaky(), 4, k=1)
    before = {k: v.clone() for k, v in regime.backbone.stages.state_dict().items()}
    fit_and_test(regime, drawn(), Fit(epochs=2, batch_size=8))
    after = regime.backbone.stages.state_dict()
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (not key.startswith("0.")), key


@pytest.mark.parametrize("k", [0, 3, 7])
def test_the_example_regime_refuses_what_would_be_another_one(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        run_alone(FILES["my_regimes.py"])["TuneFirst"](Leaky(), 4, k=k)


def test_the_example_loss_is_smoothed_in_training_alone():
    regime = run_alone(FILES["smoothed.py"])["Smoothed"](Leaky(), 4, smoothing=0.4)
    logits, labels = torch.randn(5, 4), torch.arange(5) % 4
    expected = F.cross_entropy(logits, labels, label_smoothing=0.4)
    assert torch.equal(regime.loss(logits, labels), expected)
    assert not torch.equal(expected, F.cross_entropy(logits, labels))
    assert "loss" in own_hooks(regime)


def test_the_example_domain_makes_what_it_says():
    domain = run_alone(FILES["my_domain.py"])["Stripes"](12, per_class=8)
    images, labels = domain.make_images("train"), domain.labels("train")
    assert images.shape == (16, 3, 12, 12)
    assert images.dtype == np.uint8
    down, across = images.mean((1, 2)).std(1), images.mean((1, 3)).std(1)
    assert ((down > across) == (labels == 0)).all()
    assert not np.array_equal(images, domain.make_images("test"))


def test_the_example_backbone_has_the_features_it_says():
    backbone = run_alone(FILES["my_backbone.py"])["TwoLayers"](16, width=8)
    assert backbone.output_shape(16) == (backbone.num_features,) == (8,)
    assert len(backbone.stages) == 2


def test_a_number_of_stages_that_is_not_there_is_refused_at_its_line(folder, monkeypatch, capsys):
    (folder / "beyond.yaml").write_text(FILES["mine.yaml"].replace("k: 1", "k: 7"))
    monkeypatch.chdir(folder)
    assert call("plan", "beyond.yaml") == 2
    told = capsys.readouterr().err
    assert re.search(r"beyond\.yaml:11:.*k=7, but backbone mlp.* has 3 stages", told)
