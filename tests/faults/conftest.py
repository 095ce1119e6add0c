"""The shim, built once by the system's compiler, the process that forks cases, and how many cases
each test has tried."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nursery import Nursery

ALL = os.environ.get("FAULTS") == "all"
"""Every point of a sweep and not every fifth: `make faults`."""


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("faults at file operations need Linux and a C compiler (cc, gcc or clang)")
    made = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the shim cannot be compiled: {done.stderr[:300]}")
    return made


@pytest.fixture(scope="session")
def nursery(shim) -> Iterator[Nursery]:
    process = Nursery(shim)
    yield process
    process.close()


@pytest.fixture
def tried(record_property) -> Iterator[list[str]]:
    """The cases of a test: what is appended counts, in the table of `make faults`."""
    cases: list[str] = []
    yield cases
    record_property("cases", len(cases))
