"""How the dashboard starts: for this machine alone, and with a clear word where it cannot."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.builders import ENVIRONMENT, TINY_YAML, write_tiny
from tests.reporting.dashboards import fetched
from transfer_lab import ConfigError
from transfer_lab.cli import app as cli
from transfer_lab.reporting.dashboard import launch as module
from transfer_lab.reporting.dashboard.launch import opened


@pytest.fixture
def started(monkeypatch):
    """What the command asks for, in place of serving it."""
    found = []
    monkeypatch.setattr(module, "launch", lambda *a, **k: found.append((a, k)))
    return found


def call(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["transfer-lab", "dashboard", *words])
        cli.main()
    return ended.value.code or 0


def test_the_command_hands_on_what_was_set_and_serves_this_machine_alone(tmp_path, started):
    path = write_tiny(tmp_path)
    assert call(str(path), "--runs", "here", "--set", "seeds=[0]", "--set", "fit.epochs=1") == 0
    (((paths, overrides, runs), where),) = started
    assert (paths, overrides, str(runs)) == ([path], ["seeds=[0]", "fit.epochs=1"], "here")
    assert where == {"host": "127.0.0.1", "port": 8501}


def test_without_a_name_it_needs_experiments_to_choose_from(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("--port", "0") == 2
    assert "experiments/: no experiments there" in capsys.readouterr().err
    (tmp_path / "experiments").mkdir()
    write_tiny(tmp_path / "experiments")
    with opened([], [], tmp_path / "runs", host="127.0.0.1", port=0) as server:
        assert list(server.lab.known()) == ["tiny"]
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("text", ["seeds: []", "seeds: [0, 0]"])
def test_a_named_experiment_must_be_valid(tmp_path, capsys, text):
    path = write_tiny(tmp_path, TINY_YAML.replace("seeds: [0, 1]", text))
    assert call(str(path), "--port", "0") == 2
    assert f"{path}:21:1: seeds: " in capsys.readouterr().err


def test_what_is_set_must_fit_what_is_named(tmp_path, capsys):
    path = write_tiny(tmp_path)
    assert call(str(path), "--port", "0", "--set", "fit.epochen=1") == 2
    assert "--set fit.epochen=1: fit.epochen: unknown key" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path):
    path = write_tiny(tmp_path)
    with opened([path], [], tmp_path, host="127.0.0.1", port=0) as server:
        port = server.server_address[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: .*in use.*choose another"):
            opened([path], [], tmp_path, host="127.0.0.1", port=port)


def test_it_answers_until_it_is_interrupted(tmp_path):
    words = [sys.executable, "-m", "transfer_lab", "dashboard", str(write_tiny(tmp_path))]
    words += ["--runs", str(tmp_path / "runs"), "--port", "0"]
    with subprocess.Popen(words, stdout=-1, stderr=-1, text=True, env=ENVIRONMENT) as process:
        said = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", said)[1])
        assert b"tiny" in fetched(port, "/api/experiments")[2]
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert (out.strip(), err) == ("", "")
