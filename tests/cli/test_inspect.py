"""What `transfer-lab data` says of folders and of domains that go by name."""

from __future__ import annotations

import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from tests.photos import fill, photos, picture
from tests.published_sets import eurosat, handwriting, mnist
from transfer_lab.cli.inspect import Request, inspect
from transfer_lab.experiment.yaml_source import ConfigError


def test_inspection_of_a_clean_folder_finds_nothing_to_mend(capsys):
    assert inspect(photos()) == 0
    told = capsys.readouterr().out
    assert "3 classes, 30 images: 21 to learn from, 9 to test on" in told
    assert "at most 7 images per class" in told
    assert "40 x 30" in told


def test_inspection_names_copies_broken_files_and_links(tmp_path, capsys):
    for part in ("train", "test"):
        fill(tmp_path / "root" / part, 4)
    root = tmp_path / "root"
    (root / "train" / "bay" / "bad.png").write_bytes(b"\x89PNG")
    outside = tmp_path / "out.jpg"
    picture(9).save(outside)
    os.symlink(outside, root / "train" / "bay" / "out.jpg")
    source = fill(tmp_path / "source", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inspect(str(root), str(source)) == 1
    told = capsys.readouterr().out
    assert "12 in both training pool and test set" in told
    assert "1 cannot be read" in told
    assert str(root / "train" / "bay" / "bad.png") in told
    assert "a link that leads out of the folder" in told
    assert f"12 in {source} as well" in told


def test_inspection_of_no_folder_is_a_readable_refusal(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        inspect(str(tmp_path / "nowhere"))


def test_a_named_domain_is_counted_and_compared(capsys):
    assert inspect("torchvision:MNIST", how=Request(root=handwriting())) == 0
    told = capsys.readouterr().out
    assert "7 - seven  8                3       ####" in told
    assert "10 classes, 110 images: 80 to learn from, 30 to test on" in told
    assert "largest class: 10.0 % of the test set" in told
    assert "at most 8 images per class" in told
    assert "width x height: 28 x 28 to 28 x 28" in told


def test_copies_between_the_published_parts_are_named(tmp_path, capsys):
    images = [(np.asarray(picture(n, (28, 28))), n % 10) for n in range(30)]
    mnist(tmp_path, {"train": images[:20], "test": [*images[20:], images[3], images[3]]})
    assert inspect("torchvision:MNIST", how=Request(root=str(tmp_path))) == 1
    told = capsys.readouterr().out
    assert "2 in both training pool and test set (copies):" in told
    assert "  test image 10 = training image 3\n  test image 11 = training image 3\n" in told


def test_a_rendered_domain_and_bundled_digits_need_no_root(capsys):
    assert inspect("digits", "digits", Request(root="nowhere")) == 1
    told = capsys.readouterr().out
    assert "10 classes, 1797 images" in told
    assert "1797 in digits as well (copies):\n  training image 0\n" in told
    assert "width x height: 8 x 8" in told


@pytest.mark.parametrize("swapped", [False, True])
def test_a_folder_and_a_named_domain_are_compared_by_their_pixels(tmp_path, capsys, swapped):
    fill(tmp_path / "photos")
    (tmp_path / "photos" / "bay" / "bad.jpg").write_bytes(b"")
    members = [(np.asarray(picture(50 + n)), n % 2) for n in range(8)]
    members += [
        (np.asarray(Image.open(tmp_path / "photos" / "city" / f"{n}.jpg")), n) for n in range(2)
    ]
    eurosat(tmp_path, {"train": members}, ".png")
    pair = [str(tmp_path / "photos"), "torchvision:EuroSAT"]
    place, source = reversed(pair) if swapped else pair
    assert inspect(place, source, Request(root=str(tmp_path))) == 1
    assert f"2 in {source} as well (copies):" in capsys.readouterr().out


def test_a_name_goes_before_a_folder_that_is_called_the_same(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos(), "digits")
    assert inspect("digits") == 0
    told = capsys.readouterr().out
    assert "digits: the domain; the folder of that name is ./digits" in told
    assert "1797 images" in told
    assert inspect("./digits") == 0
    assert "30 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("digts", "digts: cannot read the folder.*; no domain has this name either: did you mean"),
        ("torchvision:CIFAR1O", "no dataset 'CIFAR1O' of torchvision; did you mean 'CIFAR10'"),
        ("torchvision:CIFAR10", "does not find its CIFAR10 there"),
        ("torchvision", "torchvision: option 'name' is missing"),
        ("digits:eight", "digits:eight: unknown option"),
    ],
)
def test_what_is_neither_folder_nor_domain_is_a_readable_refusal(tmp_path, place, message):
    with pytest.raises(ConfigError, match=message):
        inspect(place, how=Request(root=str(tmp_path)))


def test_an_absent_dataset_is_fetched_only_when_asked(tmp_path):
    with pytest.raises(ConfigError, match="original URL is broken"):
        inspect("torchvision:StanfordCars", how=Request(root=str(tmp_path), download=True))


def test_a_published_image_that_cannot_be_read_is_a_readable_refusal(tmp_path):
    eurosat(tmp_path, {"train": [(np.asarray(picture(n)), n % 2) for n in range(6)]})
    (tmp_path / "eurosat" / "2750" / "Land0" / "0.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match="of EuroSAT cannot be read"):
        inspect("torchvision:EuroSAT", how=Request(root=str(tmp_path)))
