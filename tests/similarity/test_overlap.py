"""Images that source and target share: which pairs are looked at, what is counted, what is kept."""

import numpy as np
import pytest
from PIL import Image

from tests.builders import choice, experiment
from transfer_lab.experiment.choices import Choice
from transfer_lab.grid.similarity import SimilarityJobs, pending
from transfer_lab.similarity.count_overlap import count
from transfer_lab.similarity.overlap import Counted, Overlap, counted, overlap_store, pairs
from transfer_lab.store.records import RecordStore

LETTERS = {"train_per_class": 3, "test_per_class": 2}


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def folder(root, train, test, suffix=".png"):
    """A folder of two classes; an image is known by its number."""
    for part, numbers in (("train", train), ("test", test)):
        for place, number in enumerate(numbers):
            path = root / part / "ab"[place % 2] / f"{place}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(path)
    return Choice(kind="folder", root=str(root))


def between(source, target, size=16):
    return Overlap(source=source, target=target, image_size=size)


def letters(kind):
    return Choice(kind=kind, options=LETTERS | {"letters": "ABCD" if kind == "latin" else "БГДЖ"})


def numbers_of(found):
    return found.test, found.test_learnt, found.test_images, found.train, found.train_images


def test_copies_are_counted_by_where_they_lie(store, tmp_path):
    source = folder(tmp_path / "source", train=[1, 2, 3, 4], test=[5, 6])
    target = folder(tmp_path / "target", train=[4, 6, 10, 11], test=[1, 2, 5, 20, 21])
    assert numbers_of(count(between(source, target), store)) == (3, 2, 5, 2, 4)


def test_the_same_pixels_in_another_file_are_the_same_image(store, tmp_path):
    source = folder(tmp_path / "source", train=[1, 2], test=[3, 4], suffix=".bmp")
    target = folder(tmp_path / "target", train=[7, 8], test=[1, 9])
    assert numbers_of(count(between(source, target), store)) == (1, 1, 2, 0, 2)


def test_a_domain_shares_all_of_its_images_with_itself_and_none_with_another(store):
    latin, cyrillic = letters("latin"), letters("cyrillic")
    found = count(between(latin, latin), store)
    assert (found.test, found.train) == (found.test_images, found.train_images) == (8, 12)
    assert numbers_of(count(between(latin, cyrillic), store)) == (0, 0, 8, 0, 12)


def test_a_pair_is_looked_at_once_and_what_no_source_run_learns_from_is_not(store):
    titles = [pair.title for pair in pairs(experiment())]
    assert titles == ["latin → cyrillic, shared images", "textures → cyrillic, shared images"]
    ready = {"vgg16": choice("vgg16") | {"pretrained": {"origin": "imagenet"}}}
    assert pairs(experiment(backbones=ready)) == ()
    assert pairs(experiment(regimes={"from_scratch": choice("from_scratch")})) == ()


def test_the_folder_that_data_lie_in_makes_no_other_pair(tmp_path):
    content = {"options": {"content": "0f"}}
    here, there = (Choice(kind="folder", root=root, **content) for root in ("here", "there"))
    assert between(here, here).id == between(there, there).id
    assert between(here, here).id != between(here, here, size=17).id


def test_what_is_stored_reads_back_and_what_is_damaged_is_named_and_counted_again(store):
    (first, second) = (pair.overlap for pair in pairs(experiment()))
    kept, said = overlap_store(store), []
    store.warn = said.append
    counts = Counted(
        of=first.id, test=1, test_learnt=1, test_images=9, train=0, train_images=9, seconds=1
    )
    assert counted(experiment(), store) == {}
    kept.put(counts)
    assert counted(experiment(), store) == {first.id: counts}
    kept.path(second.id).write_bytes(kept.path(first.id).read_bytes())
    assert kept.get(second.id) is None and "belongs to" in said[-1]
    whole = kept.path(first.id).read_text()
    for content in (whole.replace('"test": 1', '"test": 0'), "", "[]", "{}", whole[:-9]):
        said.clear()
        kept.path(first.id).write_text(content)
        assert kept.get(first.id) is None
        assert "counted again" in said[0] and str(kept.path(first.id)) in said[0]


def small(tmp_path):
    letters = {"train_per_class": 20, "test_per_class": 2}
    domains = {
        "latin": choice("latin", letters="ABCD", **letters),
        "textures": {"kind": "folder", "root": str(tmp_path / "gone")},
        "cyrillic": choice("cyrillic", letters="БГДЖ", **letters),
    }
    return experiment(domains=domains, backbones={"mlp": choice("mlp", width=8)})


class Here:
    """An engine that calls at once."""

    slots = 1

    def submit(self, call, *arguments):
        from concurrent.futures import Future

        future = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def test_what_was_not_counted_is_counted_and_a_missing_folder_costs_no_other_pair(store, tmp_path):
    asked, said, warned = small(tmp_path), [], []
    assert len(pending(asked, store).uncounted) == 2
    SimilarityJobs(asked, store, said.append, warned.append).measure(Here())
    (latin, _) = (pair.overlap for pair in pairs(asked))
    assert counted(asked, store)[latin.id].test == 0
    assert any("latin → cyrillic, shared images" in line for line in said)
    assert any("textures → cyrillic, shared images" in line and "gone" in line for line in warned)
    assert [pair.source for pair in pending(asked, store).uncounted] == ["textures"]
