"""No text of others moves the cursor of whoever reads it, on a terminal, in records.csv or in a
report; and a stream that is gone is no error."""

from __future__ import annotations

import io
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import ENVIRONMENT, failed, tiny_run
from tests.photos import fill
from transfer_lab.advice.model.card import Origin, kept_card_content
from transfer_lab.advice.model.manifest import Manifest
from transfer_lab.cli.inspect import inspect
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.reporting.blocks import Section
from transfer_lab.reporting.render.csv import to_csv
from transfer_lab.reporting.render.html import to_html
from transfer_lab.reporting.report import _encoded
from transfer_lab.system.image_folder import list_files
from transfer_lab.system.output import LastingStream, plain

EVIL = {
    "colour": "a\x1b[31mb",
    "title": "a\x1b]0;owned\x07b",
    "link": "a\x1b]8;;http://x\x1b\\b",
    "clear": "a\x1b[2J\x1b[Hb",
    "bell": "a\x07b",
    "return": "a\rb",
    "back": "a\x08b",
    "C1": "a\x9b31mb",
    "right to left": "a\u202eb",
    "isolate": "a\u2067b",
    "null": "a\x00b",
    "cut off": "ab\x1b[",
    "alone": "ab\x1b",
}


@pytest.mark.parametrize("kind", EVIL)
def test_what_a_terminal_obeys_is_left_out(kind):
    assert plain(EVIL[kind]) == "ab"


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys_and_nothing_else_is_lost(text):
    cleaned = plain(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in cleaned)
    assert plain(cleaned) == cleaned
    if text.isprintable():
        assert cleaned == text


def test_class_names_reach_no_terminal_as_they_are(tmp_path, capsys):
    fill(tmp_path, classes=("a\x1b[31mred", "b\x1b]0;owned\x07"))
    assert list_files(tmp_path).classes[0] == "a\x1b[31mred"
    inspect(str(tmp_path))
    out = capsys.readouterr().out
    assert "ared" in out and "\x1b" not in out and "\x07" not in out


def test_refusals_reach_no_terminal_as_they_are(tmp_path, monkeypatch, capsys):
    from transfer_lab.cli import app

    def refuse():
        raise ConfigError(["x\x1b[2Jy"])

    monkeypatch.setattr(app, "app", refuse)
    with pytest.raises(SystemExit):
        app.main()
    assert capsys.readouterr().err == "xy\n"


def test_an_error_is_stored_without_them():
    record = failed(tiny_run(), "no \x1b[31mfile\x1b[0m\x07")
    assert record.error == "no file"


def test_records_csv_holds_none(tmp_path):
    frame = pd.DataFrame(
        {"error": [EVIL["title"], "\x1b[0m=1+1", "line\nline"], "n_test": [1, 2, 3]}
    )
    content = to_csv(frame)
    found = pd.read_csv(io.BytesIO(content))
    assert b"\x1b" not in content and b"\x07" not in content
    assert found["error"].tolist() == ["ab", "'=1+1", "line\nline"]


def test_a_report_holds_none():
    assert _encoded("\n".join(EVIL.values())) == b"\n".join([b"ab"] * len(EVIL))


def test_the_page_may_be_given_no_other_base_and_sends_no_form():
    page = to_html((Section("a report", ()), Section("more", ())), {}, {}, {})
    policy = page.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "base-uri 'none'" in policy and "form-action 'none'" in policy


def test_a_model_card_shows_names_as_they_are():
    words = dict.fromkeys(("experiment", "target", "arm", "run_id", "start", "licence"), "x")
    manifest = Manifest(
        classes=("<img src=x>", "[a](b)", "plain_name"),
        network="mlp",
        backbone={},
        head="head",
        image_size=8,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        files={},
        versions={},
    )
    card = kept_card_content(Origin(**words, found="x", own="x", images=1), manifest).decode()
    assert "&lt;img src=x&gt;, \\[a\\](b), plain_name" in card and "<img" not in card


class Broken(io.StringIO):
    """A stream that takes nothing."""

    encoding = "ascii"

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise OSError("no space left")


def test_a_broken_stream_is_silent():
    stream = LastingStream(Broken())
    print("anything", file=stream, flush=True)
    assert stream.encoding == "ascii" and not stream.isatty()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_what_a_stream_cannot_say_is_replaced(encoding):
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict")
    LastingStream(file).write("Ж ━ µ")
    file.flush()
    assert b"?" in file.buffer.getvalue()


@pytest.mark.parametrize("words", [["--help"], ["experiments"], ["--version"], ["nothing"]])
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "> /dev/full", "2> /dev/full", "| head -0"])
def test_the_command_line_bears_any_stream(words, redirection):
    command = f"{sys.executable} -m transfer_lab {' '.join(words)} {redirection}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (2 if words == ["nothing"] and "head" not in redirection else 0)
