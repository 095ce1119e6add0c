"""Foreign code that ceases to do anything is ended; what works, however slowly, is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.builders import TINY_YAML, alive, until, write_tiny
from tests.cli.test_app import call
from tests.own_code import REGIME
from transfer_lab.grid.engines import idleness
from transfer_lab.grid.engines.errors import WorkerHungError
from transfer_lab.grid.engines.local import LocalEngine

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="only Linux tells what processes do"
)
PATIENCE = 1.0
LONGER = 2.0


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(idleness, "PATIENCE", PATIENCE)
    monkeypatch.setattr(idleness, "_LOOKS", 10)
    monkeypatch.setattr(idleness, "_LEAST", 0.02)  # others may be using the processors
    engine = LocalEngine(1)
    engine.submit(abs, 1).result()
    yield engine
    engine.kill()


def waits(told: str, _starts: bool = False) -> None:
    """For what never comes, once it has told who waits."""
    started = [subprocess.Popen(["sleep", "600"]).pid] if _starts else []
    Path(told).write_text(" ".join(map(str, [os.getpid(), *started])))
    os.read(os.pipe()[0], 1)


def waits_with_a_child(told: str) -> None:
    waits(told, _starts=True)


def waits_holding_the_interpreter(told: str) -> None:
    """As a library does that deadlocks: no thread of Python gets to run."""
    import ctypes

    Path(told).write_text(str(os.getpid()))
    ctypes.PyDLL(None).pause()


@pytest.mark.parametrize("call", [waits, waits_with_a_child, waits_holding_the_interpreter])
def test_code_that_ceases_to_do_anything_is_ended(call, engine, tmp_path):
    told = tmp_path / "told"
    with pytest.raises(WorkerHungError, match="neither computed nor read nor written anything"):
        engine.submit_apart("a", call, str(told)).result(timeout=60)
    pids = list(map(int, told.read_text().split()))
    assert until(lambda: not any(map(alive, pids)), 10)
    assert engine.submit_apart("a", abs, -2).result() == 2
    assert engine.submit(abs, -3).result() == 3


def computes(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "computed"


def lets_compute(seconds: float) -> str:
    """In another process."""
    code = f"import time; end = time.time() + {seconds}\nwhile time.time() < end: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    return "computed"


def reads_now_and_then(seconds: float) -> str:
    end = time.monotonic() + seconds
    with open(os.__file__, "rb", buffering=0) as file:
        while time.monotonic() < end:
            file.read(1)
            time.sleep(PATIENCE / 4)
    return "computed"


@pytest.mark.parametrize("call", [computes, lets_compute, reads_now_and_then])
def test_code_that_works_is_waited_for(call, engine):
    assert engine.submit_apart("a", call, LONGER).result() == "computed"


def test_a_worker_that_somebody_stops_is_waited_for(engine):
    pid = engine.submit_apart("a", os.getpid).result()
    held = engine.submit_apart("a", computes, 0.3)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(LONGER, os.kill, (pid, signal.SIGCONT)).start()
    assert held.result() == "computed"


def test_the_lab_s_own_code_is_waited_for(engine):
    engine.submit(time.sleep, LONGER).result()


def test_nobody_is_ended_where_the_system_does_not_tell(engine, monkeypatch):
    monkeypatch.setattr(idleness, "deeds", lambda pid: None)
    engine.submit_apart("a", time.sleep, LONGER).result()


WAITS = """
import os


class Waits(TuneFirst):
    def phases(self):
        os.read(os.pipe()[0], 1)
"""


def test_a_check_that_waits_for_ever_is_named_and_nothing_is_trained(engine, tmp_path, capsys):
    (tmp_path / "own.py").write_text(REGIME + WAITS)
    text = TINY_YAML.replace("majority: {}", "mine: {module: 'own.py:Waits', k: 1}")
    words = [
        "run",
        str(write_tiny(tmp_path, text)),
        "--jobs",
        "1",
        "--runs",
        str(tmp_path / "runs"),
    ]
    assert call(*words, "--reports", str(tmp_path / "reports")) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "mine did not come to an end: for" in told and "nothing was trained" in told
    assert not list((tmp_path / "runs").glob("*/record.json"))
