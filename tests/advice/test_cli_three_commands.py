"""From a folder of photographs to a table of answers by three commands, judged on photographs that
no command has seen."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.advice.scenes import FIVE, draw_scenes, has_weights, scene
from tests.advice.test_cli_advise import call
from tests.builders import ENVIRONMENT
from transfer_lab.advice.advice import Advice

pytestmark = has_weights
NEW = 12
"""Photographs a class, never shown to `advise` or `train`."""


def without_challengers(patch: pytest.MonkeyPatch) -> None:
    """The default alone: what else is tried takes minutes and is tested for itself."""
    patch.setattr("transfer_lab.advice.challengers.field.challengers", lambda *_: [])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """150 photographs of five classes, 60 new ones, and what the first two commands make of them;
    no file but photographs is there before."""
    place = tmp_path_factory.mktemp("place")
    draw_scenes(place / "photos", per_class=30)
    draw_scenes(place / "new", per_class=NEW, first=500)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        without_challengers(patch)
        assert call("advise", "photos", "--budget", "30m") == 0
        assert call("train", "photos", "-o", "model") == 0
    return place


@pytest.fixture(autouse=True)
def _there(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    without_challengers(monkeypatch)


@pytest.fixture(scope="module")
def answers(place) -> list[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert call("predict", "model", "new", "-o", "answers.csv") == 0
    return list(csv.DictReader((place / "answers.csv").open()))


def advised(place: Path) -> Advice:
    return Advice.model_validate_json((place / "advice" / "advice.json").read_bytes())


def test_what_was_promised_is_kept_on_photographs_never_seen(place, answers):
    right = [Path(row["path"]).parent.name == row["class"] for row in answers]
    assert len(right) == NEW * len(FIVE)
    promise = advised(place).promise
    # Sixty photographs tell the truth to within 1.6 standard errors of them.
    error = 1.6 * np.sqrt(0.25 / len(right))
    assert promise.low - error <= np.mean(right) <= promise.high + error
    assert promise.majority == pytest.approx(0.2)


def test_probabilities_mean_what_they_say(answers):
    right = np.array([Path(row["path"]).parent.name == row["class"] for row in answers])
    said = np.array([float(row["probability"]) for row in answers])
    assert abs(said.mean() - right.mean()) < 0.12


def test_the_page_shows_the_photographs(place):
    text = (place / "advice" / "index.html").read_text()
    assert "of 100 new photos right" in text and "data:image/webp;base64," in text
    assert 'href="./../photos/' in text


def test_the_model_follows_the_advice_and_carries_it(place):
    kept = Advice.model_validate_json((place / "model" / "advice.json").read_bytes())
    found = advised(place)
    assert kept.promise == found.promise
    assert kept.recommendation.regime == found.recommendation.regime
    assert (place / "model" / "README.md").exists()


def test_a_model_is_replaced_by_force_alone(place, capsys):
    before = (place / "model" / "model.json").stat().st_mtime_ns
    assert call("train", "photos", "-o", "model") == 2
    assert "--force" in capsys.readouterr().err
    assert (place / "model" / "model.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_another_way_than_the_advised_one_is_trained_on_demand(place, capsys):
    words = ["--regime", "last-layer", "--format", "safetensors"]
    assert call("train", "photos", "-o", "other", *words) == 0
    files = {path.name for path in (place / "other").iterdir()}
    assert "model.safetensors" in files and "model.onnx" not in files
    assert "next:" in capsys.readouterr().out
    assert call("predict", "other", "new/coast") == 0


@pytest.mark.slow
def test_advice_on_other_photographs_is_not_followed(place, capsys):
    draw_scenes(place / "others", per_class=8, first=900, names=FIVE[:2])
    assert call("train", "others", "-o", "third") == 0
    kept = Advice.model_validate_json((place / "third" / "advice.json").read_bytes())
    assert kept.data.classes == FIVE[:2]


def test_where_a_folder_lies_and_how_files_are_called_changes_nothing(place, monkeypatch):
    elsewhere = place / "elsewhere"
    for path in sorted((place / "photos").rglob("*.jpg"), reverse=True):
        target = elsewhere / path.parent.name / f"x{path.stat().st_size}-{path.stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert call("advise", "elsewhere", "--out", "again") == 0
    assert call("advise", "photos", "--out", "here") == 0
    again, here = (
        Advice.model_validate_json((place / name / "advice.json").read_bytes())
        for name in ("again", "here")
    )
    assert again.promise == here.promise and again.confusion == here.confusion
    assert again.data.content_hash == here.data.content_hash


# predict


def test_a_table_goes_to_standard_output(place, capsys):
    assert call("predict", "model", "new/coast", "new/forest") == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 2 * NEW and rows[0]["path"] == "new/coast/500.jpg"
    assert f"{2 * NEW} NAMED" in err


def test_json_has_the_same_answers(place, answers, capsys):
    assert call("predict", "model", "new", "--json", "--top", "2") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["class"] for row in rows] == [row["class"] for row in answers]
    assert all(len(row["alternatives"]) == 1 for row in rows)
    assert call("predict", "model", "new", "-o", "answers.json") == 0
    assert len(json.loads((place / "answers.json").read_text())) == len(rows)


def test_a_bad_file_is_a_row_and_not_the_end(place, tmp_path, capsys):
    (tmp_path / "torn.jpg").write_bytes((place / "new/coast/500.jpg").read_bytes()[:400])
    scene("coast", 77).save(tmp_path / "whole.jpg")
    assert call("predict", "model", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    torn, whole = csv.DictReader(io.StringIO(out))
    assert torn["error"] and not torn["class"] and whole["class"] and not whole["error"]
    assert "UNREADABLE" in err
    (tmp_path / "whole.jpg").unlink()
    assert call("predict", "model", str(tmp_path)) == 1


def test_names_come_from_standard_input(place, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("new/coast/500.jpg\nnew/forest/501.jpg\n"))
    assert call("predict", "model", "-") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["path"] for row in rows] == ["new/coast/500.jpg", "new/forest/501.jpg"]


def test_photographs_are_sorted_as_copies(place, answers, tmp_path, capsys):
    assert call("predict", "model", "new", "--sort-into", str(tmp_path / "sorted")) == 0
    copies = list((tmp_path / "sorted").rglob("*.jpg"))
    assert len(copies) == len(answers) == len(list((place / "new").rglob("*.jpg")))
    assert {path.parent.name for path in copies} <= set(FIVE)


def test_a_file_name_never_steers_the_terminal(place, tmp_path, capsys):
    name = "a\x1b]0;title\x07.jpg"
    scene("coast", 78).save(tmp_path / "plain.jpg")
    (tmp_path / "plain.jpg").rename(tmp_path / name)
    (tmp_path / "\x1b[31mtorn.jpg").write_bytes(b"")
    assert call("predict", "model", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert "\\x1b]0;title" in out and not {"\x1b", "\x07"} & set(out + err)


def test_predicting_needs_no_torch_and_survives_a_reader_who_leaves(place):
    pytest.importorskip("onnxruntime")
    code = (
        "import sys\nsys.argv = ['transfer-lab', 'predict', 'model', 'new/coast']\n"
        "from transfer_lab.cli.app import main\n"
        "try: main()\nexcept SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    )
    run = {"cwd": place, "env": ENVIRONMENT, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert done.stderr.splitlines()[-1] == "False", done.stderr
    command = f"{sys.executable} -m transfer_lab predict model new/coast | head -1"
    done = subprocess.run(["bash", "-c", command], **run)
    assert done.stdout.startswith("path,class") and "Traceback" not in done.stderr


def test_what_is_no_model_is_refused(place, tmp_path, capsys):
    assert call("predict", str(tmp_path), "new") == 2
    assert "train" in capsys.readouterr().err
    assert call("predict", "model", "nowhere.jpg") == 1  # a row that says so
    assert call("predict", "model", str(tmp_path)) == 2
    assert "no photographs" in capsys.readouterr().err
    assert call("try", str(tmp_path)) == 2
