"""What a person hands over, read: classes, an order of content alone, and what is refused."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.photos import CLASSES, fill, picture
from transfer_lab.advice.album.album import RefusedError, read_album


def refused(source, **options) -> str:
    with pytest.raises(RefusedError) as caught:
        read_album(source, **options)
    told = str(caught.value)
    assert "\n" not in told and "Error" not in told
    return told


def draw(root, count, names, *, first=0):
    """`<root>/<name>/<n>.png`, no two alike."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(first + 1000 * place + number).save(root / name / f"{number}.png")


def reasons(album) -> dict[str, str]:
    return {album.place(path): reason for path, reason in album.set_aside}


def test_class_folders_are_classes(tmp_path):
    album = read_album(fill(tmp_path, 5))
    assert album.classes == CLASSES and album.per_class == (5, 5, 5)
    assert album.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert album.set_aside == () and album.test == () and album.contradictory == ()


def test_neither_names_nor_places_of_files_change_an_album(tmp_path):
    first = read_album(fill(tmp_path / "a", 6))
    other = tmp_path / "elsewhere" / "b"
    for name in CLASSES:
        for number, path in enumerate(sorted((tmp_path / "a" / name).iterdir(), reverse=True)):
            place = other / name / ("sub" if number % 2 else "") / f"renamed {number}.jpeg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    second = read_album(other)
    assert [p.sha256 for p in first.photos] == [p.sha256 for p in second.photos]
    assert first.labels.tolist() == second.labels.tolist()
    assert first.content_hash == second.content_hash


def test_another_photograph_is_another_content(tmp_path):
    fill(tmp_path, 4)
    before = read_album(tmp_path).content_hash
    picture(77).save(tmp_path / "bay" / "more.png")
    assert read_album(tmp_path).content_hash != before


def test_of_a_train_and_a_test_part_train_is_learnt_from(tmp_path):
    fill(tmp_path / "train", 6)
    fill(tmp_path / "Test", 2, (*CLASSES, "unknown"))
    album = read_album(tmp_path)
    assert len(album.photos) == 18 and album.classes == CLASSES
    assert len(album.test) == 6 and {p.path.parts[-3] for p in album.test} == {"Test"}
    assert set(reasons(album).values()) == {"class unknown is not in train"}


def test_a_test_part_alone_is_asked_back(tmp_path):
    fill(tmp_path / "test", 4)
    fill(tmp_path / "val", 4)
    assert "no train beside it" in refused(tmp_path)


def test_a_folder_around_the_classes_is_entered(tmp_path):
    fill(tmp_path / "my photos", 4)
    assert read_album(tmp_path).classes == CLASSES


def test_hidden_and_foreign_files_are_passed_over_and_films_are_named(tmp_path):
    fill(tmp_path, 4)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        fill(tmp_path / name, 1, ("x",))
    (tmp_path / "bay" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "bay" / "IMG_1.HEIC").write_bytes(b"x")
    (tmp_path / "bay" / "a.mov").write_bytes(b"x")
    (tmp_path / "nothing").mkdir()
    picture(5).save(tmp_path / "loose.png")
    album = read_album(tmp_path)
    assert album.classes == CLASSES and len(album.photos) == 12
    assert reasons(album) == {
        "bay/IMG_1.HEIC": "HEIC photographs are not read; export them as JPEG",
        "bay/a.mov": "a film, and no photograph",
        "nothing": "an empty class folder",
        "loose.png": "in no class folder",
    }


def test_a_link_to_a_folder_is_not_followed_and_one_to_a_file_is(tmp_path):
    fill(tmp_path / "a", 4)
    fill(tmp_path / "far", 1, ("more",))
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a", target_is_directory=True)
    picture(321).save(tmp_path / "far.png")
    (tmp_path / "a" / "bay" / "link.png").symlink_to(tmp_path / "far.png")
    album = read_album(tmp_path / "a")
    assert album.per_class == (5, 4, 4)
    assert reasons(album) == {"loop": "a link to a folder, which is not followed"}


def test_the_same_file_in_two_classes_is_left_out_and_named(tmp_path):
    fill(tmp_path, 5)
    shutil.copy(tmp_path / "bay" / "0.jpg", tmp_path / "city" / "again.jpg")
    album = read_album(tmp_path)
    assert album.per_class == (4, 5, 5)
    ((first, second),) = album.contradictory
    assert {album.place(first), album.place(second)} == {"bay/0.jpg", "city/again.jpg"}


def test_copies_within_a_class_stay(tmp_path):
    fill(tmp_path, 5)
    shutil.copy(tmp_path / "bay" / "0.jpg", tmp_path / "bay" / "again.jpg")
    assert read_album(tmp_path).per_class == (6, 5, 5)


@pytest.mark.parametrize("name", ["photos.zip", "photo.jpg", "nowhere"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    if name != "nowhere":
        (tmp_path / name).write_bytes(b"x")
    told = {"photos.zip": "unpack it", "photo.jpg": "neither", "nowhere": "is not there"}
    assert told[name] in refused(tmp_path / name)


def test_a_folder_of_photographs_without_classes_is_told_both_ways_out(tmp_path):
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")
    told = refused(tmp_path)
    assert "3 photographs lie directly in it" in told
    assert "one folder for each class" in told and "labels.csv" in told


def test_a_folder_of_what_cannot_be_read_names_the_kind(tmp_path):
    (tmp_path / "oak").mkdir()
    for number in range(3):
        (tmp_path / f"{number}.heic").write_bytes(b"x")
        (tmp_path / "oak" / f"{number}.heic").write_bytes(b"x")
    assert "export them as JPEG" in refused(tmp_path)


def test_classes_of_one_photograph_are_named(tmp_path):
    draw(tmp_path, 6, CLASSES)
    draw(tmp_path, 1, ("rare",), first=50)
    for copy in range(4):
        (tmp_path / "copies").mkdir(exist_ok=True)
        picture(99).save(tmp_path / "copies" / f"{copy}.png")
    told = refused(tmp_path)
    assert "rare (one photograph)" in told and "copies (4 copies of one)" in told
    assert "take the class out" in told


def test_a_thousand_classes_of_one_photograph_are_refused_in_one_sentence(tmp_path):
    fill(tmp_path, 1, tuple(f"{n:04}" for n in range(1000)))
    told = refused(tmp_path)
    assert "1000 classes with one photograph each" in told and len(told) < 300


def test_folders_in_folders_are_asked_back_unless_they_are_groups(tmp_path):
    draw(tmp_path / "oak", 3, ("2023", "2024"))
    draw(tmp_path / "beech", 3, ("2023", "2024"), first=50)
    told = refused(tmp_path)
    assert "(beech, oak)" in told and "(2023, 2024)" in told and "--group-by folder" in told
    assert read_album(tmp_path, nested=True).per_class == (6, 6)


def test_folders_in_folders_of_different_names_belong_to_the_outer_class(tmp_path):
    draw(tmp_path / "oak", 3, ("park",))
    draw(tmp_path / "beech", 3, ("wood",), first=50)
    assert read_album(tmp_path).classes == ("beech", "oak")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    fill(tmp_path, 4)
    (tmp_path / "bay" / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name in ("locked", "all locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    ((place, reason),) = reasons(read_album(tmp_path)).items()
    assert place == "bay/locked" and "Permission denied" in reason
    (tmp_path / "all locked").mkdir()
    assert "Permission denied" in refused(tmp_path / "all locked")


def test_a_file_that_may_not_be_read_is_set_aside(tmp_path, monkeypatch):
    fill(tmp_path, 4)
    real = Path.open

    def opened(path, *args, **options):
        if path.name == "0.jpg" and path.parent.name == "bay":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    album = read_album(tmp_path)
    assert album.per_class == (3, 4, 4)
    assert reasons(album) == {"bay/0.jpg": "cannot be read (Permission denied)"}


def test_files_that_turn_out_broken_may_leave_too_few(tmp_path):
    album = read_album(fill(tmp_path, 3))
    broken = [(photo.path, "torn") for photo in album.photos[:2]]
    with pytest.raises(RefusedError, match=r"bay \(one photograph\); 2 files cannot be read"):
        album.without(broken)
    left = album.without(broken[:1])
    assert left.per_class == (2, 3, 3) and left.set_aside[0][1] == "cannot be read (torn)"
