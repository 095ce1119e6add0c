"""The plain script trains the same cell as the lab, and as long."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks.cells import PlainCell, plain_data, plain_module, projection, train_ours
from benchmarks.photos import write_photos
from benchmarks.plain_lightning import (
    EpochChunk,
    ImageFiles,
    Outcome,
    Pace,
    PlainModule,
    extract,
    train_and_test,
    warm_cosine,
)
from benchmarks.vgg16 import QUICK, run_of
from tests.builders import tiny_run
from tests.toys import Leaky, drawn
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes import optim as recipes
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.store.records import RecordStore
from transfer_lab.training.building import build_regime
from transfer_lab.training.fit import epochs_for, fit_and_test, quiet

FIT = Fit(epochs=12, batch_size=8)
quiet()


def begun(cls, **options):
    torch.manual_seed(1)
    regime = cls(Leaky(), 4, **options)
    regime.begin(regime.phases()[0])
    return regime


def plainly(domain, regime, fit=FIT):
    """The plain script on what the lab would train."""
    (phase,) = regime.phases()
    epochs = epochs_for(fit, len(domain.split.train))
    stretch = EpochChunk(phase.frozen, phase.lr, phase.backbone_lr, epochs)
    module = plain_module(regime)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    data = plain_data(domain, regime)
    outcome = train_and_test(module, data, [stretch], batch_size=fit.batch_size)
    return module, before, outcome


@pytest.mark.parametrize(
    ("cls", "options"),
    [(FromScratch, {"lr": 0.003}), (PartialFinetune, {"k": 1, "lr": 0.003, "backbone_lr": 0.003})],
)
def test_both_learn_a_separable_toy_in_as_many_steps(cls, options):
    domain = drawn()
    _, _, outcome = plainly(domain, begun(cls, **options))
    regime = begun(cls, **options)
    result = fit_and_test(regime, domain, FIT)
    ours = (torch.cat(regime.test_outputs).argmax(1) == domain.section_labels("test")).float()
    assert outcome.steps == result.curve.last["steps"]
    assert outcome.tested == len(ours)
    assert outcome.accuracy > 0.9
    assert outcome.accuracy == pytest.approx(float(ours.mean()), abs=0.1)


def test_it_starts_from_the_same_weights_and_reads_the_same_images():
    domain, regime = drawn(), begun(FromScratch)
    module, data = plain_module(regime).eval(), plain_data(domain, regime)
    for section in ("train", "val", "test"):
        plain = getattr(data, section)
        images = torch.stack([plain[i][0] for i in range(len(plain))])
        assert [plain[i][1] for i in range(len(plain))] == domain.section_labels(section).tolist()
        source, index, _ = domain.source_of(section)
        with torch.no_grad():
            ours = regime.eval()(torch.as_tensor(source[index]))
            torch.testing.assert_close(module(images), ours, atol=1e-4, rtol=1e-4)


def test_frozen_layers_stay_as_they_were_and_the_others_learn():
    module, before, _ = plainly(drawn(), begun(PartialFinetune, k=2))
    for key, value in module.state_dict().items():
        frozen = key.startswith(("layers.0.", "layers.1."))
        assert torch.equal(value, before[key]) == frozen, key


def test_the_schedule_is_the_labs():
    parameter = [{"params": [nn.Parameter(torch.zeros(1))], "lr": 1.0}]
    optimizer, schedule = recipes.adamw_cosine(parameter, 0.0, 50)
    for step in range(50):
        assert warm_cosine(step, 50) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_a_run_of_the_grid_becomes_its_phases(tmp_path):
    run = tiny_run("lp_ft", probe_share=0.5).model_copy(update={"fit": Fit(epochs=4)})
    cell = PlainCell.of(run, RecordStore(tmp_path))
    assert [stretch.epochs for stretch in cell.stretches] == [2, 2]
    assert [len(stretch.frozen) for stretch in cell.stretches] == [2, 0]
    outcome, ours = cell.run(), train_ours(run, tmp_path)
    assert outcome.steps == ours.record.steps
    assert ours.seconds > ours.record.fit_seconds > 0


def test_files_are_read_as_files(tmp_path):
    photos = write_photos(tmp_path / "all", classes=2, train=3, test=2, side=40)
    run = run_of(
        replace(QUICK, classes=2, sample=3), photos, Choice(kind="linear_probe"), sample=True
    )
    store = RecordStore(tmp_path / "store")
    cell = PlainCell.of(run, store)
    assert isinstance(cell.data.train, ImageFiles)
    assert (len(cell.data.train), len(cell.data.val), len(cell.data.test)) == (6, 0, 4)
    cell.data.test.workers = 0
    features = extract(cell.module.layers, cell.data.test, 4)
    assert features.shape == (4, build_regime(run, _domain(run), store).backbone.num_features)


def _domain(run):
    from transfer_lab.training.building import build_domain

    return build_domain(run, None)


def test_a_projection_is_marked_and_multiplies_the_median_pace():
    pace = Pace(train=[9.0, 2.0, 2.0, 7.0], test=[5.0, 1.0], first=11.0)
    timing = projection(Outcome(0.5, 4, 4, 99.0, pace), images=100, tested=10)
    assert timing.seconds == (11.0 + 100 * 2.0 + 10 * 1.0,)
    assert timing.projected == "4 training and 2 test batches"


def test_a_probe_gives_no_rates_to_frozen_layers():
    module = PlainModule(list(begun(LinearProbe).backbone.stages), nn.Linear(32, 4))
    module.begin(EpochChunk((0, 1, 2), lr=0.1, backbone_lr=0.1, epochs=1))
    assert [p.requires_grad for p in module.layers.parameters()] == [False] * len(
        list(module.layers.parameters())
    )
    assert not any(m.training for m in module.train().layers.modules() if m is not module.layers)
