"""Boxes and masks: what is known of images, what is learnt of it, and what is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from tests.training.test_run import SMALL, run
from tests.training.test_streams import source, stored
from transfer_lab.data.annotations import boxes_of
from transfer_lab.data.base import ImageDomain
from transfer_lab.data.letters import Cyrillic, Latin
from transfer_lab.data.textures import Textures
from transfer_lab.experiment.budget import Augment
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.spec import Fit, Run
from transfer_lab.regimes.weights.dense import DenseModule
from transfer_lab.regimes.weights.detection import Detection, box_iou, generalised_iou
from transfer_lab.regimes.weights.encoder_decoder import EncoderDecoder, dice, mask_iou
from transfer_lab.store.records import RecordStore
from transfer_lab.testing import Blocks, RegimeCase, drawn
from transfer_lab.training.accompanied import Accompanied
from transfer_lab.training.building import build_domain, build_regime
from transfer_lab.training.fit import fit_and_test

DENSE = (Detection, EncoderDecoder)
KINDS = ("detection", "encoder_decoder")
SHORT, ENOUGH = Fit(epochs=3, batch_size=8), Fit(epochs=25, batch_size=8)
BOXES = torch.from_numpy(
    np.sort(np.random.default_rng(1).integers(0, 41, (200, 2, 2)), axis=1).reshape(200, 4) / 40
)
OTHERS = BOXES.roll(1, 0)


@pytest.fixture(scope="module")
def letters() -> Cyrillic:
    return Cyrillic(24, train_per_class=4, test_per_class=1)


def test_a_masks_pixels_are_those_that_differ_from_the_background(letters):
    """By the painted images alone: of two colours, ink's is nearer where the mask is set."""
    images = letters.make_images("train") / 255
    masks = letters.annotation("masks", "train").astype(bool)
    right = []
    for image, mask in zip(images, masks, strict=True):
        ink, paper = image[:, mask].mean(1), image[:, ~mask].mean(1)
        far = [np.square(image - colour[:, None, None]).sum(0) for colour in (ink, paper)]
        right.append(((far[0] < far[1]) == mask).mean())
        assert np.abs(ink - paper).max() > 0.15
    assert np.mean(right) > 0.9
    assert np.min(right) > 0.75


def test_masks_of_another_render_seed_or_part_are_other_ones(letters):
    other = Cyrillic(24, train_per_class=4, test_per_class=1, render_seed=1)
    masks = letters.annotation("masks", "train")
    assert not np.array_equal(masks, other.annotation("masks", "train"))
    assert not np.array_equal(masks[:33], letters.annotation("masks", "test"))


def test_a_box_is_the_tight_bound_of_its_mask(letters):
    masks, boxes = (letters.annotation(kind, "train") for kind in ("masks", "boxes"))
    for mask, box in zip(masks, boxes, strict=True):
        rows, columns = np.nonzero(mask)
        bound = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert box == pytest.approx(np.array(bound) / 24)
    one = np.zeros((2, 8, 8), np.uint8)
    one[0, 7, 0] = 1
    assert boxes_of(one).tolist() == [[0, 0.875, 0.125, 1], [0, 0, 0, 0]]


def test_stored_masks_are_those_that_are_made_anew(tmp_path, letters):
    again = Cyrillic(24, train_per_class=4, test_per_class=1)
    again.cache = tmp_path
    for _ in range(2):
        assert np.array_equal(
            again.annotation("masks", "train"), letters.annotation("masks", "train")
        )
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_domain_without_masks_says_so():
    with pytest.raises(ValueError, match="Textures knows no masks of its images"):
        Textures(12, train_per_class=1, test_per_class=1).annotation("boxes", "test")


def painted(box: torch.Tensor) -> np.ndarray:
    """A box of fortieths as the cells that it covers."""
    cells = np.zeros((40, 40), bool)
    left, top, right, bottom = (box * 40).round().int().tolist()
    cells[top:bottom, left:right] = True
    return cells


def test_the_iou_of_boxes_is_that_of_the_cells_they_cover():
    for box, other, found in zip(BOXES, OTHERS, box_iou(BOXES, OTHERS), strict=True):
        one, two = painted(box), painted(other)
        union = (one | two).sum()
        assert found.item() == pytest.approx((one & two).sum() / union if union else 0.0)


def test_the_generalised_iou_is_torchvisions():
    solid = ((BOXES[:, 2:] > BOXES[:, :2]) & (OTHERS[:, 2:] > OTHERS[:, :2])).all(1)
    theirs = 1 - generalized_box_iou_loss(BOXES[solid], OTHERS[solid], reduction="none")
    found = generalised_iou(BOXES[solid], OTHERS[solid])
    torch.testing.assert_close(found, theirs, atol=1e-4, rtol=0)  # theirs adds 1e-7 to areas
    assert solid.sum() > 100


def test_the_iou_of_masks_is_that_of_the_sets_of_their_pixels():
    one, other = (torch.randint(0, 2, (20, 5, 5)).byte() for _ in range(2))
    one[0], other[0], one[1], other[1] = 0, 0, 0, 1
    for mask, second, found in zip(one, other, mask_iou(one, other), strict=True):
        sets = [{tuple(p) for p in m.nonzero().tolist()} for m in (mask, second)]
        whole = sets[0] | sets[1]
        assert found.item() == pytest.approx(len(sets[0] & sets[1]) / len(whole) if whole else 1.0)


def test_dice_of_certain_answers_is_that_of_their_masks():
    one, other = (torch.randint(0, 2, (20, 5, 5)).float() for _ in range(2))
    iou = mask_iou(one.byte(), other.byte())
    torch.testing.assert_close(dice((one - 0.5) * 100, other), 2 * iou / (1 + iou))


def begun(cls: type[DenseModule], **options) -> DenseModule:
    regime = RegimeCase(cls, options).build()
    (phase,) = regime.phases()
    regime.begin(phase)
    regime.train_sums = torch.zeros(3)
    return regime.eval()


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("cls", DENSE)
def test_the_loss_is_cross_entropy_and_weight_times_what_is_missed(cls, weight):
    regime = begun(cls, weight=weight)
    domain = drawn()
    domain.annotations = domain.annotates
    images, labels, known = next(iter(domain.train_dataloader()))
    features = regime.backbone(images)
    if cls is Detection:
        raw = regime.locator(features).sigmoid()
        corners = torch.cat([raw[:, :2] - raw[:, 2:] / 2, raw[:, :2] + raw[:, 2:] / 2], 1)
        missed = F.smooth_l1_loss(corners, known["boxes"], beta=0.1) * 4
        missed = missed + generalized_box_iou_loss(corners, known["boxes"], reduction="mean")
    else:
        logits, wanted = regime.locator(features)[:, 0, :12, :12], known["masks"].float()
        soft = logits.sigmoid()
        shared = (2 * soft * wanted).sum((1, 2)) / (soft**2 + wanted**2).sum((1, 2))
        missed = F.binary_cross_entropy(soft, wanted) + (1 - shared).mean()
    expected = F.cross_entropy(regime.head(features), labels) + weight * missed
    torch.testing.assert_close(regime.training_step((images, labels, known), 0), expected)


@pytest.mark.parametrize("cls", DENSE)
def test_what_locates_learns_at_the_heads_rate(cls):
    regime = begun(cls, lr=0.1, backbone_lr=0.001)
    rates = {id(p): g["lr"] for g in regime.parameter_groups() for p in g["params"]}
    assert {rates[id(p)] for p in regime.locator.parameters()} == {0.1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight must be 0 or more, and finite; it is -1"),
        ({"weight": float("inf")}, "it is inf"),
    ],
)
def test_a_weight_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RegimeCase(Detection, options).build()


@pytest.mark.parametrize("k", [0, 2, "all"])
@pytest.mark.parametrize("cls", DENSE)
def test_every_step_has_the_annotations_of_its_own_images(cls, k):
    """Of the toy the class says which quadrant it is."""
    case = RegimeCase(cls, {"k": k})
    regime, domain = case.build(), case.drawn()
    (kind,) = domain.annotations
    step, steps = regime.training_step, []
    masks = torch.from_numpy(domain.annotation("masks", "train"))
    of_class = masks[torch.from_numpy(domain.labels("train")).argsort(stable=True)][::24]
    expected = of_class if kind == "masks" else torch.from_numpy(boxes_of(of_class.numpy()))

    def watched(batch, batch_idx):
        _, labels, known = batch
        assert torch.equal(known[kind], expected[labels])
        steps.append(len(labels))
        return step(batch, batch_idx)

    regime.training_step = watched
    fit_and_test(regime, domain, SHORT)
    assert sum(steps) == 3 * len(domain.split.train)


@pytest.mark.parametrize("k", [0, "all"])
@pytest.mark.parametrize("cls", DENSE)
def test_annotations_of_validation_and_test_images_change_nothing_that_is_learnt(cls, k):
    ends = []
    for spoilt in (False, True):
        case = RegimeCase(cls, {"k": k})
        regime, domain = case.build(seed=5), case.drawn()
        (kind,) = domain.annotations
        known = {part: domain.annotation(kind, part).copy() for part in ("train", "test")}
        if spoilt:
            known["train"][domain.split.val] = 0
            known["test"][:] = 0
        domain.annotation = lambda kind, part, known=known: known[part]
        fit_and_test(regime, domain, SHORT)
        ends.append(regime.state_dict())
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def scores(regime: DenseModule, domain: ImageDomain) -> dict[str, float]:
    known = map(domain.section_annotations, ("train", "test"))
    return dict(regime.located_scores(*known))


@pytest.mark.parametrize("cls", DENSE)
def test_it_finds_what_it_has_learnt_and_one_answer_for_all_images_does_not(cls):
    case = RegimeCase(cls, {"lr": 0.02})
    regime, domain = case.build(), case.drawn(Blocks(), per_class=24)
    fit_and_test(regime, domain, ENOUGH)
    found = scores(regime, domain)
    assert found["test_iou"] > 0.8
    # The mean of four quadrants is the centre's quarter, 1/16 in 7/16; all pixels hold a quarter.
    assert found["constant_iou"] == pytest.approx(1 / 7 if cls is Detection else 1 / 4, abs=1e-5)


def test_a_glyph_is_found_better_than_by_the_mean_box():
    case = RegimeCase(Detection, {"lr": 0.01, "backbone_lr": 0.01})
    glyphs = Latin(12, letters="LT", train_per_class=60, test_per_class=20)
    regime, domain = case.build(), case.drawn(glyphs, per_class=60)
    fit_and_test(regime, domain, Fit(epochs=25, batch_size=16))
    found = scores(regime, domain)
    assert found["test_iou"] > max(0.5, found["constant_iou"] + 0.05)


def located(kind: str, **options) -> Run:
    """On Greek letters, from Latin ones."""
    domain = Choice(kind="greek", options=SMALL | {"letters": "ΔΘΞΨ"})
    return run(domain=domain, regime=Choice(kind=kind, options=options), init=source())


@pytest.mark.parametrize("kind", KINDS)
def test_at_step_0_the_encoder_is_the_sources_or_a_random_one(tmp_path, kind):
    store = RecordStore(tmp_path)
    stored(store, source(), keep_weights=True)
    blank = run(domain=located(kind).domain)
    start = build_regime(blank, build_domain(blank, None), store).backbone.state_dict()
    saved = load_file(store.weights(source())[0])
    for how in ("source", "random"):
        wanted = located(kind, start=how)
        regime = build_regime(wanted, build_domain(wanted, None), store)
        weights = {n: v for n, v in regime.backbone.named_parameters() if n.endswith("weight")}
        for name, value in weights.items():
            assert torch.equal(value, saved[name.removeprefix("stages.")]) == (how == "source")
            assert torch.equal(value, start[name]) == (how == "random")
        assert len(weights) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_says_how_well_it_finds_and_how_well_a_blind_answer_would(tmp_path, kind):
    store = RecordStore(tmp_path)
    found = stored(store, located(kind))
    domain = build_domain(located(kind), None)
    assert domain.annotations == (("boxes",) if kind == "detection" else ("masks",))
    assert 0 <= found.test_iou <= 1
    known = domain.annotation("boxes", "train")[domain.split.train]
    if kind == "detection":
        mean = torch.from_numpy(known).mean(0, keepdim=True)
        wanted = box_iou(mean, torch.from_numpy(domain.annotation("boxes", "test"))).mean().item()
        assert found.constant_iou == pytest.approx(wanted)
    off = stored(store, located(kind, weight=0.0))
    twin = stored(store, located("full_finetune"))
    assert (off.test_iou, off.constant_iou) == (twin.test_iou, twin.constant_iou) == (None, None)
    assert off.test_log_loss == twin.test_log_loss != found.test_log_loss


def test_annotations_and_streams_come_side_by_side():
    domain, other = drawn(), drawn(Blocks(variant=1))
    domain.annotations = ("masks",)
    batches = Accompanied(domain.train_dataloader(), {"source": other.train_dataloader()})
    for _, labels, beside in batches:
        assert beside.keys() == {"masks", "source"}
        assert len(beside["masks"]) == len(labels)
    assert batches.seen == len(other.split.train)


def test_augmented_images_with_annotations_are_refused():
    domain = drawn()
    domain.annotations, domain.augment = ("boxes",), Augment(flip=True)
    with pytest.raises(ValueError, match=r"boxes would not move .*: leave augment out"):
        domain.train_dataloader()
