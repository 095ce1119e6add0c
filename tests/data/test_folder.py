"""Folders of images as people have them: odd files, odd names, copies, links, holes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photos import CLASSES, fill, photos, picture
from transfer_lab.data import folder
from transfer_lab.data.folder import Folder
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.grid.preflight import preflight
from transfer_lab.system import decode as decoding
from transfer_lab.system.decode import BrokenImageError, decode
from transfer_lab.system.image_folder import DataUnavailable, list_files

RED = (200, 30, 20)


def decoded(path: Path, size: int) -> np.ndarray:
    return decode(path.read_bytes(), path, size)


def saved(folder: Path, name: str, image: Image.Image, **how) -> Path:
    image.save(folder / name, **how)
    return folder / name


def colour(path: Path, size: int = 8) -> np.ndarray:
    pixels = decoded(path, size)
    assert pixels.shape == (3, size, size)
    assert pixels.dtype == np.uint8
    return pixels.reshape(3, -1).mean(1).round()


@pytest.fixture()
def red(tmp_path) -> dict[str, Path]:
    """The same red in every mode that image files come in."""
    plain = Image.new("RGB", (20, 12), RED)
    clear = Image.new("RGBA", (20, 12), (*RED, 255))
    return {
        "rgb.png": saved(tmp_path, "rgb.png", plain),
        "photo.jpg": saved(tmp_path, "photo.jpg", plain, quality=95),
        "palette.gif": saved(tmp_path, "palette.gif", plain.convert("P")),
        "palette.png": saved(tmp_path, "palette.png", plain.quantize(4)),
        "alpha.png": saved(tmp_path, "alpha.png", clear),
        "print.jpg": saved(tmp_path, "print.jpg", plain.convert("CMYK"), quality=95),
        "print.tiff": saved(tmp_path, "print.tiff", plain.convert("CMYK")),
        "web.webp": saved(tmp_path, "web.webp", plain, lossless=True),
        "animated.gif": saved(
            tmp_path,
            "animated.gif",
            plain,
            save_all=True,
            append_images=[Image.new("RGB", (20, 12), "blue")],
        ),
    }


def test_every_colour_mode_becomes_the_same_rgb(red):
    for name, path in red.items():
        assert np.abs(colour(path) - RED).max() <= 6, name


def test_transparent_pixels_are_white(tmp_path):
    clear = Image.new("RGBA", (9, 9), (*RED, 0))
    assert colour(saved(tmp_path, "a.png", clear)).tolist() == [255] * 3
    palette = Image.new("P", (9, 9), 0)
    palette.putpalette([*RED, 0, 0, 0])
    assert colour(saved(tmp_path, "b.png", palette, transparency=0)).tolist() == [255] * 3


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (32768, 128), (65535, 255)])
def test_sixteen_bit_grey_keeps_its_brightness(tmp_path, value, grey):
    deep = Image.fromarray(np.full((9, 9), value, np.uint16))
    bright = np.full((9, 9), value, np.uint16)
    bright[0, 0] = 65535
    assert colour(saved(tmp_path, "a.png", deep)).tolist() == pytest.approx([grey] * 3, abs=1)
    path = saved(tmp_path, "b.tiff", Image.fromarray(bright))
    assert np.median(decoded(path, 9)) == pytest.approx(grey, abs=1)


def test_a_photograph_is_turned_upright(tmp_path):
    left_red = Image.new("RGB", (8, 8), "blue")
    left_red.paste(RED, (0, 0, 4, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise: left becomes top
    pixels = decoded(saved(tmp_path, "a.png", left_red, exif=exif), 8)
    assert pixels[0, :3].min() > 150
    assert pixels[2, 5:].min() > 150


def test_the_middle_square_is_kept(tmp_path):
    wide = Image.new("RGB", (30, 10), "blue")
    wide.paste(RED, (10, 0, 20, 10))
    assert np.abs(colour(saved(tmp_path, "a.png", wide)) - RED).max() <= 6


@pytest.mark.parametrize("name", ["empty", "truncated", "text", "bomb"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, monkeypatch):
    path = tmp_path / f"{name}.jpg"
    whole = saved(tmp_path, "whole.jpg", picture(1, (200, 150))).read_bytes()
    if name == "bomb":
        monkeypatch.setattr(decoding, "MAX_PIXELS", 1000)
    content = {"empty": b"", "truncated": whole[:-400], "text": b"not an image", "bomb": whole}
    path.write_bytes(content[name])
    with pytest.raises(BrokenImageError, match=name):
        decoded(path, 8)


def test_two_layouts_give_classes_and_parts(tmp_path):
    flat = list_files(fill(tmp_path / "flat"))
    assert flat.classes == CLASSES
    assert {file.part for file in flat.files} == {None}
    for part in ("train", "test"):
        fill(tmp_path / "split" / part, per_class=3)
    own = list_files(tmp_path / "split").divided(0.5)
    assert {name: len(files) for name, files in own.items()} == {"train": 9, "test": 9}


def test_the_split_is_stratified_and_depends_on_contents_alone(tmp_path):
    first = fill(tmp_path / "first")
    second = tmp_path / "renamed" / "root"
    names = list(range(10))
    random.Random(1).shuffle(names)
    for path in sorted(first.rglob("*.jpg")):
        (second / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, second / path.parent.name / f"img{names[int(path.stem)]}.jpg")
    one, other = list_files(first), list_files(second)
    assert one.fingerprint == other.fingerprint
    parts, others = one.divided(0.3), other.divided(0.3)
    for part, count in (("train", 7), ("test", 3)):
        assert [file.sha256 for file in parts[part]] == [file.sha256 for file in others[part]]
        for name in CLASSES:
            assert sum(file.label == name for file in parts[part]) == count


def test_copies_of_an_image_fall_on_the_same_side_of_the_split(tmp_path):
    root = fill(tmp_path)
    for index in range(10):
        shutil.copy(root / "bay" / f"{index}.jpg", root / "bay" / f"copy{index}.jpg")
    parts = list_files(root).divided(0.3)
    hashes = {part: {file.sha256 for file in files} for part, files in parts.items()}
    assert not hashes["train"] & hashes["test"]
    assert sum(file.label == "bay" for file in parts["test"]) == 6


def test_test_images_that_the_training_pool_holds_too_are_counted(tmp_path):
    fill(tmp_path / "train", 4)
    fill(tmp_path / "test", 3)
    saved(tmp_path / "test" / "bay", "new.png", picture(77))
    assert Folder(16, root=str(tmp_path)).copies == 9
    assert Folder(16, root=photos()).copies == 0


@pytest.mark.parametrize("parts", [("train", "val"), ("Train", "Test"), ("test", "validation")])
def test_parts_of_other_names_are_not_taken_for_classes(tmp_path, parts):
    for part in parts:
        fill(tmp_path / part, 3)
    with pytest.raises(DataUnavailable, match="would be taken for classes"):
        list_files(tmp_path)


def test_a_third_part_is_left_out_by_name(tmp_path):
    for part in ("train", "test", "val"):
        fill(tmp_path / part, 3)
    found = list_files(tmp_path)
    assert found.classes == CLASSES
    assert found.set_aside == ((tmp_path / "val", "neither train nor test"),)


@pytest.mark.parametrize("fraction", [0.01, 0.8, 0.99])
def test_every_class_is_in_both_parts_whatever_the_fraction(tmp_path, fraction):
    parts = list_files(fill(tmp_path, 2)).divided(fraction)
    for files in parts.values():
        assert {file.label for file in files} == set(CLASSES)


def test_dark_and_bright_images_of_one_deep_camera_keep_their_ratio(tmp_path):
    levels = [
        colour(saved(tmp_path, f"{v}.png", Image.fromarray(np.full((9, 9), v, np.uint16))))[0]
        for v in (200, 300, 30000)
    ]
    assert levels == pytest.approx([1, 1, 117], abs=1)
    light = Image.fromarray(np.full((9, 9), 0.5, np.float32))
    assert colour(saved(tmp_path, "f.tiff", light))[0] == pytest.approx(128, abs=1)


def test_whatever_a_parser_raises_the_file_is_named(tmp_path, monkeypatch):
    path = saved(tmp_path, "odd.jpg", picture(1))

    def broken(_):
        raise AttributeError("'IFDRational' object has no attribute 'encode'")

    monkeypatch.setattr(decoding.ImageOps, "exif_transpose", broken)
    with pytest.raises(BrokenImageError, match=r"odd\.jpg.*IFDRational"):
        decoded(path, 8)


def test_another_content_is_another_fingerprint(tmp_path):
    before = list_files(fill(tmp_path)).fingerprint
    (tmp_path / "bay" / "0.jpg").rename(tmp_path / "city" / "moved.jpg")
    moved = list_files(tmp_path).fingerprint
    (tmp_path / "city" / "moved.jpg").unlink()
    assert len({before, moved, list_files(tmp_path).fingerprint}) == 3


def test_hidden_files_and_files_that_are_no_images_are_counted_and_passed_over(tmp_path):
    root = fill(tmp_path)
    for name in (".hidden.jpg", "notes.txt", "Thumbs.db", "README"):
        (root / "bay" / name).write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "bay" / "PHOTO.JPG").write_bytes((root / "bay" / "0.jpg").read_bytes() + b"\0")
    found = list_files(root)
    assert found.ignored == 4
    assert found.classes == CLASSES
    assert any(file.path.name == "PHOTO.JPG" for file in found.files)


def test_a_link_out_of_the_root_is_left_out_and_one_within_is_followed(tmp_path):
    root = fill(tmp_path / "root")
    outside = saved(tmp_path, "outside.jpg", picture(5))
    (root / "bay" / "out.jpg").symlink_to(outside)
    (root / "bay" / "in.jpg").symlink_to(root / "city" / "0.jpg")
    (root / "bay" / "loop").symlink_to(root, target_is_directory=True)
    (root / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    found = list_files(root)
    assert [path.name for path, _ in found.set_aside] == ["elsewhere", "out.jpg"]
    assert len(found.files) == 31
    assert found.classes == CLASSES


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "absent: cannot read the folder"),
        (lambda root: root.mkdir(), "0 class folders"),
        (lambda root: fill(root, classes=("one",)), "1 class folders"),
        (lambda root: (fill(root) / "empty").mkdir(), r"absent/empty \(0 different images"),
        (lambda root: fill(fill(root), 1, ("lone",)), r"absent/lone \(1 different images"),
        (lambda root: root.write_text("a file"), "absent: cannot read the folder"),
    ],
    ids=["missing", "no class", "one class", "an empty class", "a class of one", "a file"],
)
def test_a_folder_that_cannot_be_learnt_from_is_refused_by_name(tmp_path, make, message):
    make(tmp_path / "absent")
    with pytest.raises(DataUnavailable, match=message):
        list_files(tmp_path / "absent")


def test_a_class_of_copies_of_one_image_cannot_be_split(tmp_path):
    root = fill(tmp_path)
    fill(root, 1, ("twins",))
    shutil.copy(root / "twins" / "0.jpg", root / "twins" / "1.jpg")
    with pytest.raises(DataUnavailable, match="twins"):
        list_files(root)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_that_only_one_part_has_is_refused(tmp_path, part):
    fill(tmp_path / "train", 3)
    fill(tmp_path / "test", 3)
    shutil.rmtree(tmp_path / part / "bay")
    with pytest.raises(DataUnavailable, match=f"{part}/bay"):
        list_files(tmp_path)


EXPERIMENT = """
name: mine
image_size: 16
domains:
  photos: {{kind: folder, root: {root}}}
  latin: {{letters: ABCD, train_per_class: 8, test_per_class: 4}}
scenarios:
  small_similar: {{source: latin, target: photos, per_class: 5}}
backbones: [cnn]
regimes: [from_scratch, linear_probe]
seeds: [1]
"""


def experiment(folder: Path, root: Path | str):
    path = folder / "mine.yaml"
    path.write_text(EXPERIMENT.format(root=root))
    return load_experiment(path).experiment


def ids(found) -> list[str]:
    return [cell.run.id for cell in plan(found)]


def test_a_run_belongs_to_the_contents_of_the_folder_and_not_to_its_place(tmp_path):
    root = fill(tmp_path / "a")
    shutil.copytree(root, tmp_path / "b")
    first = ids(experiment(tmp_path, root))
    assert ids(experiment(tmp_path, tmp_path / "b")) == first
    (root / "bay" / "0.jpg").unlink()
    assert not set(ids(experiment(tmp_path, root))) & set(first)


def test_a_missing_folder_is_refused_at_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.yaml:5:26: domains\.photos\.root: .*nowhere"):
        experiment(tmp_path, tmp_path / "nowhere")


def test_preflight_reads_every_image_once_and_names_those_it_cannot_read(tmp_path):
    root = fill(tmp_path / "root")
    assert preflight(experiment(tmp_path, root), tmp_path / "images") == []
    assert len(list((tmp_path / "images").glob("*.npy"))) == 4
    (root / "wood" / "3.jpg").write_bytes(b"")
    broken = fill(tmp_path / "broken")
    (broken / "wood" / "3.jpg").write_bytes(b"")
    ((place, message),) = preflight(experiment(tmp_path, broken), tmp_path / "images")
    assert place == ("domains", "photos")
    assert "1 files cannot be read" in message
    assert str(broken / "wood" / "3.jpg") in message


def with_broken(folder: Path, per_class: int = 10) -> Path:
    """Photographs of which one of every class cannot be read, each for another reason."""
    fill(folder, per_class)
    (folder / "bay" / "0.jpg").write_bytes(b"")
    (folder / "city" / "1.jpg").write_bytes(b"not an image")
    whole = (folder / "wood" / "2.jpg").read_bytes()
    (folder / "wood" / "2.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


def test_broken_files_can_be_left_out_of_pool_and_test_set(tmp_path):
    skipping = Folder(16, root=str(with_broken(tmp_path / "a")), broken="skip")
    paths = {file.path for files in skipping.files.values() for file in files}
    assert skipping.set_aside == 3
    assert len(paths) == 27
    assert not paths & {tmp_path / "a" / p for p in ("bay/0.jpg", "city/1.jpg", "wood/2.jpg")}
    for part in ("train", "test"):
        assert len(skipping.make_images(part)) == len(skipping.labels(part))
    clean = with_broken(tmp_path / "b")
    for name in ("bay/0.jpg", "city/1.jpg", "wood/2.jpg"):
        (clean / name).unlink()
    assert skipping.identity == Folder(16, root=str(clean)).identity
    assert Folder(16, root=str(clean), broken="skip").set_aside == 0


def test_subsets_without_broken_files_are_nested_and_every_image_has_its_label(tmp_path):
    skipping = Folder(16, root=str(with_broken(tmp_path)), broken="skip")
    drawn = []
    for per_class in (3, 5):
        split = skipping.draw(per_class=per_class, val_fraction=0.2, batch_size=4, seed=3)
        drawn.append(set(split.train) | set(split.val))
        assert np.bincount(skipping.section_labels("train")).min() == per_class - 1
    assert drawn[0] < drawn[1]
    for file, image, label in zip(
        skipping.files["train"],
        skipping.make_images("train"),
        skipping.labels("train"),
        strict=True,
    ):
        assert file.label == skipping.classes[label]
        assert np.array_equal(image, decoded(file.path, 16))


def test_which_files_can_be_read_is_found_once_for_all_runs(tmp_path, monkeypatch):
    def skipping() -> Folder:
        domain = Folder(16, root=str(tmp_path / "root"), broken="skip")
        domain.cache = tmp_path / "cache"
        return domain

    with_broken(tmp_path / "root")
    first = skipping()
    first.prepare_data()
    monkeypatch.setattr(folder, "decode_all", lambda *_: pytest.fail("decoded again"))
    again = skipping()
    again.prepare_data()
    assert np.array_equal(again.labels("train"), first.labels("train"))


def test_a_class_of_which_too_little_can_be_read_is_refused(tmp_path):
    root = with_broken(tmp_path, per_class=3)
    (root / "bay" / "1.jpg").write_bytes(b"")
    skipping = Folder(16, root=str(root), broken="skip")
    with pytest.raises(DataUnavailable, match=r"bay \(1 different.*; 4 files that cannot be read"):
        skipping.labels("train")


def test_leaving_files_out_is_part_of_the_run_and_preflight_accepts_it(tmp_path):
    root = with_broken(tmp_path / "root")
    refusing = experiment(tmp_path, root)
    skipping = experiment(tmp_path, f"{root}, broken: skip")
    assert not set(ids(refusing)) & set(ids(skipping))
    ((_, message),) = preflight(refusing, tmp_path / "images")
    assert "files cannot be read: " in message
    assert message.endswith("or leave them out with broken: skip")
    assert preflight(skipping, tmp_path / "images") == []
    assert preflight(skipping) == []
    ((place, message),) = preflight(experiment(tmp_path, f"{root}, broken: ignore"))
    assert place == ("domains", "photos", "broken")
    assert "'refuse' or 'skip'" in message


def test_too_many_images_per_class_are_counted_after_the_test_set_is_taken(tmp_path):
    root = fill(tmp_path / "root", per_class=6)
    asked = experiment(tmp_path, root)
    scenario = asked.scenarios["small_similar"]
    assert preflight(asked, None) == [
        (
            ("scenarios", "small_similar", "per_class"),
            "photos: 5 images per class asked for, but the smallest class has 4",
        )
    ]
    assert scenario.per_class == 5


def test_a_folder_that_changes_under_a_run_is_noticed(tmp_path):
    root = fill(tmp_path)
    with pytest.raises(DataUnavailable, match="has changed"):
        Folder(16, root=str(root), content="0" * 16)


@pytest.mark.parametrize("fraction", [0, 1, -0.5])
def test_a_test_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises(ValueError, match="test_fraction"):
        Folder(16, root=photos(), test_fraction=fraction)
