"""What `advise` prints, writes and returns, whatever the advice says and wherever it is printed."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.advice.invented import TREES, advice, answers, content, draw, files
from tests.builders import ENVIRONMENT
from transfer_lab.advice import advise as looking
from transfer_lab.advice import folder
from transfer_lab.advice.advice import Advice
from transfer_lab.advice.album.album import Album, Photo
from transfer_lab.advice.album.handed_over import RefusedError
from transfer_lab.advice.promise.resampling import OutOfFold
from transfer_lab.cli import app as cli

ESCAPE = "\x1b]0;title\x07\x1b[31m[bold]oak[/]\u202e"
NO_ADVICE = {
    "recommendation": None,
    "promise": None,
    "cost": None,
    "more_images": [],
    "alternatives": [],
    "abstentions": [{"question": "recommendation", "reason": "no better than guessing"}],
}


def call(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["transfer-lab", *words])
        cli.main()
    return ended.value.code or 0


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def given(photos, tmp_path, monkeypatch):
    """Lets `advise` find what is given instead of looking; returns what it was asked."""
    monkeypatch.chdir(tmp_path)
    asked = {}

    def give(found=None, failure: BaseException | None = None):
        labels, named = answers()
        album = Album(
            photos,
            TREES,
            tuple(Photo(photos / f, TREES[y], "") for f, y in zip(files(), labels, strict=True)),
        )
        oof = OutOfFold(np.eye(len(TREES))[named][None])
        session = SimpleNamespace(advice=found or advice(), album=album, oof=oof, network=None)

        def look(source, **how):
            asked.update(how, source=source)
            if failure is not None:
                raise failure
            how["listen"].step("looking at your photos", 3.0)
            how["listen"].done("looking at your photos", 2.5)
            return session

        monkeypatch.setattr(looking, "advise", look)
        return asked

    return give


def test_it_prints_the_advice_and_writes_the_folder(given, photos, tmp_path, capsys):
    given()
    assert call("advise", str(photos)) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith(" 412 photos, 9 classes (31 to 80 each).")
    assert " EXPECT       86 of 100 new photos right, likely 82 to 89" in lines
    assert lines[-1] == f" next:        transfer-lab train {photos} -o model/"
    assert "-> advice/index.html" in out
    assert max(map(len, lines)) <= 101
    assert "looking at your photos ... about 3 s" in err
    written = {path.name for path in (tmp_path / "advice").iterdir()}
    assert written == {"index.html", "advice.json", "to-check.csv"}


def test_options_reach_the_advice(given, photos, tmp_path):
    asked = given()
    words = ["--backbone", "lite1", "--budget", "90s", "--group-by", "folder", "--seed", "3"]
    assert call("advise", str(photos), *words, "--cache", "kept", "--out", "told") == 0
    wanted = {"backbone": "lite1", "group_by": "folder", "seed": 3}
    assert wanted.items() <= asked.items() and asked["cache"].name == "kept"
    assert (tmp_path / "told" / "index.html").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("45", 45), ("1.5M", 90)]
)
def test_a_budget_is_written_as_people_do(given, photos, text, seconds):
    asked = given()
    assert call("advise", str(photos), "--budget", text) == 0
    assert 0 <= seconds - asked["budget"] < 20  # starting counts


@pytest.mark.parametrize("text", ["soon", "5 minutes", "-3m", "0", "nan", "infm"])
def test_another_budget_is_refused(given, photos, text, capsys):
    given()
    assert call("advise", str(photos), f"--budget={text}") == 2
    assert "is no time" in capsys.readouterr().err


def test_json_alone_goes_to_standard_output(given, photos, capsys):
    given()
    assert call("advise", str(photos), "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(
        json.dumps(advice().model_dump(by_alias=True))
    )


def test_the_file_has_a_key_a_line_however_many_classes_there_are():
    text = folder.to_json(advice())
    assert len(text.splitlines()) == len(advice().model_dump()) + 2
    assert Advice.model_validate_json(text) == advice()


def test_without_advice_the_code_is_three_and_the_page_is_written(given, photos, tmp_path, capsys):
    given(advice(**NO_ADVICE))
    assert call("advise", str(photos)) == 3
    out = capsys.readouterr().out
    assert "NO ADVICE    no better than guessing" in out and "transfer-lab train" not in out
    assert "no better than guessing" in (tmp_path / "advice" / "index.html").read_text()


def test_a_refusal_is_a_sentence_and_leaves_nothing(given, photos, tmp_path, capsys):
    given(failure=RefusedError(f"{ESCAPE}: there is one class; add another"))
    assert call("advise", str(photos)) == 2
    out, err = capsys.readouterr()
    assert "there is one class; add another" in err and "Traceback" not in err
    assert out == "" and not {"\x1b", "\x07", "\u202e"} & set(err)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_what_is_kept(given, photos, capsys):
    given(failure=KeyboardInterrupt())
    assert call("advise", str(photos)) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_a_full_disk_is_a_sentence(given, photos, monkeypatch, capsys):
    given()
    full = OSError(errno.ENOSPC, "No space left on device", "advice/index.html")

    def write(*_):
        raise full

    monkeypatch.setattr("transfer_lab.advice.folder.write_atomically", write)
    assert call("advise", str(photos)) == 2
    assert "No space left on device; free some room" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_refused_before_the_work(given, photos, tmp_path, capsys):
    asked = given()
    tmp_path.chmod(0o500)
    assert call("advise", str(photos)) == 2
    tmp_path.chmod(0o700)
    assert "cannot write there" in capsys.readouterr().err and asked == {}


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work(
    given, photos, tmp_path, capsys
):
    asked = given()
    (tmp_path / "advice").write_text("mine")
    assert call("advise", str(photos)) == 2
    assert "choose another" in capsys.readouterr().err and asked == {}
    assert (tmp_path / "advice").read_text() == "mine"


def test_names_never_steer_the_terminal(given, photos, capsys):
    found = content()
    found["data"] |= {"classes": (*TREES[:6], ESCAPE, *TREES[7:]), "root": ESCAPE}
    found["per_class"][6] |= {"name": ESCAPE, "taken_for": ESCAPE}
    found["flags"] = [{"kind": "label_suspects", "text": ESCAPE, "paths": [(ESCAPE,)]}]
    given(advice(**{key: found[key] for key in ("data", "per_class", "flags")}))
    assert call("advise", str(photos)) == 0
    out, err = capsys.readouterr()
    assert "[bold]oak[/]" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_that_does_not_know_all_letters_gets_the_rest(
    given, photos, monkeypatch, encoding
):
    found = content()
    found["per_class"][6] |= {"name": "дуб"}
    given(advice(per_class=found["per_class"]))
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, write_through=True))
    assert call("advise", str(photos)) == 0
    assert b'WEAKEST      "???" 61 of 100, taken for "beech"' in raw.getvalue()
    assert call("advise", str(photos), "--json") == 0
    assert b'"name": "???"' in raw.getvalue()


def test_a_reader_who_leaves_is_no_error(photos, tmp_path):
    command = f"{sys.executable} -m transfer_lab advise --help | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_the_wheel_brings_what_the_page_is_made_of():
    folder = shutil.os.path.dirname(looking.__file__)
    assert {"advice.css", "advice.html.jinja"} <= set(os.listdir(os.path.join(folder, "page")))


# Help


def test_help_starts_with_photographs(capsys):
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert text.index("transfer-lab advise photos/") < text.index("The grid measures it")
    assert text.index("From photos to a model") < text.index("regimes measured and compared")


@pytest.mark.parametrize("command", ["advise", "train", "predict", "try"])
def test_help_speaks_no_jargon(command, capsys):
    assert call(command, "--help") == 0
    text = capsys.readouterr().out.lower()
    for word in ("logit", "epoch", "hyperparameter", "embedding", "softmax", "yaml", "fine-tun"):
        assert word not in text


def test_commands_start_without_torch(tmp_path):
    code = (
        "import sys\nsys.argv = ['transfer-lab', 'predict', 'nowhere', 'x.jpg']\n"
        "from transfer_lab.cli.app import main\n"
        "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "False"], done.stderr
    assert "nowhere: no such folder" in done.stderr
