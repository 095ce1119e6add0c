"""The page of an advice as a file: what it shows, what it says nothing of, and names that are
code."""

import csv
import io
import json
import re

import pytest

from tests.advice.invented import TREES, advice, answers, content, draw, files
from transfer_lab.advice import folder
from transfer_lab.advice.page.sheets import Shot, confusion, sheets

COMMAND = "transfer-lab train photos -o model/"
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'


def shots() -> list[Shot]:
    return [Shot(f, int(a), int(b)) for f, a, b in zip(files(), *answers(), strict=True)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def written(root):
    return folder.write(advice(), shots(), root, root / "advice", COMMAND)


def test_it_begins_with_the_number_and_its_range(written):
    text = written.read_text()
    head = text[text.index("<main>") : text.index("What to do")]
    assert "<strong>86</strong><span>of 100 new photos right</span>" in head
    assert "--low: 82.00; --high: 89.00; --mean: 86.00" in head
    assert "guessing: 19" in head
    assert "not for another camera, place or season" in head


def test_every_cell_that_holds_photographs_opens_them(written):
    text, found = written.read_text(), advice()
    filled = {(i, j) for i, row in enumerate(found.confusion) for j, n in enumerate(row) if n}
    links = set(re.findall(r'href="#cell-(\d+)-(\d+)"', text))
    opened = set(re.findall(r'id="cell-(\d+)-(\d+)"', text))
    assert links == opened == {(str(i), str(j)) for i, j in filled}
    oak = text[text.index('id="cell-6-1"') :]
    oak = oak[: oak.index("</section>")]
    assert oak.count("<img ") == found.confusion[6][1] == 17
    assert 'href="./../oak/' in oak


def test_it_asks_nobody_and_runs_nothing(written):
    text = written.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "<script" not in text
    assert set(re.findall(r'src="([a-z]+:)', text)) == {"data:"}
    assert "url(" not in text and "@import" not in text and "http:" not in text


def test_a_sheet_for_each_flag_that_names_photographs(root):
    titles = [sheet.title for sheet in sheets(advice(), shots())]
    assert titles == [
        "May be in the wrong folder",
        "Near-copies",
        "Alike, but in different folders",
        "Unlike the rest",
        "Could not be read",
    ]
    (suspects, *_) = sheets(advice(), [Shot("oak/0.jpg", 6, 1)])
    assert suspects.groups[0][0].caption == "in oak; looks like beech"


def test_a_flag_of_a_kind_that_is_not_known_is_shown_by_its_text():
    found = advice(flags=[{"kind": "blurred", "text": "7 are blurred", "paths": [("ash/0.jpg",)]}])
    assert [sheet.title for sheet in sheets(found, [])] == ["7 are blurred"]


def test_many_photographs_are_shown_in_part_and_listed_in_full(root, tmp_path):
    many = [(path,) for path in files()]
    found = advice(flags=[{"kind": "unlike_the_rest", "text": "412 are", "paths": many}])
    (sheet,) = sheets(found, shots())
    assert len(sheet.groups) + sheet.left_out == len(many) > len(sheet.groups)
    assert len(folder.to_check(found, shots()).splitlines()) == len(many) + 1


def test_the_table_names_class_and_answer_of_what_should_be_checked(written):
    rows = list(csv.DictReader(io.StringIO((written.parent / "to-check.csv").read_text())))
    assert len(rows) == 15
    copies = [row for row in rows if row["what"] == "near_copies"]
    assert [row["group"] for row in copies] == ["1", "1", "1", "2", "2"]
    assert rows[0]["class"] == "oak" and rows[0]["looks_like"] in TREES
    assert rows[-1] == {
        "what": "unreadable",
        "group": "2",
        "file": "pine/scan.tif",
        "class": "",
        "looks_like": "",
        "note": "2 unreadable",
    }


def test_json_is_the_advice_and_is_read_again(written):
    assert folder.read(written.parent) == advice()
    assert json.loads((written.parent / "advice.json").read_text())["schema"] == 1
    assert folder.read(written.parent / "nowhere") is None
    (written.parent / "advice.json").write_text("{}")
    assert folder.read(written.parent) is None


def test_names_of_classes_and_files_stay_text(root, tmp_path):
    found = content()
    names = (HOSTILE, "=1+1", *TREES[2:])
    found["data"] |= {"classes": names, "root": HOSTILE, "unreadable": (HOSTILE,)}
    found["per_class"][0] |= {"name": HOSTILE}
    found["flags"] = [{"kind": HOSTILE, "text": HOSTILE, "paths": [(HOSTILE,), ("=2+2",)]}]
    found["promise"] |= {"protocol": HOSTILE}
    keys = ("data", "per_class", "flags", "promise")
    found = advice(**{key: found[key] for key in keys})
    page = folder.write(found, shots(), root, tmp_path, f"transfer-lab {HOSTILE}")
    text = page.read_text()
    assert "<script" not in text and "onerror=alert(2)>" not in text and "{{ 7" in text
    rows = list(csv.reader((tmp_path / "to-check.csv").open()))
    assert not any(value.startswith("=") for row in rows for value in row)


def test_names_that_are_no_text_are_written_all_the_same(root, tmp_path):
    found = content()
    found["flags"] = [{"kind": "unlike_the_rest", "text": "1 is", "paths": [("ash/\udcff.jpg",)]}]
    page = folder.write(advice(flags=found["flags"]), shots(), root, tmp_path, COMMAND)
    assert "./" in page.read_text()


def test_of_many_classes_the_pairs_confused_most_are_listed():
    names = tuple(f"class {n}" for n in range(40))
    found = content()
    found["data"] |= {"classes": names, "per_class": [10] * 40}
    counts = [[0] * 40 for _ in names]
    for i in range(40):
        counts[i][i], counts[i][(i + 1) % 40] = 10 - i % 5, i % 5
    found = advice(data=found["data"], confusion=counts)
    matrix = confusion(found, [])
    assert matrix.rows == () and len(matrix.mistakes) == 20
    assert [cell.total for cell in matrix.mistakes] == sorted(
        (cell.total for cell in matrix.mistakes), reverse=True
    )
    assert matrix.mistakes[0].title == "4 photos of “class 4” were named “class 5”"


def test_without_a_promise_no_number_is_large(root, tmp_path):
    reasons = [{"question": "promise", "reason": "elm has four photos"}]
    found = advice(promise=None, more_images=[], abstentions=reasons)
    text = folder.write(found, shots(), root, tmp_path, COMMAND).read_text()
    assert "of 100 new photos right" not in text
    assert "elm has four photos" in text and "If you add photos" not in text


def test_without_advice_there_is_nothing_to_do_next(root, tmp_path):
    reasons = [{"question": "recommendation", "reason": "no better than guessing"}]
    found = advice(
        recommendation=None, promise=None, more_images=[], alternatives=[], abstentions=reasons
    )
    text = folder.write(found, shots(), root, tmp_path, COMMAND).read_text()
    assert "No advice from these photos" in text and "no better than guessing" in text
    assert COMMAND not in text and "What to do</h2>" not in text
