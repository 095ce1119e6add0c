"""Random changes of training images: one decision an image, none for evaluation, off by default."""

from __future__ import annotations

import pytest
import torch

from tests.toys import Blocks, Leaky
from transfer_lab.data.augmentation import Augmentation
from transfer_lab.experiment.budget import Augment, Fit
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.regimes.linear_probe import LinearProbe
from transfer_lab.reporting.sections.protocol import _budget
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.training.fit import fit_and_test
from transfer_lab.training.frozen_features import FrozenFeatures

BOTH = Augment(flip=True, shift=0.2)
SIZE = 12
RAMP = torch.arange(SIZE, dtype=torch.uint8).expand(64, 3, SIZE, SIZE)
"""64 images whose pixels are their column's number."""


def drawn(augment=None, seed=0) -> Blocks:
    domain = Blocks(SIZE)
    domain.draw(per_class=16, val_fraction=0.25, batch_size=8, seed=seed, augment=augment)
    return domain


def seen(domain: Blocks, section: str) -> torch.Tensor:
    return torch.cat([images for images, _ in domain.loader(section)])


def test_every_image_of_a_batch_is_flipped_or_not_on_its_own():
    changed = Augmentation(Augment(flip=True), 0)(RAMP)
    flipped = [torch.equal(image, RAMP[0].flip(2)) for image in changed]
    assert all(
        torch.equal(image, RAMP[0]) != back for image, back in zip(changed, flipped, strict=True)
    )
    assert 20 <= sum(flipped) <= 44


@pytest.mark.parametrize("axis", [2, 3])
def test_every_image_is_shifted_by_its_own_whole_number_of_pixels(axis):
    images = RAMP if axis == 3 else RAMP.transpose(2, 3)
    changed = Augmentation(Augment(shift=0.2), 0)(images)
    assert changed.dtype == torch.uint8
    assert changed.shape == images.shape
    reach = 2  # 0.2 of 12 pixels
    expected = {
        move: (torch.arange(SIZE) + move).clamp(0, SIZE - 1) for move in range(-reach, reach + 1)
    }
    lines = changed.select(1, 0).select(1 if axis == 3 else 2, 5)
    moves = [m for line in lines for m, values in expected.items() if torch.equal(line, values)]
    assert len(moves) == len(images)
    assert set(moves) == set(expected)


def test_a_small_shift_is_one_pixel_at_least():
    changed = Augmentation(Augment(shift=0.001), 0)(RAMP)
    assert {int(image[0, 0, 5]) for image in changed} == {4, 5, 6}


def test_decisions_follow_from_the_seed_and_differ_between_batches():
    first, again, other = (Augmentation(BOTH, seed) for seed in (1, 1, 2))
    batches = [first(RAMP), first(RAMP)]
    assert not torch.equal(*batches)
    assert torch.equal(again(RAMP), batches[0])
    assert torch.equal(again(RAMP), batches[1])
    assert not torch.equal(other(RAMP), batches[0])


def test_training_images_change_at_every_epoch_and_all_else_never():
    plain, augmented = drawn(), drawn(BOTH)
    loader = augmented.train_dataloader()
    epochs = [torch.cat([images for images, _ in loader]) for _ in range(2)]
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], seen(plain, "train"))
    for section in ("val", "test"):
        assert torch.equal(seen(plain, section), seen(augmented, section))


def test_every_regime_and_backbone_sees_the_same_changed_images_in_the_same_order():
    assert torch.equal(seen(drawn(BOTH, seed=3), "train"), seen(drawn(BOTH, seed=3), "train"))
    assert not torch.equal(seen(drawn(BOTH, seed=3), "train"), seen(drawn(BOTH, seed=4), "train"))


def test_the_order_of_training_is_the_same_with_and_without():
    for first, second in zip(
        drawn().train_dataloader(), drawn(BOTH).train_dataloader(), strict=True
    ):
        assert torch.equal(first[1], second[1])


@pytest.fixture()
def probe() -> LinearProbe:
    torch.manual_seed(0)
    return LinearProbe(Leaky(SIZE), 4)


def test_a_frozen_prefix_runs_on_the_changed_images_and_is_kept_for_evaluation(probe, tmp_path):
    (phase,) = probe.phases()
    probe.begin(phase, entry=phase.prefix)
    domain, rows = drawn(BOTH), FeatureCache(tmp_path)
    data = FrozenFeatures(domain, probe.backbone, phase.prefix, rows)
    data.setup("fit")
    data.setup("test")
    assert set(data._outputs) == {"val", "test"}
    images = seen(domain, "train")
    with torch.no_grad():
        expected = probe.backbone(images, stop=phase.prefix)
    outputs = torch.cat([batch for batch, _ in data.train_dataloader()])
    assert torch.allclose(outputs, expected, atol=1e-5)
    epochs = [torch.cat([batch for batch, _ in data.train_dataloader()]) for _ in range(2)]
    assert torch.equal(*epochs)  # a new loader begins the sequence anew
    loader = data.train_dataloader()
    assert not torch.equal(*[torch.cat([batch for batch, _ in loader]) for _ in range(2)])


def test_without_augmentation_the_prefix_is_computed_once_as_ever(probe, tmp_path):
    (phase,) = probe.phases()
    probe.begin(phase, entry=phase.prefix)
    data = FrozenFeatures(drawn(), probe.backbone, phase.prefix, FeatureCache(tmp_path))
    data.setup("fit")
    assert set(data._outputs) == {"train", "val"}


@pytest.mark.parametrize("reuse_prefix", [True, False])
def test_a_probe_on_changed_images_trains_and_is_tested_on_unchanged_ones(reuse_prefix):
    def outputs(augment):
        torch.manual_seed(0)
        regime = LinearProbe(Leaky(SIZE), 4, lr=0.01)
        torch.manual_seed(1)
        fit = Fit(epochs=6, batch_size=8, augment=augment)
        fit_and_test(regime, drawn(augment), fit, reuse_prefix=reuse_prefix)
        return torch.cat(regime.test_outputs)

    first, again, plain = outputs(BOTH), outputs(BOTH), outputs(None)
    assert torch.equal(first, again)
    assert not torch.equal(first, plain)


def test_a_whole_network_trains_on_changed_images():
    torch.manual_seed(0)
    regime = FromScratch(Leaky(SIZE), 4)
    fit = Fit(epochs=2, batch_size=8, augment=BOTH)
    result = fit_and_test(regime, drawn(BOTH), fit)
    assert result.curve.last["val_accuracy"] is not None


EXPERIMENT = """
name: mine
image_size: 12
scenarios:
  small_similar: {source: latin, target: digits, per_class: 5}
backbones: [mlp]
regimes: [from_scratch, linear_probe]
seeds: [1]
"""


def load(folder, *lines: str):
    path = folder / "mine.yaml"
    path.write_text("\n".join([EXPERIMENT.strip(), *lines, ""]))
    return load_experiment(path).experiment


def runs(folder, *lines: str) -> dict:
    return {cell.regime: cell.run for cell in plan(load(folder, *lines))}


def test_augmentation_is_part_of_a_run_and_its_absence_is_not(tmp_path):
    plain = runs(tmp_path)
    written = runs(tmp_path, "fit: {augment: null}")
    target = runs(tmp_path, "fit: {augment: {flip: true}}")
    source = runs(tmp_path, "pretrain: {augment: {flip: true}}")
    for regime, run in plain.items():
        assert "augment" not in str(run.model_dump())
        assert written[regime].id == run.id
        assert target[regime].id != run.id
        assert (source[regime].id != run.id) == (regime == "linear_probe")
    assert target["linear_probe"].parent.id == plain["linear_probe"].parent.id
    assert source["linear_probe"].parent.fit.augment == Augment(flip=True)
    assert source["linear_probe"].fit.augment is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fit: {augment: {}}", r"fit\.augment: it would change nothing; name 'flip: true' or a"),
        ("fit: {augment: {flip: false}}", r"fit\.augment: it would change nothing"),
        ("fit: {augment: {flip: 1}}", r"fit\.augment\.flip: .*valid boolean \(it is 1\)"),
        ("fit: {augment: {shift: 1.0}}", r"fit\.augment\.shift: .*less than 1 \(it is 1\.0\)"),
        ("fit: {augment: {flop: true}}", r"fit\.augment\.flop: unknown key; did you mean 'flip'"),
        ("pretrain: {augment: {shif: 0.1}}", r"pretrain\.augment\.shif: unknown key; .*'shift'"),
        ("augment: {flip: true}", r"augment: unknown key"),
    ],
)
def test_a_mistake_in_it_is_refused_at_its_place(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, line)


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        (None, "images for validation"),
        (
            BOTH,
            "images for validation; training images are randomly flipped left to right for one "
            "half and shifted by up to 20 %, anew at every epoch",
        ),
    ],
)
def test_the_report_says_how_training_images_were_changed(augment, words):
    assert _budget(Fit(augment=augment)).endswith(words)
