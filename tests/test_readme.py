"""What the README shows is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.builders import TINY_YAML, SharedEngine
from tests.toys import Leaky, drawn
from transfer_lab.experiment.catalog import BACKBONES, DOMAINS, REGIMES
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.spec import Fit
from transfer_lab.grid.engines import local
from transfer_lab.grid.preflight import preflight
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.training.fit import fit_and_test

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str, about: str = "") -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (wanted,) = (text for text in found if about in text)
    return wanted


def test_the_example_experiment_is_valid(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(block("yaml"))
    experiment = load_experiment(path).experiment
    assert preflight(experiment) == []
    assert len(plan(experiment)) == 2 * 2 * 4 * 3


def test_the_example_regime_freezes_what_it_says():
    namespace = {"TransferModule": TransferModule, "Phase": Phase}
    exec(block("python", "class TuneFirst"), namespace)
    regime = namespace["TuneFirst"](Leaky(), 4, k=1)
    before = {k: v.clone() for k, v in regime.backbone.stages.state_dict().items()}
    fit_and_test(regime, drawn(), Fit(epochs=2, batch_size=8))
    after = regime.backbone.stages.state_dict()
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (not key.startswith("0.")), key


def test_the_example_notebook_trains_and_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "LocalEngine", SharedEngine)
    (tmp_path / "experiments").mkdir()
    for name in ("four_scenarios", "digits"):  # as small as a test needs
        (tmp_path / "experiments" / f"{name}.yaml").write_text(TINY_YAML)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(block("python", "load_experiment"), namespace)
    assert namespace["table"]["status"].unique().tolist() == ["done"]
    assert len(namespace["table"]) == 6
    assert (tmp_path / "reports" / "tiny" / "index.html").exists()


@pytest.mark.parametrize("registry", [DOMAINS, BACKBONES, REGIMES], ids=lambda r: r.kind)
def test_every_registered_name_is_listed(registry):
    (row,) = re.findall(rf"\n\| {registry.kind}s \|.*", README)
    assert set(re.findall(r"`(\w+)(?::NAME)?`", row)) >= set(registry)


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets
