"""A real disk that is too small: where this user may mount one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import ENVIRONMENT

SCRIPT = """\
import sys
from pathlib import Path
import numpy as np
from transfer_lab.data.image_cache import stored_images
from transfer_lab.store import feature_cache
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.system.files import DiskFullError, write_atomically

feature_cache._RESERVE = 0  # else so small a disk is not tried at all
folder = Path(sys.argv[1])
data = np.random.default_rng(0).random((200, 256)).astype(np.float32)
found = FeatureCache(folder / "rows").rows(
    key="k", shape=data.shape, wanted=np.arange(200), compute=lambda i: data[i], batch=10
)
assert np.array_equal(found.array, data)
images = np.zeros((50, 3, 40, 40), np.uint8)
stored, _ = stored_images(folder / "images", "name", images.shape, lambda: iter([images]))
assert np.array_equal(stored, images)
try:
    write_atomically(folder / "result", lambda handle: handle.write(bytes(200_000)))
except DiskFullError as error:
    print(error)
"""


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """64 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("this user may mount no disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("left", [65536, 12_000, 4096, 0])
def test_no_file_with_holes_is_mapped_where_the_disk_is_full(disk, left):
    if left < 65536:
        (disk / "filling").write_bytes(bytes(65536 - left))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(disk)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(disk / "result") in done.stdout and " are free" in done.stdout


LOST = (
    SCRIPT.partition("images = np.zeros")[0]
    + """\
rows, sums = (folder / "rows" / f"k.{end}" for end in ("rows", "sums"))
size = rows.stat().st_size
with rows.open("r+b") as file:  # what a crash of the machine may leave: sums without rows
    file.truncate(0)
    file.truncate(size)
with (folder / "filling").open("wb", buffering=0) as file:
    try:
        while file.write(bytes(512)):
            pass
    except OSError:
        pass
found = FeatureCache(folder / "rows").rows(
    key="k", shape=data.shape, wanted=np.arange(200), compute=lambda i: data[i], batch=10
)
assert np.array_equal(found.array, data)
"""
)


def test_rows_that_a_crash_has_lost_are_no_signal_on_a_full_disk(disk):
    script = LOST.replace("(200, 256)", "(200, 32)")
    done = subprocess.run(
        [sys.executable, "-c", script, str(disk)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
