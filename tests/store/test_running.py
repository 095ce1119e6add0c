"""What a running grid tells of itself in the store, and what is not believed."""

import os
import subprocess
import sys

import pytest

from tests.builders import TINY_YAML, write_tiny
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.experiment.yaml_source import ConfigError
from transfer_lab.store import running as module
from transfer_lab.store.running import AtWork, RunningGrid, announce, running, withdraw


@pytest.fixture
def grid(tmp_path):
    file = load_experiment(write_tiny(tmp_path), ["seeds=[5]", "fit.epochs=3"])
    return RunningGrid.of(file, "2026-01-01T10:00:00+00:00", tmp_path / "pulses")


def dead() -> int:
    """The number of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    return int(done.stdout)


def files(root):
    return sorted(path.name for path in (root / "running").iterdir())


def test_what_is_announced_is_heard_until_it_is_withdrawn(tmp_path, grid):
    assert running(tmp_path / "runs") == []
    work = AtWork(runs=("a", "b"), name="cnn \udcff", doing="epoch 1 of 3", share=0.5)
    announce(tmp_path, grid.model_copy(update={"total": 7, "working": (work,)}))
    (heard,) = running(tmp_path)
    assert (heard.pid, heard.total, heard.left) == (os.getpid(), 7, None)
    assert heard.working[0].share == 0.5
    assert files(tmp_path) == [f"{grid.name}.json"]
    withdraw(tmp_path, grid)
    assert running(tmp_path) == []
    assert files(tmp_path) == []


def test_it_says_which_experiment_it_trains_with_what_was_set(tmp_path, grid):
    announce(tmp_path, grid)
    (heard,) = running(tmp_path)
    assert heard.overrides == ("seeds=[5]", "fit.epochs=3")
    wanted = load_experiment(tmp_path / "tiny.yaml", heard.overrides).experiment
    (tmp_path / "tiny.yaml").write_text(TINY_YAML.replace("[0, 1]", "[0]"))  # edited meanwhile
    assert plan(heard.load().experiment) == plan(wanted)


def test_what_cannot_be_read_from_here_is_a_refusal_as_of_a_file(tmp_path, grid):
    content = grid.content | {"seeds": []}
    with pytest.raises(ConfigError, match="seeds"):
        grid.model_copy(update={"content": content}).load()


def test_what_a_dead_process_has_left_is_removed_and_not_shown(tmp_path, grid):
    announce(tmp_path, grid.model_copy(update={"pid": dead()}))
    assert running(tmp_path) == []
    assert files(tmp_path) == []


def test_a_grid_of_another_machine_is_believed_as_long_as_it_speaks(tmp_path, grid):
    there = grid.model_copy(update={"host": "elsewhere", "pid": dead()})
    announce(tmp_path, there)
    assert [one.is_here for one in running(tmp_path)] == [False]
    path = tmp_path / "running" / f"{there.name}.json"
    later = path.stat().st_mtime + module.SILENT + 1
    assert running(tmp_path, now=later) == []
    assert path.exists()  # it may speak again


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\x00"])
def test_what_is_no_announcement_is_passed_over(tmp_path, content):
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "x.json").write_bytes(content)
    assert running(tmp_path) == []


def test_an_announcement_under_anothers_name_is_passed_over(tmp_path, grid):
    announce(tmp_path, grid)
    path = tmp_path / "running" / f"{grid.name}.json"
    path.rename(path.with_name("other.json"))
    assert running(tmp_path) == []
