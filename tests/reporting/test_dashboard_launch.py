"""How the dashboard starts: on this machine alone, and with a clear word where it cannot."""

import sys

import pytest

from tests.builders import TINY_YAML, write_tiny
from transfer_lab import ConfigError
from transfer_lab.cli import app as cli
from transfer_lab.reporting.dashboard import launch as module


@pytest.fixture
def started(monkeypatch):
    """The words of the processes that would take this one's place."""
    found = []
    monkeypatch.setattr(module.os, "execv", lambda path, words: found.append(words))
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    return found


def call(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["transfer-lab", "dashboard", *words])
        cli.main()
    return ended.value.code or 0


def test_it_is_served_to_this_machine_alone_and_tells_nobody(tmp_path, started):
    path = write_tiny(tmp_path)
    assert call(str(path), "--runs", "here", "--port", "8600") == 0
    (words,) = started
    assert words[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert {"--server.address=127.0.0.1", "--server.port=8600"} <= set(words)
    assert "--browser.gatherUsageStats=false" in words
    assert words[words.index("--") :] == ["--", "here", str(path)]


def test_without_a_name_it_needs_experiments_to_choose_from(tmp_path, started, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call() == 2
    assert "experiments/: no experiments there" in capsys.readouterr().err
    (tmp_path / "experiments").mkdir()
    write_tiny(tmp_path / "experiments")
    assert call() == 0
    assert len(started) == 1


def test_a_named_experiment_must_be_valid(tmp_path, started, capsys):
    path = write_tiny(tmp_path, TINY_YAML.replace("seeds: [0, 1]", "seeds: []"))
    assert call(str(path)) == 2
    assert f"{path}:21:1: seeds: " in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("absent", ["streamlit", "plotly"])
def test_what_is_not_installed_is_named_with_the_way_to_get_it(
    tmp_path, started, monkeypatch, absent
):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == absent else name)
    with pytest.raises(ConfigError, match=rf"needs {absent}; .*transfer-lab\[dashboard\]"):
        module.launch([write_tiny(tmp_path)], tmp_path, 8501)
    assert started == []
