"""What fine-tuning changed: 1 where nothing learnt, less where it did, and no effect on the run."""

import copy
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from tests.builders import done, tiny_run
from tests.toys import Blocks, Leaky, drawn
from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Architecture
from transfer_lab.experiment.options import options_of
from transfer_lab.experiment.spec import Fit
from transfer_lab.regimes.base import Phase
from transfer_lab.regimes.full_finetune import FullFinetune
from transfer_lab.regimes.partial_finetune import PartialFinetune
from transfer_lab.reporting.collect import left_behind
from transfer_lab.similarity.cka import cka
from transfer_lab.store.layout import STAGE_DRIFT
from transfer_lab.store.records import RecordStore
from transfer_lab.store.stage_drift import StageChange, to_csv
from transfer_lab.system import host
from transfer_lab.testing import RegimeCase
from transfer_lab.training import run as training
from transfer_lab.training import stage_drift
from transfer_lab.training.contracts.cases import arguments
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.run import Setting, train
from transfer_lab.training.stage_drift import StageProbe, fine_tunes, sample

TRANSFERRING = [name for name in REGIMES if REGIMES[name].from_source]
BUDGET = Fit(epochs=4, batch_size=8)


def build(name, backbone=None, **options):
    return RegimeCase(REGIMES.load(name), options).build(backbone)


def lets_a_stage_of_the_source_learn(name):
    regime = build(name)
    stages = regime.transferred_stages
    return any(i not in phase.frozen for phase in regime.phases() for i in stages)


FINE_TUNING = set(filter(lets_a_stage_of_the_source_learn, TRANSFERRING))


@pytest.mark.parametrize("name", TRANSFERRING)
def test_a_stage_that_was_frozen_is_1_and_one_that_learnt_is_less(name):
    # Fast enough for a few steps to be seen.
    fast = {"backbone_lr": 0.01} if "backbone_lr" in options_of(REGIMES.load(name)) else {}
    domain, regime = RegimeCase(REGIMES.load(name)).drawn(), build(name, **fast)
    seen = StageProbe(regime, sample(domain))
    fit_and_test(regime, domain, BUDGET)
    changes = seen.changes(regime)
    always = set.intersection(*(set(phase.frozen) for phase in regime.phases()))
    assert [c.stage - 1 for c in changes] == list(regime.transferred_stages)
    assert {c.stage - 1 for c in changes if c.frozen} == always & {*regime.transferred_stages}
    unmoved = Phase(tuple(always), 0.1, 0.1).prefix  # behind a stage that learnt, inputs change
    for change in changes:
        assert change.images == 96 and change.note == ""
        if change.stage <= unmoved:
            assert change.cka == 1
        else:
            assert change.cka < 1 - 1e-6


@pytest.mark.parametrize("name", list(REGIMES))
def test_only_regimes_that_let_a_stage_of_the_source_learn_fine_tune(name):
    assert fine_tunes(build(name)) == (name in FINE_TUNING)
    assert {"partial_finetune", "full_finetune", "lp_ft"} <= FINE_TUNING


def test_a_stage_that_starts_at_random_is_not_compared_with_the_source():
    """AnB: what was transferred is frozen, and what learns was not transferred."""
    assert not fine_tunes(PartialFinetune(Leaky(), 4, k=2, reinit=True))
    assert not fine_tunes(PartialFinetune(Leaky(), 4, k=3))


def test_it_is_the_measure_of_the_features_of_both_networks():
    domain, regime = drawn(), build("full_finetune")
    images, source = sample(domain), copy.deepcopy(regime.backbone).eval()
    seen = StageProbe(regime, images)
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
    StageProbe(regime, sample(drawn())).changes(regime)
    assert torch.equal(torch.get_rng_state(), random)
    assert {name: m.training for name, m in regime.named_modules()} == modes
    assert all(torch.equal(value, state[key]) for key, value in regime.state_dict().items())


def test_the_images_are_of_the_training_pool_and_the_same_for_every_size_and_seed():
    domain = Blocks(train_per_class=100)
    few = sample(drawn(domain, per_class=8, seed=1))
    many = sample(drawn(domain, per_class=80, seed=2))
    assert torch.equal(few, many) and len(few) == stage_drift.IMAGES == 256
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
    first = StageProbe(regime, images)._before[0]
    with torch.no_grad():
        raw = regime.backbone(images, stop=1).flatten(1)
    raw = raw - raw.mean(0)
    np.testing.assert_allclose(first, (raw @ raw.T).numpy(), rtol=1e-3, atol=1e-2)


def test_a_stage_that_gives_the_same_for_every_image_has_no_number_and_says_why():
    regime = build("full_finetune")
    seen = StageProbe(regime, sample(drawn()))
    nn.init.zeros_(regime.backbone.stages[1][0].weight)
    first, second, third = seen.changes(regime)
    assert first.cka == pytest.approx(1, abs=1e-6)
    for change in (second, third):
        assert change.cka is None and "constant" in change.note


def test_weights_that_are_not_numbers_have_no_number_and_say_why():
    regime = build("full_finetune")
    seen = StageProbe(regime, sample(drawn()))
    nn.init.constant_(regime.backbone.stages[2][1].bias, float("nan"))
    last = seen.changes(regime)[-1]
    assert last.cka is None and "NaN" in last.note


def test_a_pool_of_three_images_is_too_small():
    regime, images = build("full_finetune"), sample(drawn())[:3]
    assert {c.cka for c in StageProbe(regime, images).changes(regime)} == {None}


class Counting(nn.Identity):
    """Follows a stage and counts how many images have gone through it."""

    seen = 0

    def forward(self, inputs):
        self.seen += len(inputs)
        return inputs


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_what_never_learns_is_not_computed_again(k):
    backbone = Leaky()
    backbone.stages = nn.ModuleList(nn.Sequential(s, Counting()) for s in backbone.stages)
    regime, images = build("partial_finetune", backbone, k=k), sample(drawn())
    seen = StageProbe(regime, images)
    before = [stage[1].seen for stage in backbone.stages]
    seen.changes(regime)
    again = [stage[1].seen - n for stage, n in zip(backbone.stages, before, strict=True)]
    assert again == [0] * k + [len(images)] * (3 - k)


def test_a_stage_that_learns_and_begins_in_place_does_not_reach_what_is_kept():
    """It would be given its own output, and differ from the source where it does not."""

    class Doubling(nn.Module):
        def forward(self, inputs):
            return inputs.pow_(3)

    stages = [nn.Conv2d(3, 4, 3), nn.Sequential(Doubling(), nn.Flatten(), nn.Linear(400, 9))]
    regime = PartialFinetune(Backbone(stages, num_features=9), 4, k=1)
    changes = StageProbe(regime, sample(drawn())).changes(regime)
    assert [change.cka for change in changes] == [1, pytest.approx(1, abs=1e-6)]


@pytest.mark.parametrize("block", [1, 100, 10**9])
def test_products_do_not_depend_on_how_many_features_are_multiplied_at_once(block, monkeypatch):
    monkeypatch.setattr(stage_drift, "_BLOCK", block)
    parts = list(torch.randn(20, 6, 5, 3, generator=torch.Generator().manual_seed(0)).split(8))
    whole = torch.cat(parts).flatten(1).numpy().astype(np.float64)
    whole -= whole.mean(0)
    np.testing.assert_allclose(stage_drift._products(parts), whole @ whole.T, atol=1e-3)


def test_of_large_maps_fewer_images_are_looked_at_of_all_classes(monkeypatch):
    regime, domain = build("full_finetune"), drawn(Blocks(train_per_class=100))
    assert StageProbe(regime, sample(domain)).images == 256
    largest = 4 * 3 * 12 * 12  # bytes of the image itself; the first stage gives 4 * 8 * 6 * 6
    monkeypatch.setattr(stage_drift, "_MEMORY", largest * 50)
    seen = StageProbe(regime, sample(domain))
    assert seen.images == 50 == seen.changes(regime)[0].images
    pool, labels = domain.source_of("train")[0], domain.labels("train")
    found = {image.tobytes() for image in sample(domain)[:50].numpy()}
    kept = [label for image, label in zip(pool, labels, strict=True) if image.tobytes() in found]
    assert len(kept) == 50 and set(kept) == {0, 1, 2, 3}


class Weighed(TorchDispatchMode):
    """Knows all tensors that are made while it is entered."""

    def __init__(self):
        super().__init__()
        self._made = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        self._made += [weakref.ref(t) for t in tree_iter(made) if isinstance(t, torch.Tensor)]
        return made

    def bytes(self):
        """Of those that are still there; what two of them share counts once."""
        alive = (tensor for made in self._made if (tensor := made()) is not None)
        storages = [tensor.untyped_storage() for tensor in alive]
        return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def test_outputs_of_all_images_are_held_once():
    images, side = 64, 32
    row = 4 * 8 * side * side  # bytes of an image after each stage
    weighed = Weighed()

    class Weighing(nn.Module):
        highest = 0

        def forward(self, inputs):
            Weighing.highest = max(Weighing.highest, weighed.bytes())
            return inputs

    stages = [nn.Sequential(nn.Conv2d(n, 8, 3, padding=1), Weighing()) for n in (3, 8, 8)]
    regime = FullFinetune(Backbone([*stages, nn.Flatten()], num_features=8 * side**2), 4)
    given = torch.randint(0, 255, (images, 3, side, side), dtype=torch.uint8)
    with weighed:
        seen = StageProbe(regime, given)
        seen.changes(regime)
    assert images * row < Weighing.highest < 2 * images * row


CNN = Architecture(kind="cnn", options={"filters": 4})


@pytest.fixture
def source(tmp_path):
    """A store with a finished source run."""
    store, parent = RecordStore(tmp_path / "runs"), tiny_run().model_copy(update={"backbone": CNN})
    train(parent, store, Setting(), keep_weights=True)
    return store, parent


def target(parent, regime, **options):
    found = tiny_run(regime, init=parent, seed=1, **arguments(REGIMES.load(regime), options))
    return found.model_copy(update={"backbone": CNN})


def test_a_run_that_fine_tunes_keeps_it_beside_its_record_and_others_do_not(source):
    store, parent = source
    two = {"partial_finetune": {"k": 2}}
    for regime in ("full_finetune", "partial_finetune", "linear_probe"):
        run = target(parent, regime, **two.get(regime, {}))
        assert train(run, store, Setting()).status == "done"
        assert store.file(run.id, STAGE_DRIFT).exists() == (regime in FINE_TUNING)
    assert not store.file(parent.id, STAGE_DRIFT).exists()
    kept = pd.read_csv(store.file(target(parent, "partial_finetune", k=2).id, STAGE_DRIFT))
    assert kept["stage"].tolist() == [1, 2, 3] and kept["frozen"].tolist() == [True, True, False]
    assert kept["images"].tolist() == [32] * 3
    assert kept["cka"][:2].tolist() == pytest.approx([1, 1]) and kept["cka"][2] < 1


BREAKS = {
    "images": (stage_drift, "sample"),
    "before": (StageProbe, "__init__"),
    "after": (StageProbe, "changes"),
}


@pytest.mark.parametrize(
    ("where", "error"),
    [
        *((where, RuntimeError) for where in BREAKS),
        *(("after", error) for error in (MemoryError, OSError, torch.OutOfMemoryError)),
    ],
)
def test_a_run_that_cannot_be_looked_at_is_trained_and_stored_all_the_same(
    source, where, error, monkeypatch
):
    def broken(*_):
        raise error("no room")

    store, parent = source
    run = target(parent, "full_finetune")
    expected = train(run, RecordStore(store.root), Setting())
    store.file(run.id, STAGE_DRIFT).unlink()
    store.file(run.id, "record.json").unlink()
    monkeypatch.setattr(*BREAKS[where], broken)
    with pytest.warns(UserWarning, match="what fine-tuning changed is not known.*no room") as told:
        record = train(run, store, Setting())
    assert any(run.title in str(warning.message) for warning in told)
    assert store.get(run.id) == record and record.status == "done"
    assert record.test_log_loss == expected.test_log_loss
    assert not store.file(run.id, STAGE_DRIFT).exists()


def test_an_interruption_while_looking_ends_the_run(source, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    store, parent = source
    monkeypatch.setattr(StageProbe, "changes", interrupted)
    run = target(parent, "full_finetune")
    with pytest.raises(KeyboardInterrupt):
        train(run, store, Setting())
    assert store.get(run.id) is None


def test_a_network_that_fails_while_it_is_looked_at_is_left_as_it_was():
    class Broken(nn.Module):
        def forward(self, inputs):
            raise RuntimeError("no")

    regime = FullFinetune(Backbone([nn.Conv2d(3, 4, 3), Broken()], num_features=4), 4)
    regime.begin(regime.phases()[0])
    with pytest.warns(UserWarning, match="not known"):
        assert stage_drift.begin(regime, drawn(), "a run") is None
    assert all(module.training for module in regime.modules())
    assert torch.is_grad_enabled()


def test_the_memory_that_a_run_is_said_to_take_is_without_the_witness(source, monkeypatch):
    """On a machine where looking takes 500 MiB, before the fit and after it."""
    peak = [100.0]
    monkeypatch.setattr(host, "peak_memory_mb", lambda: peak[0])
    monkeypatch.setattr(host, "reset_peak_memory", lambda: peak.__setitem__(0, 100.0))

    def taking(name, method):
        def taken(*given):
            peak[0] += 500
            return method(*given)

        monkeypatch.setattr(StageProbe, name, taken)

    taking("__init__", StageProbe.__init__)
    taking("changes", StageProbe.changes)
    store, parent = source
    assert train(target(parent, "full_finetune"), store, Setting()).peak_rss_mb == 100
    peak[0] = 100.0
    fit = training.fit_and_test
    monkeypatch.setattr(
        training, "fit_and_test", lambda *a, **k: (fit(*a, **k), peak.__setitem__(0, 130.0))[0]
    )
    assert train(target(parent, "lp_ft"), store, Setting()).peak_rss_mb == 130


NORMALISED = ("norm_only", "adabn", "tent")
ALONE = [n for n in sorted(FINE_TUNING) if not REGIMES[n].sees and n not in NORMALISED]
"""They can do with what the run below has: no streams, no teacher, no normalisation layers."""


@pytest.mark.parametrize("regime", ALONE)
def test_the_run_ends_as_if_nobody_had_looked(source, regime, monkeypatch):
    store, parent = source
    run = target(parent, regime)
    first = train(run, store, Setting())
    monkeypatch.setattr(stage_drift, "fine_tunes", lambda _: False)
    second = train(run, store, Setting())
    told = ("test_accuracy", "test_log_loss", "val_accuracy", "train_accuracy", "steps")
    assert [getattr(first, name) for name in told] == [getattr(second, name) for name in told]


@pytest.mark.parametrize("content", [b"", b'a,b\n"1', b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named_and_the_report_goes_without_it(tmp_path, content):
    said = []
    store, run = RecordStore(tmp_path, said.append), tiny_run()
    store.put(done(run))
    rows = pd.DataFrame({"run_id": [run.id, "none"], "status": ["done", "missing"]})
    assert left_behind(rows, store, STAGE_DRIFT) == {} and not said
    store.file(run.id, STAGE_DRIFT).write_bytes(content)
    assert left_behind(rows, store, STAGE_DRIFT) == {}
    assert str(store.file(run.id, STAGE_DRIFT)) in said[0] and "goes without it" in said[0]
    store.file(run.id, STAGE_DRIFT).write_bytes(to_csv([StageChange(1, False, 9, 0.5)]))
    assert left_behind(rows, store, STAGE_DRIFT)[run.id]["cka"].tolist() == [0.5]
