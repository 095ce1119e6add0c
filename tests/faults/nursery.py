"""A process that has imported torch once and forks a child for each case, with faults if asked.

Started with the shim before the C library. It reads a case a line as JSON (what to do, where, which
fault at which operation) and answers how the child ended and how many operations it counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.builders import ENVIRONMENT

FAULTS = (
    *("off", "count writes", "count reads", "kill", "tear", "EIO on write", "EIO on read"),
    *("full", "EIO on fsync"),
)
"""As the shim numbers them."""
RAISED = 1
_SECONDS = 120


class Ended(NamedTuple):
    """How a child ended: its exit code, negative for a signal; the operations that it counted; and
    what it said."""

    code: int
    operations: int
    said: str


class Nursery:
    """The process, for whoever tests."""

    def __init__(self, shim: Path | None):
        preload = {"LD_PRELOAD": str(shim), "FAULTS_SHIM": str(shim)} if shim else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"} | preload,
        )

    def case(self, action: str, folder: Path, fault: str = "off", at: int = 0) -> Ended:
        """What became of one."""
        asked = {"action": action, "folder": str(folder), "fault": fault, "at": at}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()


def _serve() -> None:
    import torch

    import transfer_lab.reporting.collect
    from tests.faults import small_grid
    from transfer_lab.training.fit import look_once

    assert transfer_lab.reporting.collect
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    look_once()  # as workers do
    with tempfile.TemporaryDirectory() as folder:  # what is found out once is then known to all
        small_grid.lay(Path(folder))
        small_grid.train(Path(folder))
    gc.collect()
    gc.freeze()  # children that look for garbage would copy what they touch
    shim = ctypes.CDLL(os.environ["FAULTS_SHIM"]) if "FAULTS_SHIM" in os.environ else None
    for line in sys.stdin:
        print(json.dumps(_case(json.loads(line), shim)), file=answers, flush=True)


def _case(asked: dict, shim: ctypes.CDLL | None) -> dict[str, object]:
    folder = Path(asked["folder"])
    receive, send = os.pipe()
    said = folder / "said.txt"
    child = os.fork()
    if child == 0:
        os.close(receive)
        with _speaking_into(said):
            code = _act(asked, folder, shim)
        os.write(send, str(shim.faults_count() if shim else 0).encode())
        os._exit(code)
    os.close(send)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(_SECONDS)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    with os.fdopen(receive) as counted:
        operations = int(counted.read() or 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "operations": operations, "said": said.read_text(errors="replace")}


@contextlib.contextmanager
def _speaking_into(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    yield
    sys.stdout.flush()
    sys.stderr.flush()


def _act(asked: dict, folder: Path, shim: ctypes.CDLL | None) -> int:
    from tests.faults.small_grid import ACTIONS

    if shim:
        root = str(folder / "runs").encode()
        shim.faults_arm(FAULTS.index(asked["fault"]), asked["at"], root)
    try:
        return ACTIONS[asked["action"]](folder)
    except BaseException:
        traceback.print_exc()
        return RAISED


if __name__ == "__main__":
    _serve()
