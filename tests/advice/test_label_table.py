"""Photographs by a table of files and labels."""

import shutil

import pytest

from tests.photos import picture
from transfer_lab.advice.album.album import RefusedError, read_album

ROWS = [("a.png", "oak"), ("b.png", "oak"), ("sub/c.png", "beech"), ("sub/d.png", "beech")]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "sub").mkdir()
    for number, (name, _) in enumerate(ROWS):
        picture(number).save(tmp_path / name)
    return tmp_path


def write(place, lines, name="labels.csv", encoding="utf-8"):
    (place / name).write_bytes("\n".join(lines).encode(encoding))
    return place / name


def lines(separator=",", header="file,label", rows=ROWS):
    return [header, *(separator.join(row) for row in rows)]


def refused(source) -> str:
    with pytest.raises(RefusedError) as caught:
        read_album(source)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        lines(),
        lines(";", "file;label"),
        lines("\t", "Filename\tClass"),
        ["label,weight,file", *(f"{label},1,{file}" for file, label in ROWS)],
        [*lines(), "", ",,"],
        [line + "\r" for line in lines()],
    ],
    ids=["plain", "semicolons", "tabs", "other columns", "empty lines", "of Windows"],
)
def test_a_table_says_which_photograph_is_of_which_class(place, content):
    album = read_album(write(place, content))
    assert album.classes == ("beech", "oak") and album.per_class == (2, 2)
    assert {album.place(p.path) for p in album.photos} == {name for name, _ in ROWS}


def test_a_byte_order_mark_is_no_part_of_a_column(place):
    assert read_album(write(place, lines(), encoding="utf-8-sig")).per_class == (2, 2)


def test_a_table_in_a_folder_without_classes_is_found(place):
    write(place, lines(rows=[(n.removeprefix("sub/"), label) for n, label in ROWS]))
    for path in (place / "sub").iterdir():
        path.rename(place / path.name)
    (place / "sub").rmdir()
    assert read_album(place).per_class == (2, 2)


def test_a_table_and_folders_give_the_same_album(place):
    for name, label in ROWS:
        copy = place / "folders" / label / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / name, copy)
    by_table = read_album(write(place, lines()))
    assert by_table.content_hash == read_album(place / "folders").content_hash


def test_rows_without_a_file_or_a_label_are_set_aside(place):
    rows = [*ROWS, ("gone.png", "oak"), ("a.png", ""), ("", "oak"), ("x.heic", "oak")]
    (place / "x.heic").write_bytes(b"x")
    album = read_album(write(place, lines(rows=rows)))
    assert album.per_class == (2, 2)
    told = {album.place(path): reason for path, reason in album.set_aside}
    assert told["gone.png"] == "named in labels.csv, and not there"
    assert told["a.png"] == "no label in line 7 of labels.csv"
    assert told["labels.csv"] == "line 8 names no file"
    assert "JPEG" in told["x.heic"]


def test_a_file_with_two_labels_is_left_out(place):
    picture(9).save(place / "e.png")
    rows = [*ROWS, ("e.png", "oak"), ("a.png", "beech"), ("e.png", "oak")]
    album = read_album(write(place, lines(rows=rows)))
    assert album.per_class == (2, 2) and len(album.contradictory) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "begin with the line file,label"),
        (["a,b", "1,2"], "has no column file, only a, b"),
        (["file,b", "1,2"], "has no column label"),
        (["file,label", "no.png,oak"], "none of its 1 lines"),
        (["file,label", "a.png,oak", "b.png,oak"], "one class, oak"),
        (["file,label", "a.png,3.5", "b.png,4.5"], "2 classes with one photograph each"),
    ],
)
def test_other_tables_are_refused_with_what_they_should_be(place, content, told):
    assert told in refused(write(place, content))


def test_a_table_that_is_no_text_is_refused(place):
    (place / "labels.csv").write_bytes(b"\xff\xfe\x00\x81")
    assert "cannot be read as a table in UTF-8" in refused(place / "labels.csv")
