"""What befalls processes: the command line and its workers, from outside."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.builders import (
    ENVIRONMENT,
    TINY_YAML,
    alive,
    children_of,
    descendants_of,
    until,
    write_tiny,
)
from tests.faults.conftest import ALL
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.engines.local import LocalEngine
from transfer_lab.store.records import RecordStore

SMALL = (
    TINY_YAML.replace("seeds: [0, 1]", "seeds: [0]")
    .replace("  small_dissimilar: {source: greek, target: cyrillic, per_class: 4}\n", "")
    .replace("  greek: {letters: ΓΔΘΛ, train_per_class: 8, test_per_class: 6}\n", "")
)
"""4 runs."""
LONG = SMALL.replace("fit: {epochs: 2", "fit: {epochs: 20000")

ENDS_THE_PROCESS = '''\
"""A regime whose file ends whoever imports it."""

import os

from transfer_lab.regimes.base import TransferModule

os._exit(7)


class Mine(TransferModule):
    """Never comes to be."""
'''
IMPATIENT = """\
import transfer_lab.grid.train as grid
from transfer_lab.cli.app import main

grid._SECONDS_OF_AN_IMPORT, grid._SECONDS_BETWEEN_LOOKS = 1.0, 0.1
main()
"""


def started(
    folder: Path, text: str, program: tuple[str, str] = ("-m", "transfer_lab"), **how
) -> subprocess.Popen:
    experiment = write_tiny(folder, text)
    words = ["run", str(experiment), "--runs", str(folder / "runs"), "--jobs", "1"]
    words += ["--reports", str(folder / "reports")]
    known = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT}
    return subprocess.Popen(
        [sys.executable, *program, *words],
        text=True,
        start_new_session=True,
        **known | how,
    )


def ended(process: subprocess.Popen, seconds: float = 240) -> SimpleNamespace:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return SimpleNamespace(code=process.returncode, out=out, err=err)


def statuses(folder: Path) -> list[str | None]:
    """Of all cells."""
    store = RecordStore(folder / "runs")
    cells = plan(load_experiment(folder / "tiny.yaml").experiment)
    return [record and record.status for record in (store.get(cell.run.id) for cell in cells)]


def ends_in_preflight(folder: Path) -> SimpleNamespace:
    (folder / "own.py").write_text(ENDS_THE_PROCESS)
    text = SMALL.replace("majority: {}", "mine: {module: 'own.py:Mine'}")
    return ended(started(folder, text))


def waits_for_ever_in_an_import(folder: Path) -> SimpleNamespace:
    waits = f"open({str(folder / 'here')!r}, 'w')\nos.read(os.pipe()[0], 1)"
    (folder / "own.py").write_text(ENDS_THE_PROCESS.replace("os._exit(7)", waits))
    text = SMALL.replace("majority: {}", "mine: {module: 'own.py:Mine'}")
    process = started(folder, text, ("-c", IMPATIENT))
    assert until((folder / "here").exists, 200)
    processes = descendants_of(process.pid)
    found = ended(process)
    found.gone = until(lambda: not any(map(alive, processes)), 20)
    return found


def has_no_room(folder: Path) -> SimpleNamespace:
    """No file may be larger than 8 KB: the source run's weights are."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    return ended(started(folder, SMALL, preexec_fn=limit))


def speaks_ascii_into_a_closed_pipe(folder: Path) -> SimpleNamespace:
    """Both streams: one cannot say what is shown, the other has nobody who reads it."""
    read, write = os.pipe()
    os.close(read)
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii:strict", "COLUMNS": "80"}
    process = started(folder, SMALL, stdout=write, env=environment)
    os.close(write)
    return ended(process)


def writes_into_a_full_device(folder: Path) -> SimpleNamespace:
    with open("/dev/full", "w") as full:
        return ended(started(folder, SMALL, stdout=full, stderr=full))


def waits_for_its_first_run(process: subprocess.Popen, folder: Path) -> None:
    assert until(lambda: any((folder / "runs").glob("*/.lease")), 200)


def is_killed_while_a_worker_is_stopped(folder: Path) -> SimpleNamespace:
    process = started(folder, LONG)
    waits_for_its_first_run(process, folder)
    time.sleep(1.0)
    processes = descendants_of(process.pid)
    workers = set().union(*map(children_of, children_of(process.pid)))
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    gone = until(lambda: not any(map(alive, processes)), 20)
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return SimpleNamespace(gone=gone, count=len(workers))


def is_interrupted_twice(folder: Path) -> SimpleNamespace:
    process = started(folder, LONG)
    waits_for_its_first_run(process, folder)
    processes = descendants_of(process.pid)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
    found = ended(process, 30)
    found.gone = until(lambda: not any(map(alive, processes)), 20)
    return found


def hangs_up(folder: Path) -> SimpleNamespace:
    process = started(folder, LONG)
    waits_for_its_first_run(process, folder)
    processes = descendants_of(process.pid)
    os.kill(process.pid, signal.SIGHUP)
    found = ended(process, 30)
    found.gone = until(lambda: not any(map(alive, processes)), 20)
    return found


# A full device is tried in the fast part, too, with quicker commands (test_output.py).
STREAMS = (speaks_ascii_into_a_closed_pipe, *((writes_into_a_full_device,) if ALL else ()))
CASES = (
    *(ends_in_preflight, waits_for_ever_in_an_import, has_no_room, *STREAMS),
    *(is_killed_while_a_worker_is_stopped, is_interrupted_twice, hangs_up),
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each case; two at a time, since most of it is the start."""
    folders = {case.__name__: tmp_path_factory.mktemp(case.__name__) for case in CASES}
    with ThreadPoolExecutor(2) as pool:
        called = {case.__name__: pool.submit(case, folders[case.__name__]) for case in CASES}
        return {name: (call.result(), folders[name]) for name, call in called.items()}


def test_a_worker_that_dies_in_preflight_is_named_and_nothing_is_trained(outcomes):
    found, folder = outcomes["ends_in_preflight"]
    assert found.code == 2
    assert "Traceback" not in found.err
    assert "died while importing own.py" in found.err
    assert not any((folder / "runs").glob("*/record.json"))


def test_a_module_that_hangs_while_it_is_imported_is_named_and_nothing_is_trained(outcomes):
    found, folder = outcomes["waits_for_ever_in_an_import"]
    assert found.code == 2 and found.gone
    (line,) = found.err.splitlines()
    assert line.startswith("importing own.py takes more than 1 s")
    assert not any((folder / "runs").glob("*/record.json"))


def test_a_grid_without_room_stops_at_once_and_says_where_and_how_much(outcomes):
    found, folder = outcomes["has_no_room"]
    assert found.code == 1
    assert "Traceback" not in found.err + found.out
    (line,) = [text for text in found.err.splitlines() if text.startswith("stopped: ")]
    assert str(folder / "runs") in line and "bytes of it were written" in line
    assert "are free" in line and "To go on" not in line and "go on: transfer-lab run" in line
    assert "failed" not in statuses(folder)
    assert not list((folder / "runs").rglob(".tmp-*"))


@pytest.mark.parametrize("case", [case.__name__ for case in STREAMS])
def test_a_stream_that_takes_nothing_costs_no_result_and_no_report(outcomes, case):
    found, folder = outcomes[case]
    assert found.code == 0
    assert "Traceback" not in (found.err or "")
    assert set(statuses(folder)) == {"done"}
    assert (folder / "reports" / "tiny" / "index.html").exists()


def test_a_stopped_worker_ends_with_its_killed_parent(outcomes):
    found, _ = outcomes["is_killed_while_a_worker_is_stopped"]
    assert found.count >= 1
    assert found.gone


def test_two_interrupts_end_it_without_a_traceback(outcomes):
    found, folder = outcomes["is_interrupted_twice"]
    assert found.code in (130, -signal.SIGINT)
    assert "Traceback" not in found.err and "Exception ignored" not in found.err
    assert found.gone
    assert "failed" not in statuses(folder)


def test_a_closed_terminal_ends_it_and_all_its_workers(outcomes):
    found, folder = outcomes["hangs_up"]
    assert found.code == -signal.SIGHUP
    assert found.gone
    assert "failed" not in statuses(folder)


def patch() -> int:
    """What a module of somebody's might do to a library that all share."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.optim.Adam.step = lambda *_: None
    return os.getpid()


def patched() -> tuple[bool, int]:
    import torch

    return torch.get_default_dtype() == torch.float64, os.getpid()


def test_foreign_code_has_a_worker_of_its_own():
    engine = LocalEngine(1)
    try:
        first = engine.submit(patched).result()
        own = engine.submit_apart("a", patch).result()
        assert own == first[1]  # a worker that has run nothing foreign will do
        assert engine.submit_apart("a", patched).result() == (True, own)
        other, pid = engine.submit_apart("b", patched).result()
        assert not other and pid != own
        clean, last = engine.submit(patched).result()
        assert not clean and last not in (own, pid)
        assert engine.submit(patched).result() == (False, last)
    finally:
        engine.close()
