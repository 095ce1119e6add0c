"""Stored images that are not as they were written are made again, and no photograph is stored under
the name of another."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.photos import fill, photos
from transfer_lab.data import folder as folders
from transfer_lab.data.folder import Folder
from transfer_lab.data.image_cache import stored_array, stored_images
from transfer_lab.system import decode as decoding
from transfer_lab.system.decode import decode_all
from transfer_lab.system.image_folder import DataUnavailable, list_files

SHAPE = (10, 3, 8, 8)
IMAGES = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)


def stored(cache: Path, name: str = "first", images: np.ndarray = IMAGES) -> tuple:
    """The stored array, and how often it was made for this."""
    made = []

    def blocks():
        made.append(name)
        yield images

    return stored_images(cache, name, SHAPE, blocks)[0], len(made)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


def zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-200] + bytes(200))


def exchanged(path: Path) -> None:
    """With the array of another domain, note and all."""
    for suffix in (".npy", ".json"):
        shutil.copy(path.with_name(f"second{suffix}"), path.with_suffix(suffix))


def exchanged_alone(path: Path) -> None:
    shutil.copy(path.with_name("second.npy"), path)


def of_another_shape(path: Path) -> None:
    np.save(path, IMAGES.reshape(5, 6, 8, 8))


def of_another_type(path: Path) -> None:
    np.save(path, IMAGES.astype(np.float32))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = (
    *(flipped, zeroed, exchanged, exchanged_alone, of_another_shape, of_another_type, empty),
    a_folder,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_images_are_made_again(damage, tmp_path):
    stored(tmp_path)
    stored(tmp_path, "second", OTHERS)
    damage(tmp_path / "first.npy")
    found, made = stored(tmp_path)
    assert np.array_equal(found, IMAGES) and made >= 1
    if damage is not a_folder:  # which nothing can be written over
        again, made = stored(tmp_path)
        assert np.array_equal(again, IMAGES) and made == 0


@pytest.mark.parametrize("note", ["null", "[]", "{}", "", "NaN", "0.25", '{"sha256": "0"}', "\x00"])
def test_images_whose_note_is_damaged_or_from_before_checksums_are_made_again(note, tmp_path):
    stored(tmp_path)
    (tmp_path / "first.json").write_text(note)
    found, made = stored(tmp_path)
    assert np.array_equal(found, IMAGES) and made == 1
    assert stored(tmp_path)[1] == 0


def test_a_note_that_was_changed_is_not_believed(tmp_path):
    stored(tmp_path)
    note = tmp_path / "first.json"
    data = json.loads(note.read_text())
    data["record"]["seconds"] = 1000.0
    note.write_text(json.dumps(data))
    assert stored(tmp_path)[1] == 1


def test_a_small_array_that_is_damaged_is_built_again(tmp_path):
    def built():
        return stored_array(tmp_path, "small", lambda: np.arange(50))[0]

    built()
    flipped(tmp_path / "small.npy")
    assert np.array_equal(built(), np.arange(50))


@pytest.mark.parametrize("broken", ["refuse", "skip"])
@pytest.mark.parametrize("change", ["replaced", "removed", "a pipe"])
def test_a_photograph_that_changes_between_hashing_and_decoding_is_named(change, broken, tmp_path):
    root = fill(tmp_path / "root")
    domain = Folder(16, root=str(root), broken=broken)
    domain.cache = tmp_path / "images"
    path = domain.listing.files[0].path
    content = path.read_bytes()
    path.unlink()
    if change == "replaced":
        shutil.copy(next(p for p in root.rglob("*.jpg") if p != path), path)
    elif change == "a pipe":
        os.mkfifo(path)
    with pytest.raises(DataUnavailable, match=f"{path.name}: .*since the experiment was read"):
        domain.prepare_data()
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    for part in ("train", "test"):  # nothing else was stored under their names meanwhile
        again = Folder(16, root=str(root), broken=broken)
        again.cache = tmp_path / "images"
        again.prepare_data()
        assert np.array_equal(again._stored(part)[0], again.make_images(part))


def test_a_photograph_is_read_once_for_its_hash_and_its_pixels(tmp_path, monkeypatch):
    """What is decoded are the bytes that were hashed, whatever the file holds by then."""
    root = fill(tmp_path / "root")
    listing = list_files(root)
    expected = list(decode_all(listing.files, 16))
    read = decoding.ImageFile.read

    def then_replaced(file):
        content = read(file)
        photos_there = file.path.read_bytes()
        file.path.write_bytes(b"another")
        file.path.with_suffix(".kept").write_bytes(photos_there)
        return content

    monkeypatch.setattr(decoding.ImageFile, "read", then_replaced)
    for image, before in zip(decode_all(listing.files, 16), expected, strict=True):
        assert np.array_equal(image, before)


def test_large_photographs_are_not_all_decoded_at_once(monkeypatch):
    """However many threads there are, no more pixels are in memory than there is room for: here
    those of two files."""
    monkeypatch.setattr("transfer_lab.system.host.cores", lambda: 8)
    files = list_files(photos()).files
    room = 2 * 40 * 30
    monkeypatch.setattr(decoding, "_ROOM", decoding._Room(room))
    open_now, most = [], []
    square = decoding.middle_square

    def counted(image, size):
        open_now.append(image.width * image.height)
        time.sleep(0.002)  # in which others begin, if they may
        most.append(sum(open_now))
        found = square(image, size)
        open_now.pop()
        return found

    monkeypatch.setattr(decoding, "middle_square", counted)
    assert len(list(decode_all(files, 16))) == len(most) > 8
    assert 0 < max(most) <= room
    assert folders.decode_all is decode_all
