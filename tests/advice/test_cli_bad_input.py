"""What people hand over by mistake gets a plain sentence that says what to do, and an exit code."""

import shutil
import sys

import pytest
from PIL import Image

from tests.advice.scenes import FIVE, draw_scenes, has_weights
from tests.advice.test_cli_advise import call
from tests.advice.test_cli_three_commands import without_challengers
from tests.photos import fill, picture


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
