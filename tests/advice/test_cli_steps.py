"""What a person sees while an advice is at work, and what is asked before."""

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from tests.photos import fill
from transfer_lab.cli import questions
from transfer_lab.cli import steps as telling
from transfer_lab.cli.steps import Steps

ESCAPE = "\x1b]0;title\x07"


def log() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, highlight=False, markup=False), out


def test_a_log_has_a_line_for_each_step_with_its_time():
    console, out = log()
    with Steps(console) as steps:
        steps.step("looking at your photos", 8.0)
        steps.progress(3, 10)
        steps.done("looking at your photos", 7.31)
    assert out.getvalue().splitlines() == [
        "looking at your photos ... about 8 s",
        "looking at your photos: 7 s",
    ]


def test_a_log_is_told_of_a_long_step_now_and_then(monkeypatch):
    console, out = log()
    monkeypatch.setattr(telling, "_SILENCE", -1.0)
    with Steps(console) as steps:
        steps.step("looking", None)
        steps.progress(1_500, 2_000)
    assert out.getvalue().splitlines()[-1].startswith("looking: 1,500 of 2,000")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_line_moves_in_a_terminal_whatever_letters_it_has(encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="replace", write_through=True)
    console = Console(
        file=stream, force_terminal=True, width=60, markup=False, _environ={"TERM": "xterm"}
    )
    with Steps(console) as steps:
        steps.step(f"looking {ESCAPE}at Übersee", 8.0)
        steps.progress(3, 10)
        time.sleep(0.4)  # the line moves eight times a second
        console.print("a line above")
        steps.done("looking", 2.0)
    shown = raw.getvalue()
    assert b"looking ]0;title at" in shown and b"3 of 10" in shown
    assert b"\x07" not in shown and b"\x1b]0" not in shown


def test_a_name_that_looks_like_markup_stays_text():
    console, out = log()
    with Steps(console) as steps:
        steps.say("[red]oak[/red] [/] could not be tried")
    assert "[red]oak[/red] [/] could not" in out.getvalue()


# Questions


@pytest.fixture
def answer(monkeypatch):
    def set_to(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return set_to


def nested(root: Path) -> Path:
    for name in ("oak", "beech"):
        fill(root / name, 1, ("park", "wood"))
    return root


def dated(root: Path) -> Path:
    fill(root, 6)
    for number, path in enumerate(sorted(root.glob("*/*.jpg"))):
        image = Image.open(path)
        exif = image.getexif()
        exif[0x8769] = {0x9003: f"2026:05:{1 + number % 3:02} 12:00:00"}
        image.save(path, exif=exif)
    return root


def test_nothing_is_asked_of_a_plain_folder(tmp_path, answer):
    answer("")
    console, out = log()
    assert questions.group_by(fill(tmp_path), console, ask=True) is None
    assert out.getvalue() == ""


@pytest.mark.parametrize(("text", "found"), [("\n", "folder"), ("y\n", "folder"), ("n\n", None)])
def test_folders_inside_class_folders_are_asked_about(tmp_path, answer, text, found):
    answer(text)
    console, out = log()
    assert questions.group_by(nested(tmp_path), console, ask=True) == found
    assert "[Y/n]" in out.getvalue()


def test_the_usual_answer_is_taken_without_asking(tmp_path, answer):
    answer("n\n")
    console, out = log()
    assert questions.group_by(nested(tmp_path), console, ask=False) == "folder"
    assert out.getvalue() == ""


def test_parts_are_no_classes_with_folders_inside(tmp_path, answer):
    answer("\n")
    for part in ("train", "test"):
        fill(tmp_path / part, 1)
    assert questions.group_by(tmp_path, log()[0], ask=True) is None


@pytest.mark.parametrize(("text", "found"), [("\n", None), ("y\n", "exif-day")])
def test_several_days_are_asked_about(tmp_path, answer, text, found):
    answer(text)
    console, out = log()
    assert questions.group_by(dated(tmp_path), console, ask=True) == found
    assert "3 days" in out.getvalue()


def test_a_table_or_nothing_is_not_looked_into(tmp_path):
    console, _ = log()
    assert questions.group_by(tmp_path / "labels.csv", console, ask=True) is None


def test_nobody_is_asked_where_nobody_sits(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert not questions.is_terminal()
    os.close(writing)
