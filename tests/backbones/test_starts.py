"""What a grid plans where backbones start from weights, from source runs, or from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.worker import execute
from transfer_lab.store.records import RecordStore
from transfer_lab.store.results import frame
from transfer_lab.training.run import Setting

TEXT = """\
name: starts
image_size: 12
scenarios:
  small_similar: {source: latin, target: digits, per_class: 4}
domains:
  same: {kind: latin, letters: ABC, train_per_class: 6, test_per_class: 4}
  latin: {letters: ABC, train_per_class: 6, test_per_class: 4}
backbones:
  own: {kind: mlp, width: 6}
  bare: {kind: mlp, width: 7, pretrained: none}
  ready: {kind: mlp, width: 8, pretrained: {file: w.safetensors}}
regimes:
  from_scratch:
  linear_probe:
  full_finetune: {on: [ready]}
seeds: [1, 2]
fit: {epochs: 1}
pretrain: {epochs: 1}
"""


@pytest.fixture
def path(tmp_path) -> Path:
    save_file(BACKBONES.load("mlp")(12, width=8).stages.state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "starts.yaml").write_text(TEXT)
    return tmp_path / "starts.yaml"


def cells(path: Path, *overrides: str):
    return plan(load_experiment(path, overrides).experiment)


def test_a_regime_is_planned_where_it_is_meant_to_be_and_can_start(path):
    planned = {(c.run.backbone.options["width"], c.regime) for c in cells(path)}
    assert planned == {
        *((6, "from_scratch"), (6, "linear_probe")),
        (7, "from_scratch"),
        *((8, "from_scratch"), (8, "linear_probe"), (8, "full_finetune")),
    }


def test_only_a_source_run_is_trained_first_and_weights_are_the_start_themselves(path):
    planned = cells(path)
    starts = {c.run.backbone.options["width"]: c.run.init for c in planned if c.run.init}
    assert starts[6].domain.kind == "latin"
    assert isinstance(starts[8], Weights)
    sources = [run for run in runs_of(planned).values() if run.domain.kind == "latin"]
    assert [run.backbone.options["width"] for run in sources] == [6]


def test_a_cell_says_where_its_weights_come_from(path):
    sources = {c.backbone: c.source for c in cells(path)}
    assert sources == {
        "mlp(width=6)": "latin",
        "mlp(width=7, pretrained=none)": "latin",
        "mlp(width=8, pretrained=w)": "w",
    }


def test_training_from_scratch_is_the_same_run_whatever_weights_exist(path):
    def scratch(*overrides: str) -> set[str]:
        return {c.run.id for c in cells(path, *overrides) if c.regime == "from_scratch"}

    assert scratch() == scratch("backbones.ready.pretrained=none", "regimes.full_finetune.on=[own]")


def test_other_weights_are_other_runs_and_another_place_is_not(path):
    def probes() -> list[str]:
        found = cells(path)
        return [c.run.id for c in found if isinstance(c.run.init, Weights)]

    before = probes()
    (path.parent / "w.safetensors").touch()
    assert probes() == before
    weights = BACKBONES.load("mlp")(12, width=8).stages.state_dict()
    save_file(weights, path.parent / "w.safetensors")
    assert not set(probes()) & set(before)


def test_a_run_from_weights_starts_there_and_its_record_says_so(path):
    store = RecordStore(path.parent / "runs")
    (probe,) = (
        c
        for c in cells(path)
        if c.regime == "linear_probe" and c.run.parent is None and c.seed == 1
    )
    record = execute(probe.run, store.root, Setting(), False)
    assert record.status == "done"
    assert record.init_id == probe.run.init.sha256[:16]
    assert record.pretrain_seconds is None
    (row,) = frame([probe], store).to_dict("records")
    assert (row["source"], row["init_id"]) == ("w", record.init_id)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: latin, ", "", "scenarios.small_similar: is without a source"),
        ("target: digits", "target: same", "source and target hold the same images"),
        ("on: [ready]", "on: []", "full_finetune.on"),
        ("on: [ready]", "on: [redy]", "no backbone 'redy' here; did you mean 'ready'"),
        ("on: [ready]", "on: [bare]", "full_finetune: it starts from a source, and no backbone"),
    ],
)
def test_a_start_that_leads_nowhere_is_refused_at_its_place(path, old, new, message):
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_experiment(path)


def test_a_source_may_be_left_out_where_nothing_starts_from_a_source_run(path):
    text = TEXT.replace("source: latin, ", "")
    path.write_text(text.replace("width: 6", "width: 6, pretrained: none"))
    assert {c.source for c in cells(path)} == {None, "w"}
