"""What fine-tuning changed: 1 where nothing learnt, less where it did, and no effect on the run."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.builders import done, tiny_run
from tests.toys import Blocks, Leaky, drawn
from transfer_lab import training, witness
from transfer_lab.backbones.base import Backbone
from transfer_lab.changes import FILE, StageChange, to_csv
from transfer_lab.choices import Architecture
from transfer_lab.fitting import fit_and_test
from transfer_lab.grid import left_behind
from transfer_lab.record_store import RecordStore
from transfer_lab.regimes import REGIMES
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.similarity.cka import cka
from transfer_lab.spec import Fit
from transfer_lab.training import Setting, train
from transfer_lab.witness import Witness, fine_tunes, sample

NEEDED = {"partial_finetune": {"k": 2}}
TRANSFERRING = [name for name in REGIMES if REGIMES[name].from_source]
FINE_TUNING = {"partial_finetune", "full_finetune", "lp_ft"}
BUDGET = Fit(epochs=4, batch_size=8)


def build(name, backbone=None, **options):
    torch.manual_seed(0)
    return REGIMES.load(name)(backbone or Leaky(), 4, **NEEDED.get(name, {}) | options)


@pytest.mark.parametrize("name", TRANSFERRING)
def test_a_stage_that_was_frozen_is_1_and_one_that_learnt_is_less(name):
    domain, regime = drawn(), build(name)
    seen = Witness(regime, sample(domain))
    fit_and_test(regime, domain, BUDGET)
    changes = seen.changes(regime)
    always = set.intersection(*(set(phase.frozen) for phase in regime.phases()))
    assert [c.stage for c in changes] == list(range(1, regime.transferred + 1))
    assert {c.stage - 1 for c in changes if c.frozen} == always & set(range(regime.transferred))
    for change in changes:
        assert change.images == 96 and change.note == ""
        if change.frozen:
            assert change.cka == pytest.approx(1, abs=1e-9)
        else:
            assert change.cka < 1 - 1e-6


@pytest.mark.parametrize("name", list(REGIMES))
def test_only_regimes_that_let_a_stage_of_the_source_learn_fine_tune(name):
    assert fine_tunes(build(name)) == (name in FINE_TUNING)


def test_a_stage_that_starts_at_random_is_not_compared_with_the_source():
    """AnB: what was transferred is frozen, and what learns was not transferred."""
    assert not fine_tunes(PartialFinetune(Leaky(), 4, k=2, reinit=True))
    assert not fine_tunes(PartialFinetune(Leaky(), 4, k=3))


def test_it_is_the_measure_of_the_features_of_both_networks():
    domain, regime = drawn(), build("full_finetune")
    images, source = sample(domain), copy.deepcopy(regime.backbone).eval()
    seen = Witness(regime, images)
    fit_and_test(regime, domain, BUDGET)
    tuned = regime.backbone.eval()
    with torch.no_grad():
        for change in seen.changes(regime):
            first, second = (b(images, stop=change.stage).flatten(1) for b in (source, tuned))
            assert change.cka == pytest.approx(cka(first.numpy(), second.numpy()), abs=1e-4)


def test_looking_changes_nothing_in_the_network_and_draws_no_random_number():
    regime = build("partial_finetune")
    regime.begin(regime.phases()[0])
    modes = {name: m.training for name, m in regime.named_modules()}
    state = {key: value.clone() for key, value in regime.state_dict().items()}
    random = torch.get_rng_state()
    Witness(regime, sample(drawn())).changes(regime)
    assert torch.equal(torch.get_rng_state(), random)
    assert {name: m.training for name, m in regime.named_modules()} == modes
    assert all(torch.equal(value, state[key]) for key, value in regime.state_dict().items())


def test_the_images_are_of_the_training_pool_and_the_same_for_every_size_and_seed():
    domain = Blocks(train_per_class=100)
    few = sample(drawn(domain, per_class=8, seed=1))
    many = sample(drawn(domain, per_class=80, seed=2))
    assert torch.equal(few, many) and len(few) == witness.IMAGES == 256
    assert domain.made == ["train"]
    pool = domain.source_of("train")[0]
    assert len({image.tobytes() for image in few.numpy()} - {i.tobytes() for i in pool}) == 0


class InPlace(Backbone):
    """The second stage works on what the first one gave."""

    def __init__(self):
        stages = [nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(inplace=True), nn.Flatten())]
        super().__init__(stages, num_features=400)


def test_a_stage_that_works_in_place_does_not_reach_back():
    regime, images = FullFinetune(InPlace(), 4), sample(drawn())
    first = Witness(regime, images)._before[0]
    with torch.no_grad():
        raw = regime.backbone(images, stop=1).flatten(1)
    raw = raw - raw.mean(0)
    np.testing.assert_allclose(first, (raw @ raw.T).numpy(), rtol=1e-3, atol=1e-2)


def test_a_stage_that_gives_the_same_for_every_image_has_no_number_and_says_why():
    regime = build("full_finetune")
    seen = Witness(regime, sample(drawn()))
    nn.init.zeros_(regime.backbone.stages[1][0].weight)
    first, second, third = seen.changes(regime)
    assert first.cka == pytest.approx(1)
    for change in (second, third):
        assert change.cka is None and "constant" in change.note


def test_weights_that_are_not_numbers_have_no_number_and_say_why():
    regime = build("full_finetune")
    seen = Witness(regime, sample(drawn()))
    nn.init.constant_(regime.backbone.stages[2][1].bias, float("nan"))
    last = seen.changes(regime)[-1]
    assert last.cka is None and "NaN" in last.note


def test_a_pool_of_three_images_is_too_small():
    regime, images = build("full_finetune"), sample(drawn())[:3]
    assert {c.cka for c in Witness(regime, images).changes(regime)} == {None}


CNN = Architecture(kind="cnn", options={"filters": 4})


@pytest.fixture
def source(tmp_path):
    """A store with a finished source run."""
    store, parent = RecordStore(tmp_path / "runs"), tiny_run().model_copy(update={"backbone": CNN})
    train(parent, store, Setting(), keep_weights=True)
    return store, parent


def target(parent, regime, **options):
    found = tiny_run(regime, init=parent, seed=1, **NEEDED.get(regime, {}) | options)
    return found.model_copy(update={"backbone": CNN})


def test_a_run_that_fine_tunes_keeps_it_beside_its_record_and_others_do_not(source):
    store, parent = source
    for regime in ("full_finetune", "partial_finetune", "linear_probe"):
        run = target(parent, regime)
        assert train(run, store, Setting()).status == "done"
        assert store.file(run.id, FILE).exists() == (regime in FINE_TUNING)
    assert not store.file(parent.id, FILE).exists()
    kept = pd.read_csv(store.file(target(parent, "partial_finetune").id, FILE))
    assert kept["stage"].tolist() == [1, 2, 3] and kept["frozen"].tolist() == [True, True, False]
    assert kept["images"].tolist() == [32] * 3
    assert kept["cka"][:2].tolist() == pytest.approx([1, 1]) and kept["cka"][2] < 1


@pytest.mark.parametrize("regime", sorted(FINE_TUNING))
def test_the_run_ends_as_if_nobody_had_looked(source, regime, monkeypatch):
    store, parent = source
    run = target(parent, regime)
    first = train(run, store, Setting())
    monkeypatch.setattr(training, "fine_tunes", lambda _: False)
    second = train(run, store, Setting())
    told = ("test_accuracy", "test_log_loss", "val_accuracy", "train_accuracy", "steps")
    assert [getattr(first, name) for name in told] == [getattr(second, name) for name in told]


@pytest.mark.parametrize("content", [b"", b'a,b\n"1', b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named_and_the_report_goes_without_it(tmp_path, content):
    said = []
    store, run = RecordStore(tmp_path, said.append), tiny_run()
    store.put(done(run))
    rows = pd.DataFrame({"run_id": [run.id, "none"], "status": ["done", "missing"]})
    assert left_behind(rows, store, FILE) == {} and not said
    store.file(run.id, FILE).write_bytes(content)
    assert left_behind(rows, store, FILE) == {}
    assert str(store.file(run.id, FILE)) in said[0] and "goes without it" in said[0]
    store.file(run.id, FILE).write_bytes(to_csv([StageChange(1, False, 9, 0.5)]))
    assert left_behind(rows, store, FILE)[run.id]["cka"].tolist() == [0.5]
