"""Ray where it is not, or cannot be started: a sentence, exit code 2, and nothing is trained."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT, TINY_YAML, alive, descendants_of, until, write_tiny
from tests.faults.conftest import ALL

SECONDS = 60
LONG = TINY_YAML.replace("fit: {epochs: 2", "fit: {epochs: 20000")


def asked_for(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess, float]:
    """A grid on Ray in these surroundings, and how long it took."""
    start = time.monotonic()
    done = subprocess.run(
        words_for(folder, write_tiny(folder)),
        env=surroundings(folder) | environment,
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
    )
    return done, time.monotonic() - start


def words_for(folder: Path, experiment: Path) -> list[str]:
    words = ["run", str(experiment), "--engine", "ray", "--runs", str(folder / "runs")]
    words += ["--reports", str(folder / "reports")]
    return [sys.executable, "-m", "transfer_lab", *words]


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of somebody who has never used Ray."""
    known = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("RAY_")}
    return known | {"HOME": str(folder)}


def taken(listens: bool) -> tuple[socket.socket, str]:
    """A port that is somebody else's, who may listen and never answers."""
    somebody = socket.socket()
    somebody.bind(("127.0.0.1", 0))
    if listens:
        somebody.listen()
    return somebody, str(somebody.getsockname()[1])


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_where_no_head_node_answers_is_refused_soon(listens, tmp_path):
    somebody, port = taken(listens)
    with somebody:
        done, seconds = asked_for(tmp_path, RAY_ADDRESS=f"127.0.0.1:{port}")
    assert done.returncode == 2 and seconds < SECONDS
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"RAY_ADDRESS=127.0.0.1:{port}: nothing answers there")
    assert "Unset RAY_ADDRESS" in line
    assert not list((tmp_path / "runs").glob("*/record.json"))


CANNOT_START = {
    "a port that is taken": ("RAY_GCS_SERVER_PORT", "Failed to start GCS"),
    "a folder that cannot be made": ("RAY_TMPDIR", "FileNotFoundError"),
}


with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs the extra [ray]"
)


@with_ray
@pytest.mark.parametrize("what", CANNOT_START)
def test_a_cluster_that_cannot_be_started_is_one_sentence(what, tmp_path):
    name, told = CANNOT_START[what]
    if name == "RAY_GCS_SERVER_PORT" and not ALL:
        pytest.skip("Ray tries for most of a minute; `make faults` waits for it")
    somebody, port = taken(listens=True)
    with somebody:
        done, seconds = asked_for(tmp_path, **{name: port if "PORT" in name else "/proc/nothing"})
    assert done.returncode == 2 and seconds < 4 * SECONDS
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Ray (local): ") and told in done.stderr
    assert done.stderr.rstrip().endswith("leave --engine out to run on this machine's own workers")
    assert not list((tmp_path / "runs").glob("*/record.json"))


@with_ray
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_cluster_ends_with_the_grid_that_started_it(name, tmp_path, request):
    """All of it, those too that Ray leaves to find out by themselves."""
    if not (ALL or request.config.getoption("--all")):
        pytest.skip("Ray takes its time; `make faults` and `make test ARGS=--all` try it")
    process = subprocess.Popen(
        words_for(tmp_path, write_tiny(tmp_path, LONG)),
        env=surroundings(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert until(lambda: any((tmp_path / "runs").glob("*/.lease")), 4 * SECONDS)
        pids = descendants_of(process.pid)
        agents = [pid for pid in pids if "agent" in Path(f"/proc/{pid}/cmdline").read_text()]
        guards = [pid for pid in pids if "ray_guard" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert agents and len(guards) == 1
        os.kill(process.pid, getattr(signal, name))
        process.wait(SECONDS)
        assert until(lambda: not any(map(alive, pids)), 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
