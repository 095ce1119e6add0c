"""A photograph's features are its own: whatever others are there, and computed once."""

import socket

import numpy as np
import pytest
from PIL import Image

from tests.advice.scenes import draw_scenes, has_weights
from tests.photos import picture
from transfer_lab.advice.album.album import read_album
from transfer_lab.advice.features import features as module
from transfer_lab.advice.features.features import extract
from transfer_lab.advice.features.looks import frame_of, look
from transfer_lab.advice.features.networks import find_network
from transfer_lab.advice.listening import Silent

SIZE = 96


class Heard(Silent):
    """What it was told."""

    def __init__(self):
        self.steps, self.at = [], []

    def step(self, name, expected_seconds):
        self.steps.append((name, expected_seconds))

    def progress(self, done, total):
        self.at.append((done, total))


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    return read_album(draw_scenes(tmp_path_factory.mktemp("scenes"), per_class=8))


def features(photos, cache=None, **options):
    paths, hashes = [p.path for p in photos], [p.sha256 for p in photos]
    return extract(paths, hashes, find_network(), SIZE, cache=cache, **options)


@has_weights
def test_features_do_not_depend_on_neighbours_or_order(album):
    whole = features(album.photos)
    assert whole.values.shape == (40, 1280) and whole.values.dtype == np.float32
    some = [17, 3, 38]
    alone = features([album.photos[place] for place in some])
    assert alone.values.tobytes() == whole.values[some].tobytes()
    assert whole.kept.tolist() == list(range(40)) and whole.reached == 40


@has_weights
def test_what_is_in_the_cache_is_not_computed_again(album, tmp_path, monkeypatch):
    first = features(album.photos, tmp_path)
    monkeypatch.setattr(module, "decode_file", None)
    heard = Heard()
    again = features(album.photos[::-1], tmp_path, listen=heard)
    assert again.values.tobytes() == first.values[::-1].tobytes() and heard.steps == []
    assert again.seconds == pytest.approx(first.seconds)


@has_weights
def test_a_broken_file_is_named_and_ends_nothing(album, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(album.photos[0].path.read_bytes()[:300])
    empty = tmp_path / "empty.png"
    empty.touch()
    photos = [*album.photos[:2]]
    paths = [torn, photos[0].path, empty, photos[1].path]
    hashes = ["torn", photos[0].sha256, "empty", photos[1].sha256]
    found = extract(paths, hashes, find_network(), SIZE, cache=tmp_path / "cache")
    assert found.kept.tolist() == [1, 3] and found.reached == 4
    assert [path for path, _ in found.broken] == [torn, empty]
    assert found.broken[1][1] == "the file is empty" and "torn.jpg" not in found.broken[0][1]
    assert found.values.tobytes() == features(photos).values.tobytes()


@has_weights
def test_it_ends_when_the_time_is_up_and_goes_on_from_there(album, tmp_path, monkeypatch):
    monkeypatch.setattr("transfer_lab.backbones.frozen.FrozenPrefix.batch_size", lambda *_: 8)
    first = features(album.photos, tmp_path, seconds=0)
    assert first.reached == 8 and len(first.values) == 8
    heard = Heard()
    whole = features(album.photos, tmp_path, listen=heard)
    assert whole.reached == 40 and heard.at[-1] == (32, 32)
    assert whole.values[:8].tobytes() == first.values.tobytes()


@has_weights
def test_what_was_computed_is_kept_where_it_is_interrupted(album, tmp_path, monkeypatch):
    monkeypatch.setattr("transfer_lab.backbones.frozen.FrozenPrefix.batch_size", lambda *_: 8)

    class Interrupting(Heard):
        def progress(self, done, total):
            super().progress(done, total)
            if done >= 24:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(album.photos, tmp_path, listen=Interrupting())
    heard = Heard()
    features(album.photos, tmp_path, listen=heard)
    assert heard.at[-1] == (16, 16)


@has_weights
def test_no_network_is_asked_for_anything(album, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(features(album.photos[:2]).values) == 2


def test_a_look_tells_size_day_and_an_even_frame(tmp_path):
    image = Image.new("RGB", (400, 300), "white")
    image.paste(picture(1, (380, 200)), (10, 50))
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:05:01 10:11:12"}
    image.save(tmp_path / "a.png", exif=exif)
    pixels = np.asarray(image.crop((50, 0, 350, 300))).transpose(2, 0, 1)
    seen = look(tmp_path / "a.png", pixels)
    assert seen[:3] == (400, 300, "2024:05:01 10:11:12") and seen.day == "2024:05:01"
    white = 7 * 64 + 7 * 8 + 7
    assert seen.frame[:2] == (white, white) and seen.frame[2:] == (-1, -1)


@pytest.mark.parametrize("noted", ["0000:00:00 00:00:00", "", "garbage"])
def test_a_clock_that_was_never_set_tells_no_day(tmp_path, noted):
    exif = Image.Exif()
    exif[0x0132] = noted
    picture(1).save(tmp_path / "a.jpg", exif=exif)
    assert look(tmp_path / "a.jpg", np.zeros((3, 8, 8), np.uint8)).day is None


def test_what_jpeg_makes_of_an_even_frame_is_even_still(tmp_path):
    image = Image.new("RGB", (224, 224), (12, 10, 8))
    image.paste(picture(4, (192, 180)), (16, 22))
    image.save(tmp_path / "a.jpg", quality=70)
    again = np.asarray(Image.open(tmp_path / "a.jpg")).transpose(2, 0, 1)
    assert frame_of(again) == (0, 0, 0, 0)
