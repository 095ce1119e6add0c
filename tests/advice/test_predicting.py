"""Answers to files and folders: tables, CSV, JSON, sorted copies."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.advice.trained import fitted
from tests.photos import CLASSES, every_kind, picture
from transfer_lab.advice import predicting
from transfer_lab.advice.album.album import RefusedError
from transfer_lab.advice.model.loading import Answer, load_model
from transfer_lab.advice.model.saving import save
from transfer_lab.advice.predicting import (
    find_photos,
    predict_table,
    sort_into,
    write_csv,
    write_json,
)

pytest.importorskip("timm")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    save(fitted(), folder, formats=["onnx"])
    return load_model(folder)


@pytest.fixture
def photos(tmp_path):
    """Four good ones in two folders, a hidden one, a note, and one that is broken."""
    root = tmp_path / "new"
    (root / "deep" / ".hidden").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.PNG", "deep/a.jpg", "deep/c.webp")):
        picture(number).save(root / name)
    picture(9).save(root / "deep" / ".hidden" / "z.jpg")
    (root / ".thumb.jpg").write_bytes(b"x")
    (root / "notes.txt").write_text("no photograph")
    (root / "broken.jpg").write_bytes((root / "a.jpg").read_bytes()[:200])
    return root


def test_a_row_a_file_in_order_and_a_bad_file_is_a_row(model, photos):
    found = find_photos([photos])
    names = [path.relative_to(photos).as_posix() for path in found]
    assert names == ["a.jpg", "b.PNG", "broken.jpg", "deep/a.jpg", "deep/c.webp"]
    table = predict_table(model, found)
    assert list(table.columns) == list(predicting.COLUMNS)
    assert table["path"].to_list() == [str(path) for path in found]
    good = table[table["error"].isna()]
    assert set(good["class"]) <= set(CLASSES) and len(good) == 4
    assert ((good["probability"] > 1 / 3) & (good["probability"] <= 1)).all()
    for _, row in good.iterrows():
        shares = [row["probability"], *(share for _, share in row["alternatives"])]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)
        assert {row["class"], *(name for name, _ in row["alternatives"])} == set(CLASSES)
    (bad,) = table[table["error"].notna()].to_dict("records")
    assert bad["class"] is None and np.isnan(bad["probability"]) and bad["unfamiliar"] is None
    assert bad["error"] and str(photos) not in bad["error"]


def test_the_answer_to_a_photograph_does_not_depend_on_what_else_is_asked(model, tmp_path):
    kinds = every_kind(tmp_path)
    together = model.predict(kinds)
    for place in (0, 5, len(kinds) - 1):
        (alone,) = model.predict([kinds[place]]).to_dict("records")
        assert alone == together.iloc[place].to_dict()


def test_so_many_classes_as_are_asked_for(model, photos):
    table = model.predict([photos / "a.jpg"], top=2)
    assert len(table["alternatives"][0]) == 1
    assert model.predict([photos / "a.jpg"], top=1)["alternatives"][0] == ()
    assert len(model.predict([photos / "a.jpg"], top=99)["alternatives"][0]) == 2
    with pytest.raises(ValueError, match="top"):
        model.predict([photos / "a.jpg"], top=0)


def test_nothing_asked_is_an_empty_table(model):
    table = model.predict([])
    assert list(table.columns) == list(predicting.COLUMNS) and len(table) == 0


def test_files_folders_and_lines_of_the_standard_input(photos):
    lines = io.StringIO(f"{photos / 'b.PNG'}\n\n{photos / 'with space.jpg'}\r\n")
    found = find_photos([photos / "notes.txt", "-", photos / "deep", photos / "b.PNG"], lines)
    names = [path.relative_to(photos).as_posix() for path in found]
    assert names == ["notes.txt", "b.PNG", "with space.jpg", "deep/a.jpg", "deep/c.webp"]


def test_a_folder_without_photographs_and_nothing_at_all_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(RefusedError, match="no photographs in this folder"):
        find_photos([tmp_path])
    with pytest.raises(RefusedError, match="name files or a folder"):
        find_photos([])


def test_what_is_named_and_is_not_there_is_a_row(model, tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    table = model.predict([tmp_path / "gone.jpg", tmp_path / "folder.jpg"])
    assert table["error"].to_list() == ["there is no such file", "is a folder"]


def test_csv_is_read_back(model, photos):
    found, into = find_photos([photos]), io.StringIO()
    assert write_csv(model.answers(found), into) == 5
    rows = list(csv.DictReader(io.StringIO(into.getvalue())))
    table = predict_table(model, found)
    for row, (_, known) in zip(rows, table.iterrows(), strict=True):
        assert row["path"] == known["path"] and row["class"] == (known["class"] or "")
        if known["error"]:
            assert row["probability"] == "" and row["unfamiliar"] == "" and row["error"]
        else:
            assert float(row["probability"]) == pytest.approx(known["probability"], abs=1e-4)
            assert row["unfamiliar"] in ("true", "false") and row["error"] == ""
            assert row["alternatives"].count(";") == 1


def test_json_is_read_back(model, photos):
    found, into = find_photos([photos]), io.StringIO()
    assert write_json(model.answers(found), into) == 5
    rows = json.loads(into.getvalue())
    assert [row["path"] for row in rows] == [str(path) for path in found]
    assert [row["error"] is not None for row in rows] == [False, False, True, False, False]
    assert rows[2]["probability"] is None
    assert sum(one["probability"] for one in [rows[0], *rows[0]["alternatives"]]) == pytest.approx(
        1
    )
    empty = io.StringIO()
    assert write_json(iter(()), empty) == 0 and json.loads(empty.getvalue()) == []


def test_a_name_that_is_no_text_is_written_all_the_same(model, photos):
    path = predicting.Path(str(photos) + "/\udcff.jpg")
    path.write_bytes((photos / "a.jpg").read_bytes())
    for write in (write_csv, write_json):
        into = io.StringIO()
        write(model.answers([path]), into)
        assert "\\udcff.jpg" in into.getvalue().encode().decode().replace("\\\\", "\\")


def test_photographs_are_copied_into_folders_and_never_moved_or_overwritten(
    model, photos, tmp_path
):
    into, found = tmp_path / "sorted", find_photos([photos])
    before = {path: path.read_bytes() for path in found}
    answers = list(sort_into(model.answers(found), into))
    assert {path: path.read_bytes() for path in found} == before

    def placed():
        return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*.*")}

    for answer in answers:
        if answer.error is None:
            copies = [c for n, c in placed().items() if answer.label in n.split("/")]
            assert before[predicting.Path(answer.path)] in copies
    first = placed()
    assert len(first) == 4
    list(sort_into(model.answers(found), into))
    assert placed() == first, "a second time copies nothing"


def answered(path, label, unfamiliar=False):
    return Answer(str(path), label, 0.9, (), unfamiliar, None)


def test_another_file_of_the_same_name_gets_a_number(photos, tmp_path):
    pair = [photos / "a.jpg", photos / "deep" / "a.jpg"]
    list(sort_into([answered(path, "bay") for path in pair], tmp_path / "s"))
    assert (tmp_path / "s/bay/a.jpg").read_bytes() == pair[0].read_bytes()
    assert (tmp_path / "s/bay/a-2.jpg").read_bytes() == pair[1].read_bytes()
    assert sorted(p.name for p in (tmp_path / "s/bay").iterdir()) == ["a-2.jpg", "a.jpg"]


def test_what_is_unfamiliar_lies_apart(photos, tmp_path):
    list(sort_into([answered(photos / "a.jpg", "bay", True)], tmp_path / "s"))
    assert (tmp_path / "s/_unfamiliar/bay/a.jpg").exists()


@pytest.mark.parametrize("label", ["../../out", "..", "/etc", "a/b", "", "_unfamiliar"])
def test_no_class_leads_out_of_the_folder(label, photos, tmp_path):
    list(sort_into([answered(photos / "a.jpg", label)], tmp_path / "s"))
    (copy,) = (tmp_path / "s").rglob("a.jpg")
    assert copy.parent.parent == tmp_path / "s"
    assert not (tmp_path / "out").exists()


def test_a_copy_that_fails_is_told_in_its_row_and_leaves_nothing(photos, tmp_path, monkeypatch):
    def full(source, to):
        to.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predicting.shutil, "copy2", full)
    (answer,) = sort_into([answered(photos / "a.jpg", "bay")], tmp_path / "s")
    assert answer.error == "not copied (No space left on device)"
    assert [p for p in (tmp_path / "s").rglob("*") if p.is_file()] == []


def test_a_folder_that_cannot_be_made_is_refused_at_once(photos):
    with pytest.raises(RefusedError, match="another folder"):
        sort_into([answered(photos / "a.jpg", "bay")], photos / "notes.txt" / "s")


def test_predicting_loads_neither_torch_nor_pandas_to_write_csv(model, photos):
    code = (
        "import sys, io\n"
        "from transfer_lab.advice.model.loading import load_model\n"
        "from transfer_lab.advice.predicting import find_photos, write_csv\n"
        f"model = load_model({str(model.folder)!r})\n"
        f"write_csv(model.answers(find_photos([{str(photos)!r}])), io.StringIO())\n"
        "print({'torch', 'pandas', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
