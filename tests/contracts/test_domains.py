"""What must hold for every registered domain, present and future."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.photos import photos
from tests.published_sets import handwriting
from tests.texts import texts
from tests.toys import Blocks, drawn
from transfer_lab.data.base import ImageDomain
from transfer_lab.data.batches import EvenBatches
from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.testing import DOMAIN_CHECKS, DomainCase
from transfer_lab.training.contracts.domains import digests

BALANCED = ("latin", "greek", "cyrillic", "textures", "other_scenes")
RENDERED = (*BALANCED, "scenes")
OPTIONS = {
    "scenes": {"images": 120},
    "folder": {"root": photos()},
    "texts": {"root": texts()},
    "one_against_background": {"root": photos(), "object": "bay"},
    "torchvision": {"name": "MNIST", "root": handwriting()},
}


def case(name: str, **options) -> DomainCase:
    if absent := DOMAINS[name].absent:
        pytest.skip(f"{absent} is not installed: pip install '.[{DOMAINS[name].extra}]'")
    return DomainCase(DOMAINS.load(name), OPTIONS.get(name, {}) | options)


def build(name: str, image_size: int = 16, **options) -> ImageDomain:
    return case(name, **options).build(image_size)


@pytest.mark.parametrize("check", DOMAIN_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(DOMAINS))
def test_every_domain_keeps_the_contract(name, check):
    check(case(name))


@pytest.mark.parametrize("left_out", ["identity", "labels", "image_blocks"])
def test_a_domain_that_leaves_something_out_is_refused_by_its_name(left_out):
    content = {"identity": {}, "labels": Blocks.labels, "image_blocks": Blocks.image_blocks}
    del content[left_out]
    with pytest.raises(TypeError, match=left_out):
        type("Unsaid", (ImageDomain,), content)(12)


@pytest.mark.parametrize("name", RENDERED)
def test_a_larger_rendered_pool_contains_the_smaller_one_image_for_image(name):
    small = build(name).make_images("train")
    larger = {"images": 160} if name == "scenes" else {"train_per_class": 9}
    large = build(name, **larger).make_images("train")
    assert len(large) > len(small)
    assert np.array_equal(small, large[: len(small)])


@pytest.mark.parametrize("name", RENDERED)
def test_another_render_seed_is_another_dataset(name):
    first, second = build(name), build(name, render_seed=1)
    assert not set(digests(first.make_images("train"))) & set(digests(second.make_images("train")))


def test_two_scripts_share_no_image_even_where_their_letters_look_alike():
    images = [
        build(name, letters=letters).make_images("train")
        for name, letters in (("latin", "AB"), ("cyrillic", "АВ"), ("greek", "ΑΒ"))
    ]
    seen = [set(digests(part)) for part in images]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]


def test_letters_of_one_class_vary_and_differ_from_another_class_on_average():
    domain = build("latin", 20, letters="OI", train_per_class=200)
    ink = domain.make_images("train").astype(float)
    ink = np.abs(ink - np.median(ink, axis=(2, 3), keepdims=True)).mean(1)
    labels = domain.labels("train")
    means = [ink[labels == label].mean(0) for label in (0, 1)]
    assert ink[labels == 0].std(0).mean() > 5
    centre = slice(8, 12)
    assert means[1][centre, centre].mean() > 1.5 * means[0][centre, centre].mean()


def test_shifted_letters_are_the_plain_ones_under_other_light_or_with_more_noise():
    plain, recoloured, noisy = (
        build("latin", 20, letters="AB", train_per_class=40, shift=shift)
        for shift in (None, "recoloured", "noisy")
    )
    assert "shift" not in plain.identity and noisy.identity["shift"] == "noisy"
    images, faint, rough = (
        domain.make_images("train") / 255 for domain in (plain, recoloured, noisy)
    )
    light = np.array([0.8, 0.5, 0.25])[:, None, None]
    assert np.abs(faint - (light + 0.3 * (images - 0.5))).max() <= 0.5001 / 255
    inside = (images > 0.3) & (images < 0.7)
    apart = (rough - images)[inside]
    assert abs(apart.mean()) < 0.01 and 0.15 < apart.std() < 0.21
    assert len(digests(noisy.make_images("train"))) == 80


def test_a_shift_that_is_not_known_is_refused():
    with pytest.raises(AssertionError, match="shift"):
        build("latin", shift="blurred")


@pytest.mark.parametrize(
    ("letters", "reason"),
    [("A", "two different"), ("AA", "two different"), ("A漢", "no font")],
)
def test_letters_that_cannot_be_classes_are_refused(letters, reason):
    with pytest.raises(ValueError, match=reason):
        build("latin", letters=letters)


@pytest.mark.parametrize("option", ["train_per_class", "test_per_class"])
def test_a_rendered_domain_has_at_least_one_image_a_class(option):
    with pytest.raises(ValueError, match=option):
        build("textures", **{option: 0})


def test_stored_images_are_read_back_and_a_damaged_file_is_made_again(tmp_path):
    def load():
        domain = Blocks()
        domain.cache = tmp_path
        drawn(domain)
        return domain, torch.cat([images for images, _ in domain.train_dataloader()])

    first, images = load()
    again, same = load()
    assert (first.made, again.made) == (["train"], [])
    assert torch.equal(images, same)
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:200])
    mended, same = load()
    assert mended.made == ["train"]
    assert torch.equal(images, same)


def test_where_nothing_can_be_stored_the_images_are_made_in_memory(tmp_path):
    (tmp_path / "file").touch()
    domain = Blocks()
    domain.cache = tmp_path / "file" / "folder"
    drawn(domain)
    assert len(list(domain.train_dataloader())) > 0


def test_decode_seconds_are_charged_for_the_images_used_also_when_they_were_stored(tmp_path):
    charged = []
    for per_class in (8, 16, 16):
        domain = Blocks()
        domain.cache = tmp_path
        drawn(domain, per_class=per_class)
        charged.append(domain.decode_seconds("train"))
    assert 0 < charged[0] < charged[1] == charged[2]


def test_batches_differ_in_size_by_one_at_most_and_are_reshuffled_every_epoch():
    domain = drawn(Blocks(), per_class=13, val_fraction=0, batch_size=17)
    loader = domain.train_dataloader()
    epochs = [torch.cat([labels for _, labels in loader]) for _ in range(2)]
    sizes = [len(labels) for _, labels in loader]
    assert sum(sizes) == 52
    assert max(sizes) <= 17
    assert max(sizes) - min(sizes) <= 1
    assert not torch.equal(*epochs)
    again = drawn(Blocks(), per_class=13, val_fraction=0, batch_size=17).train_dataloader()
    assert torch.equal(torch.cat([labels for _, labels in again]), epochs[0])


@pytest.mark.parametrize(("n", "batch_size"), [(5, 2), (3, 2), (129, 64), (2, 64), (65, 64)])
def test_no_batch_has_a_single_image(n, batch_size):
    sizes = [len(batch) for batch in EvenBatches(n, batch_size)]
    assert sum(sizes) == n
    assert min(sizes) >= 2


def test_training_images_are_unknown_before_a_subset_is_drawn():
    with pytest.raises(RuntimeError, match="draw"):
        Blocks().train_dataloader()
