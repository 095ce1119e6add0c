"""Images on disk: what lies there, what a failure leaves, and how much memory making takes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.toys import Blocks
from transfer_lab.data import image_cache as arrays
from transfer_lab.data import rendered
from transfer_lab.data.image_cache import stored_images
from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.system.decode import on_all_cores

SHAPE = (10, 3, 4, 4)
IMAGES = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


def in_blocks(*sizes):
    """A function that gives IMAGES in blocks of these sizes, and the list of its calls."""
    calls = []

    def blocks():
        calls.append(sizes)
        yield from np.split(IMAGES, np.cumsum(sizes)[:-1])

    return blocks, calls


@pytest.mark.parametrize("sizes", [(10,), (1,) * 10, (3, 4, 3), (0, 10)])
def test_however_the_blocks_are_cut_the_file_is_that_of_numpy(sizes, tmp_path):
    np.save(tmp_path / "whole.npy", IMAGES)
    blocks, calls = in_blocks(*sizes)
    found, seconds = stored_images(tmp_path / "cache", "name", SHAPE, blocks)
    again, same = stored_images(tmp_path / "cache", "name", SHAPE, blocks)
    assert (tmp_path / "cache/name.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, IMAGES) and np.array_equal(again, IMAGES)
    assert seconds == same > 0
    assert len(calls) == 1


@pytest.mark.parametrize("folder", [None, "cache"])
@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([IMAGES[:7]], "7 images were made, and there are 10 labels"),
        ([IMAGES, IMAGES[:1]], "11 images"),
        ([IMAGES.astype(np.float32)], "a block of float32"),
        ([IMAGES[:, :, :2]], r"a block of uint8 \(10, 3, 2, 4\)"),
    ],
)
def test_blocks_that_are_not_the_images_are_refused_and_nothing_is_stored(
    made, message, folder, tmp_path
):
    place = folder and tmp_path / folder
    with pytest.raises(ValueError, match=message):
        stored_images(place, "name", SHAPE, lambda: iter(made))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failure_half_way_leaves_no_file(tmp_path):
    def blocks():
        yield IMAGES[:6]
        raise RuntimeError("a file that cannot be read")

    with pytest.raises(RuntimeError, match="cannot be read"):
        stored_images(tmp_path, "name", SHAPE, blocks)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_half_way_leaves_nothing_that_is_taken_for_whole(tmp_path):
    script = (
        "import os, signal, sys; import numpy as np\n"
        "from transfer_lab.data.image_cache import stored_images\n"
        "def blocks():\n"
        "    yield np.zeros((9, 3, 64, 64), np.uint8)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "stored_images(__import__('pathlib').Path(sys.argv[1]), 'name', (10, 3, 64, 64), blocks)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "name.npy").exists()
    blocks, calls = in_blocks(5, 5)
    assert np.array_equal(stored_images(tmp_path, "name", SHAPE, blocks)[0], IMAGES)
    assert len(calls) == 1


def test_a_disk_without_room_for_the_images_is_noticed_before_they_are_made(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": IMAGES.nbytes - 1})
    monkeypatch.setattr(arrays.shutil, "disk_usage", lambda _: usage)
    blocks, calls = in_blocks(5, 5)
    found, _ = stored_images(tmp_path, "name", SHAPE, blocks)
    assert np.array_equal(found, IMAGES)
    assert len(calls) == 1
    assert list(tmp_path.iterdir()) == []


def test_where_another_process_has_taken_the_last_room_for_the_same_images_they_are_read(
    tmp_path, monkeypatch
):
    def taken(folder):
        monkeypatch.undo()
        stored_images(folder, "name", SHAPE, in_blocks(10)[0])
        return type("Usage", (), {"free": 0})

    monkeypatch.setattr(arrays.shutil, "disk_usage", taken)
    blocks, calls = in_blocks(5, 5)
    found, seconds = stored_images(tmp_path, "name", SHAPE, blocks)
    assert isinstance(found, np.memmap) and np.array_equal(found, IMAGES)
    assert seconds > 0 and calls == []


def test_a_disk_that_fills_up_half_way_costs_the_file_and_not_the_images(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    found, _ = stored_images(tmp_path, "name", SHAPE, in_blocks(5, 5)[0])
    assert np.array_equal(found, IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_making_images_takes_the_memory_of_a_block_however_many_there_are(tmp_path):
    size, each = 32, 3 * 32 * 32

    def peak(count):
        def blocks():
            for start in range(0, count, 64):
                yield np.full((min(64, count - start), 3, size, size), start % 256, np.uint8)

        tracemalloc.start()
        stored_images(tmp_path, str(count), (count, 3, size, size), blocks)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(64)
    assert peak(6400) < peak(640) + 64 * each
    assert peak(12_800) < 12_800 * each / 8


@pytest.mark.parametrize("name", ["latin", "textures", "scenes"])
def test_rendered_images_do_not_depend_on_how_many_are_rendered_at_once(name, monkeypatch):
    options = {"images": 96} if name == "scenes" else {"train_per_class": 3, "test_per_class": 1}
    domain = DOMAINS.load(name)(24, **options)
    found = []
    for images in (1, 7, 1024):
        monkeypatch.setattr(rendered, "_IMAGES", images)
        blocks = list(domain.image_blocks("train"))
        assert max(map(len, blocks)) <= images
        found.append(np.concatenate(blocks))
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[2])


def test_the_images_of_a_domain_are_those_of_its_blocks():
    domain = Blocks()
    (block,) = domain.image_blocks("test")
    assert np.array_equal(domain.make_images("test"), block)


def test_work_on_all_cores_comes_in_order_and_is_not_done_far_ahead(monkeypatch):
    monkeypatch.setattr("transfer_lab.system.host.cores", lambda: 2)
    begun = []

    def square(n):
        begun.append(n)
        return n * n

    results = on_all_cores(square, iter(range(500)))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(begun) < 40
    assert [*results] == [n * n for n in range(3, 500)]
