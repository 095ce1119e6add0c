"""A backbone from a Python file beside the experiment: by content, and refused with the reason."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch

from transfer_lab.backbones.build import backbone_class, build_backbone, described
from transfer_lab.experiment.choices import Architecture
from transfer_lab.experiment.classes import ModuleError
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.engines.local import LocalEngine
from transfer_lab.grid.preflight import preflight
from transfer_lab.store.records import RecordStore
from transfer_lab.training.frozen_features import prefix_key

MODULE = """\
from torch import nn
from transfer_lab.backbones.base import Backbone

class Tiny(Backbone):
    \"\"\"One dense stage.\"\"\"

    def __init__(self, image_size: int, *, units: int = 4):
        layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, units), nn.ReLU())
        super().__init__([layers], num_features=units)

class Other:
    pass
"""
EXPERIMENT = """\
name: own
image_size: 12
scenarios:
  small_similar: {source: latin, target: digits, per_class: 4}
backbones:
  tiny: {module: nets/own.py:Tiny, units: 6}
regimes: [from_scratch, linear_probe]
seeds: [1]
domains:
  latin: {letters: ABC, train_per_class: 6, test_per_class: 4}
fit: {epochs: 1}
pretrain: {epochs: 1}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "own.py").write_text(MODULE)
    (tmp_path / "own.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir("/")
    return tmp_path


def loaded(folder: Path, *overrides: str):
    return load_experiment(folder / "own.yaml", overrides).experiment


def test_it_is_found_beside_the_experiment_built_with_its_options_and_passes_preflight(folder):
    asked = loaded(folder)
    backbone = build_backbone(asked.backbones["tiny"], 12)
    assert (type(backbone).__name__, backbone.num_features) == ("Tiny", 6)
    assert backbone(torch.zeros(2, 3, 12, 12, dtype=torch.uint8)).shape == (2, 6)
    assert preflight(asked) == []


def test_its_runs_belong_to_its_content_and_not_to_its_place(folder):
    before = [cell.run.id for cell in plan(loaded(folder))]
    (folder / "nets").rename(folder / "moved")
    moved = loaded(folder, "backbones.tiny.module=moved/own.py:Tiny")
    assert [cell.run.id for cell in plan(moved)] == before
    (folder / "moved" / "own.py").write_text(MODULE + "\n")
    changed = loaded(folder, "backbones.tiny.module=moved/own.py:Tiny")
    assert not {cell.run.id for cell in plan(changed)} & set(before)


def test_two_files_of_one_name_are_told_apart_by_the_names_of_their_entries(folder):
    alone = [cell.run.id for cell in plan(loaded(folder))]
    (folder / "others").mkdir()
    (folder / "others" / "own.py").write_text(MODULE + "# differs\n")
    module = "{module: others/own.py:Tiny, units: 6}"
    both = loaded(folder, f"backbones.second={module}")
    labels = [choice.label for choice in both.backbones.values()]
    assert labels == ["Tiny(units=6) [tiny]", "Tiny(units=6) [second]"]
    cells = plan(both)
    assert {cell.backbone for cell in cells} == set(labels)
    assert len({cell.run.id for cell in cells}) == len(cells) == 2 * len(alone)
    assert set(alone) < {cell.run.id for cell in cells}
    (folder / "others" / "own.py").write_text(MODULE)
    with pytest.raises(ConfigError, match="the same backbone with the same options"):
        loaded(folder, f"backbones.second={module}")


def test_it_trains_in_a_worker_process(folder, tmp_path):
    from transfer_lab.grid.worker import execute
    from transfer_lab.training.run import Setting

    cell = plan(loaded(folder))[0]
    engine = LocalEngine(1, threads=1)
    try:
        future = engine.submit(execute, cell.run, tmp_path / "runs", Setting(), False)
        assert future.result().status == "done"
    finally:
        engine.close()
    assert RecordStore(tmp_path / "runs").get(cell.run.id).status == "done"


def test_an_unknown_option_is_refused_at_its_line(folder):
    (folder / "own.yaml").write_text(EXPERIMENT.replace("units: 6", "unit: 6"))
    file = load_experiment(folder / "own.yaml")
    with pytest.raises(ConfigError, match=r"own\.yaml:6:.*unknown option; did you mean 'units'"):
        file.refuse(preflight(file.experiment))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("nets/gone.py:Tiny", r"gone\.py: cannot read the module .*put the file back there"),
        ("nets/own.py", r"write it as path/to/file\.py:ClassName"),
        ("3", r"write it as path/to/file\.py:ClassName"),
    ],
)
def test_a_module_that_cannot_be_named_so_is_refused_when_read(folder, module, message):
    with pytest.raises(ConfigError, match=message):
        loaded(folder, f"backbones.tiny.module={module}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Missing", MODULE, "no class Missing that derives from"),
        ("Other", MODULE, "no class Other that derives from"),
        ("Tiny", "import nowhere_at_all", "cannot be imported .ModuleNotFoundError"),
        ("Tiny", "def (", "cannot be imported .SyntaxError"),
        ("Tiny", "raise SystemError('no')", "cannot be imported .SystemError: no"),
        ("Tiny", "import sys; sys.exit(3)", "cannot be imported .SystemExit: 3"),
    ],
)
def test_a_file_that_gives_no_backbone_is_refused_by_preflight(folder, name, content, message):
    (folder / "nets" / "own.py").write_text(content)
    asked = loaded(folder, f"backbones.tiny.module=nets/own.py:{name}")
    (problem,) = (p for p in preflight(asked) if p[0][0] == "backbones")
    assert problem[0] == ("backbones", "tiny", "module")
    with pytest.raises(ModuleError, match=message):
        backbone_class(asked.backbones["tiny"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(self, image_size: int, *, units", "(self, *, units", "takes 1 positional argument"),
        ("units: int = 4", "units: Unheard = 4", "NameError"),
        ("num_features=units", "num_features=7", r"num_features is 7, but the last stage .*6"),
        ("[layers]", "[]", "at least one stage"),
        ("nn.Linear(3 * image_size**2", "nn.Linear(5", "cannot take images of 12 x 12"),
        ("        super", "        units / 0\n        super", "ZeroDivisionError"),
    ],
)
def test_a_class_that_does_not_work_is_refused_by_preflight(folder, old, new, message):
    assert old in MODULE
    (folder / "nets" / "own.py").write_text(MODULE.replace(old, new))
    problems = [text for place, text in preflight(loaded(folder)) if place[0] == "backbones"]
    assert len(problems) == 1
    assert re.search(message, problems[0])


def test_a_module_that_changes_after_it_was_read_is_refused(folder):
    choice = loaded(folder).backbones["tiny"]
    stale = Architecture(kind="Tiny", module=choice.module, code="0" * 64)
    with pytest.raises(ModuleError, match="has changed since"):
        backbone_class(stale)


def test_outputs_of_an_installed_backbone_are_stored_by_its_code_and_its_version():
    """Its class is called the same after an edit in place, or an upgrade."""

    def key(**known: str) -> str:
        torch.manual_seed(0)
        cls = backbone_class(Architecture(kind="mlp"))
        choice = Architecture(kind="net", options={"width": 8, "depth": 2}, **known)
        backbone = described(cls(12, **choice.arguments), choice, 12)
        return prefix_key(copy.deepcopy(backbone), 1)

    before = {"code": "0" * 64, "distribution": "nets 1.2"}
    others = (before | {"code": "1" * 64}, before | {"distribution": "nets 1.3"})
    assert key(**before) == key(**before)
    assert len({key(**known) for known in (before, *others)}) == 3


def test_structure_of_the_labs_own_says_nothing_of_code():
    """So that what is stored of them stays theirs."""
    own = build_backbone(Architecture(kind="mlp", options={"width": 8, "depth": 2}), 12)
    graphs = ["", ""]
    known = ("transfer_lab.backbones.mlp.MLP", own.options, own.stages, graphs, own.mean, own.std)
    assert own.structure() == repr(known)
