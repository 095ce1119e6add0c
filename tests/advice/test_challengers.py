"""Challengers and the final fit, on photographs that the test draws and a network of random
weights."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from transfer_lab.advice.advice import Advice, Data, Recommendation
from transfer_lab.advice.album.album import Album, Photo, RefusedError
from transfer_lab.advice.challengers.base import OutOfTimeError
from transfer_lab.advice.challengers.field import challenger_of, challengers, default_options
from transfer_lab.advice.challengers.finetune import FineTuned
from transfer_lab.advice.challengers.pace import Pace
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.challengers.probe import OtherFeatures
from transfer_lab.advice.challengers.race import race
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.features.features import extract
from transfer_lab.advice.features.networks import find_network, load
from transfer_lab.advice.final_fit import final_fit
from transfer_lab.advice.listening import Silent
from transfer_lab.advice.promise.resampling import fold_masks, out_of_fold
from transfer_lab.backbones.timm import Timm
from transfer_lab.backbones.weights import save_weights
from transfer_lab.regimes.batch_norm import batch_norms
from transfer_lab.system.decode import decode_file

SIZE, PER_CLASS = 32, 12
torch.set_num_threads(1)  # tiny batches: a second thread costs more than it gives
CLASSES = ("left", "middle", "right")


def heedless(images: int) -> None:
    """Whoever asks may go on."""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_weights(Timm(160, name="test_resnet"), path)
    return dataclasses.replace(find_network(f"timm:test_resnet={path}"), image_size=SIZE)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Three classes that differ in the height of a bright stripe on noise."""
    root, photos = tmp_path_factory.mktemp("photos"), []
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        for index in range(PER_CLASS):
            pixels = rng.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
            pixels[4 + 10 * label : 9 + 10 * label] += 100
            path = root / f"{name}{index}.png"
            Image.fromarray(pixels).save(path)
            photos.append(Photo(path, name, f"{label:02}{index:02}"))
    return Album(root, CLASSES, tuple(photos))


@pytest.fixture(scope="module")
def features(album, network):
    paths, hashes = zip(*((p.path, p.sha256) for p in album.photos), strict=True)
    return extract(paths, hashes, network, SIZE, cache=None).values


@pytest.fixture
def photographs(album, network, features, tmp_path):
    return Photographs(album, network, features, cache=tmp_path, seed=5)


@pytest.fixture
def folds(photographs):
    return fold_masks(photographs.labels, np.arange(len(photographs)), seed=5)


def tuned(photographs, regime="partial_finetune", **options):
    chosen = default_options(regime, load(photographs.network)) | options
    return FineTuned(photographs, photographs.network, regime, SIZE, chosen)


def test_partial_fine_tuning_leaves_the_prefix_and_all_statistics_as_they_were(photographs):
    before = load(photographs.network)
    one = tuned(photographs)
    one.make_ready(heedless, 60)
    after = one.fit_all(heedless).backbone
    k = one.options["k"]
    assert 0 < k < len(before.stages)
    for index, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)):
        moved = [
            name
            for name, value in new.state_dict().items()
            if not torch.equal(value, old.state_dict()[name])
        ]
        assert bool(moved) == (index >= k), index
        assert not [name for name in moved if "running" in name or "num_batches" in name]
    assert batch_norms(after.stages[k])


def test_full_fine_tuning_moves_every_stage_and_no_statistics(photographs):
    before, one = load(photographs.network), tuned(photographs, "full_finetune")
    one.make_ready(heedless, 60)
    after = one.fit_all(heedless).backbone
    for old, new in zip(before.stages, after.stages, strict=True):
        parameters = zip(old.parameters(), new.parameters(), strict=True)
        assert not list(old.parameters()) or any(not torch.equal(a, b) for a, b in parameters)
    for old, new in zip(batch_norms(before), batch_norms(after), strict=True):
        assert torch.equal(old.running_mean, new.running_mean)


def test_statistics_move_where_they_are_asked_to(photographs):
    before, one = load(photographs.network), tuned(photographs, statistics="moving")
    one.make_ready(heedless, 60)
    after = one.fit_all(heedless).backbone
    pairs = zip(batch_norms(before), batch_norms(after), strict=True)
    assert any(not torch.equal(a.running_mean, b.running_mean) for a, b in pairs)


def test_the_head_starts_as_the_default_head_of_its_fold(photographs, folds, monkeypatch):
    """At rates of next to nothing what is answered is what the default answers."""
    train, test = folds[0]
    one = tuned(photographs, lr=1e-12, backbone_lr=1e-12)
    one.make_ready(heedless, 60)
    found = one.fit_predict(train, test, heedless)
    features = photographs.features(photographs.network, SIZE)
    expected = photographs.probe(features, train).logits(features[test])
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_labels_of_the_held_out_fold_are_not_looked_at(album, network, features, tmp_path, folds):
    train, test = folds[0]
    answers = []
    for shift in (0, 1):
        photos = list(album.photos)
        for at in test:
            name = CLASSES[(CLASSES.index(photos[at].label) + shift) % 3]
            photos[at] = dataclasses.replace(photos[at], label=name)
        other = dataclasses.replace(album, photos=tuple(photos))
        one = tuned(Photographs(other, network, features, cache=tmp_path, seed=5))
        one.make_ready(heedless, 60)
        answers.append(one.fit_predict(train, test, heedless))
    np.testing.assert_array_equal(*answers)


def test_fits_are_the_same_by_seed_and_others_by_another(album, network, features, folds):
    train, test = folds[0]
    found = []
    for seed in (5, 5, 6):
        one = tuned(Photographs(album, network, features, seed=seed))
        one.make_ready(heedless, 60)
        found.append(one.fit_predict(train, test, heedless))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_photograph_is_learnt_from_with_its_mirror_image(photographs):
    images = photographs.images(SIZE)
    images.choose(np.array([2, 7]), np.array([3]), batch_size=4, seed=0)
    (batch,) = images.train_dataloader()
    ((tested, labels),) = images.test_dataloader()
    seen = {image.numpy().tobytes() for image in batch[0]}
    assert len(seen) == 4
    assert {image.numpy()[..., ::-1].tobytes() for image in batch[0]} == seen
    assert tested.shape == (1, 3, SIZE, SIZE) and labels.tolist() == [photographs.labels[3]]


def test_what_hears_of_steps_may_end_them(photographs, folds):
    heard = []

    def enough(images: int) -> None:
        heard.append(images)
        if sum(heard) > 100:
            raise OutOfTimeError("enough")

    one = tuned(photographs)
    one.make_ready(heedless, 60)
    with pytest.raises(OutOfTimeError):
        one.fit_predict(*folds[0], enough)
    assert sum(heard) < one.image_steps(len(folds[0][0]))


def test_decoding_may_be_ended_too(photographs):
    heard = []

    def enough(images: int) -> None:
        heard.append(images)
        if len(heard) > 5:
            raise OutOfTimeError("enough")

    one = tuned(photographs)
    with pytest.raises(OutOfTimeError):
        one.make_ready(enough, 60)
    assert not photographs.images(SIZE).is_decoded


def test_a_cost_is_what_is_there_times_what_was_measured(photographs, monkeypatch):
    """Seconds of each part, of 36 photographs in three classes and of their mirror images."""
    place = "transfer_lab.advice.challengers"
    monkeypatch.setattr(f"{place}.finetune.step_seconds", lambda *_: 0.1)
    for module in ("finetune", "pace"):
        monkeypatch.setattr(f"{place}.{module}.frozen_pace", lambda *_: Pace(2.0, 0.01, 10))
    monkeypatch.setattr(Photographs, "decode_seconds", lambda *_: 3.0)
    monkeypatch.setattr(Photographs, "probe_seconds", 0.5)
    features = 3.0 + 2.0 + 0.01 * 40  # whole batches
    other = OtherFeatures(photographs, photographs.network, 48).cost()
    assert other == pytest.approx((features, 0.5, 0.5))
    one = tuned(photographs)
    fit = 2 * 8 * 36 * 0.1 + 0.5 + 0.3
    answers = 36 * 0.35 * 0.1
    ready = 3.0 + 2.0 + 0.01 * 72  # the default features are there
    assert one.cost() == pytest.approx((ready, 0.8 * fit + 0.2 * answers, fit + answers))


def test_all_steps_are_heard_of(photographs, folds):
    heard = []
    one = tuned(photographs)
    one.make_ready(heedless, 60)
    one.fit_predict(*folds[0], heard.append)
    assert sum(heard) == one.image_steps(len(folds[0][0]))


def test_the_frozen_prefix_is_computed_once_for_all_folds(photographs, folds, monkeypatch):
    from transfer_lab.backbones.frozen import FrozenPrefix

    one = tuned(photographs)
    one.make_ready(heedless, 60)
    calls = []
    whole = FrozenPrefix.__call__
    monkeypatch.setattr(
        FrozenPrefix, "__call__", lambda self, images: calls.append(1) or whole(self, images)
    )
    for fold in folds[:2]:
        one.fit_predict(*fold, heedless)
    assert calls == []


def test_another_size_is_the_default_head_on_features_of_that_size(album, photographs, folds):
    train, test = folds[0]
    one = OtherFeatures(photographs, photographs.network, 48)
    one.make_ready(heedless, 60)
    paths, hashes = zip(*((p.path, p.sha256) for p in album.photos), strict=True)
    values = extract(paths, hashes, photographs.network, 48, cache=None).values
    expected = photographs.probe(values, train).logits(values[test])
    np.testing.assert_allclose(one.fit_predict(train, test, heedless), expected, atol=1e-5)


def test_an_earlier_stage_is_all_but_the_last_averaged_over_places(album, photographs):
    rows = np.array([3, 20, 7])
    found = photographs.features_a_stage_earlier(rows)
    backbone = load(photographs.network)
    pixels = np.stack([decode_file(album.photos[row].path, SIZE) for row in rows])
    with torch.inference_mode():
        outputs = backbone.prepare(torch.as_tensor(pixels)).float()
        for stage in backbone.stages[:-1]:
            outputs = stage(outputs)
    assert outputs.ndim == 4
    np.testing.assert_allclose(found, outputs.mean((2, 3)).numpy(), atol=1e-4)
    last = photographs.features(photographs.network, SIZE)
    assert len(last) == len(photographs) and found.shape[1] == outputs.shape[1]


def test_costs_are_stated_before_anything_is_fitted(photographs):
    for one in (tuned(photographs), tuned(photographs, "full_finetune")):
        cost = one.cost()
        assert cost.ready > 0 and 0 < cost.fold < cost.fit < 60
        assert cost.of_folds(5) == pytest.approx(cost.ready + 5 * cost.fold)
    assert tuned(photographs, "full_finetune").cost().fit > tuned(photographs).cost().fit


def test_at_most_four_are_tried(photographs):
    found = challengers(photographs)
    assert 2 <= len(found) <= 4
    assert {one.regime for one in found} >= {"partial_finetune", "full_finetune"}
    assert len({(one.backbone, one.regime, one.image_size) for one in found}) == len(found)


def test_all_who_are_tried_can_be_raced(photographs, features, folds, monkeypatch):
    """Nobody fails, and within a budget everybody's answers are of the folds asked for."""
    monkeypatch.setattr("transfer_lab.advice.challengers.field.another", lambda network: None)
    groups = np.arange(len(photographs))
    default = out_of_fold(features, photographs.labels, groups, 3, masks=folds)
    told: list[str] = []

    class Listening(Silent):
        def say(self, text):
            told.append(text)

    clock = Clock(600)
    outcome = race(
        default, challengers(photographs), folds, photographs.labels, groups, clock, Listening()
    )
    assert told == []
    assert {one.state for one in outcome.alternatives} <= {
        "clearly better", "likely better", "not clearly better", "worse", "dropped"
    }  # fmt: skip
    assert all(one.fit_seconds > 0 and one.lead is not None for one in outcome.alternatives)


def session(album, photographs, features, recommendation, oof=None):
    data = Data(
        root=str(album.root),
        images=len(album.photos),
        groups=len(album.photos),
        classes=CLASSES,
        per_class=(PER_CLASS,) * 3,
        unreadable=(),
        content_hash="0",
    )
    nothing = dict.fromkeys(("promise", "cost", "similarity"))
    empty = dict.fromkeys(
        ("alternatives", "more_images", "per_class", "confusion", "flags", "abstentions"), ()
    )
    advice = Advice(
        schema=1, data=data, recommendation=recommendation, versions={}, seed=5, **nothing, **empty
    )
    groups = np.arange(len(album.photos))
    return SimpleNamespace(
        album=album,
        features=features,
        groups=groups,
        oof=oof,
        advice=advice,
        network=photographs.network,
        photographs=photographs,
    )


def recommended(network, regime, **options):
    return Recommendation(backbone=network.name, regime=regime, image_size=SIZE, options=options)


def images_of(album):
    pixels = [np.asarray(Image.open(photo.path)).transpose(2, 0, 1) for photo in album.photos]
    return torch.from_numpy(np.stack(pixels))


@pytest.mark.parametrize(
    "regime", ["linear_probe", "partial_finetune", "full_finetune", "ridge_probe"]
)
def test_the_final_fit_learns_from_all_and_its_features_are_its_own(
    album, photographs, features, regime
):
    advised = recommended(photographs.network, "linear_probe")
    chosen = recommended(photographs.network, regime)
    fitted = final_fit(session(album, photographs, features, advised), chosen)
    assert not fitted.backbone.training
    with torch.no_grad():
        seen = fitted.backbone(images_of(album)).numpy()
    np.testing.assert_allclose(fitted.features, seen, atol=1e-4, rtol=1e-4)
    assert (fitted.head.logits(fitted.features).argmax(1) == album.labels).mean() > 0.75
    assert fitted.temperature > 0 and fitted.classes == CLASSES
    assert fitted.advice.recommendation.regime == regime
    assert fitted.features.dtype == np.float32 and len(fitted.groups) == len(album.photos)


def test_the_advised_model_is_calibrated_by_the_advices_own_folds(album, photographs, features):
    advised = recommended(photographs.network, "linear_probe")
    groups = np.arange(len(album.photos))
    oof = out_of_fold(features, album.labels, groups, 3, seed=5)
    sharp = oof._replace(logits=3 * oof.logits)
    plain, other = (
        final_fit(session(album, photographs, features, advised, answers), advised).temperature
        for answers in (oof, sharp)
    )
    assert other == pytest.approx(min(3 * plain, 20), rel=0.05) or plain == 0.25


def test_what_was_promised_of_another_model_is_left_out(album, photographs, features):
    advised = recommended(photographs.network, "linear_probe")
    told = session(album, photographs, features, advised)
    told.advice = told.advice.model_copy(update={"confusion": ((1, 0, 0),) * 3})
    same = final_fit(told, advised)
    other = final_fit(told, recommended(photographs.network, "partial_finetune"))
    assert same.advice.confusion and not other.advice.confusion
    assert other.advice.recommendation.options["statistics"] == "fixed"


@pytest.mark.parametrize(
    ("regime", "options", "words"),
    [
        ("partial_finetun", {}, "partial_finetune"),
        ("dann", {}, "more than labelled photographs"),
        ("rotation", {}, "more than labelled photographs"),
        ("partial_finetune", {"k": 99}, "stages"),
        ("mlp_probe", {}, "linear head"),
        ("full_finetune", {"rate": 1}, "unknown option"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_plain_words(photographs, regime, options, words):
    with pytest.raises(RefusedError, match=words):
        challenger_of(
            photographs, photographs.network, recommended(photographs.network, regime, **options)
        )


def test_a_regime_that_keeps_no_stage_starts_without_the_networks_weights(photographs):
    one = challenger_of(
        photographs, photographs.network, recommended(photographs.network, "from_scratch")
    )
    regime, pretrained = one._regime(None), load(photographs.network)
    first = next(regime.backbone.stages[0].parameters())
    assert not torch.equal(first, next(pretrained.stages[0].parameters()))
