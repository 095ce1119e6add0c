"""What all tests run under: how long an example takes is no test's business, and neither is how
pytest was started; what is slow waits to be asked for; several processes share the files."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.builders import workers
from transfer_lab.system import host

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under nohup and behind `&`

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported, here and in what tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST_FIRST = (
    *("grid/test_ray_engine.py", "golden/test_results.py", "docs/test_adding_things.py"),
    *("grid/test_local_engine.py", "cli/test_app.py", "docs/test_examples.py"),
    *("reporting/test_page.py", "test_testing.py", "contracts/test_regimes.py"),
    *("faults/test_sweeps.py", "faults/test_processes.py"),
)
"""Files that take longest, so that processes which share the tests end together."""


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run what is marked `slow` as well")


def pytest_collection_modifyitems(items):
    first = {name: place for place, name in enumerate(LONGEST_FIRST)}
    tests = Path(__file__).parent
    items.sort(key=lambda i: first.get(i.path.relative_to(tests).as_posix(), len(first)))


def pytest_runtest_setup(item):
    if item.get_closest_marker("slow") and not item.config.getoption("--all"):
        pytest.skip("slow; run by `make test ARGS=--all` and by continuous integration")


def pytest_sessionfinish():
    if workers.cache_info().currsize:
        workers().close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    return host.cores()
