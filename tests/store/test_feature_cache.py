"""Rows on disk: computed once, shared, checked, and never more than there is room for."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_lab.store import feature_cache as module
from transfer_lab.store.feature_cache import FeatureCache, NoRoomError

SHAPE = (40, 3, 2)


class Source:
    """Row r is r everywhere; remembers which rows were asked for."""

    def __init__(self):
        self.asked: list[int] = []

    def __call__(self, index: np.ndarray) -> np.ndarray:
        self.asked += index.tolist()
        return np.broadcast_to(index[:, None, None], (len(index), *SHAPE[1:])).astype(np.float32)


def fetch(store: FeatureCache, wanted: object, source: Source, key: str = "k") -> module.Rows:
    index = np.asarray(wanted)
    return store.rows(key=key, shape=SHAPE, wanted=index, compute=source, batch=8)


def right(found: module.Rows, wanted: object) -> bool:
    return all((found.array[row] == row).all() for row in wanted)


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path if request.param == "disk" else None)


@given(st.lists(st.lists(st.integers(0, SHAPE[0] - 1), min_size=1, unique=True), max_size=5))
@settings(max_examples=30)
def test_whatever_is_asked_for_in_whatever_order_is_right_and_computed_once(tmp_path_factory, asks):
    store, source = FeatureCache(tmp_path_factory.mktemp("rows")), Source()
    for wanted in asks:
        assert right(fetch(store, wanted, source), wanted)
    assert sorted(source.asked) == sorted({row for wanted in asks for row in wanted})


def test_rows_are_asked_for_in_batches(store):
    sizes = []

    def compute(index: np.ndarray) -> np.ndarray:
        sizes.append(len(index))
        return Source()(index)

    store.rows(key="k", shape=SHAPE, wanted=np.arange(20), compute=compute, batch=8)
    assert sorted(sizes) == [4, 8, 8]


def test_another_key_is_another_array(tmp_path):
    store, source = FeatureCache(tmp_path), Source()
    fetch(store, [1], source)
    fetch(store, [1], source, key="other")
    assert source.asked == [1, 1]


@pytest.mark.parametrize("suffix", [".rows", ".sums"])
def test_a_damaged_row_is_computed_again_and_no_other(tmp_path, suffix):
    store, source = FeatureCache(tmp_path), Source()
    fetch(store, range(10), source)
    width = 4 if suffix == ".sums" else 4 * 6
    with open(tmp_path / f"k{suffix}", "r+b") as file:
        file.seek(3 * width)
        file.write(b"\xff\xff\xff\xff")
    source.asked.clear()
    assert right(fetch(store, range(10), source), range(10))
    assert source.asked == [3]


@pytest.mark.parametrize("suffix", [".rows", ".sums", ".json"])
def test_a_file_cut_off_or_gone_is_mended(tmp_path, suffix):
    for damage in (lambda path: path.write_bytes(b"x"), Path.unlink):
        store, source = FeatureCache(tmp_path), Source()
        fetch(store, range(10), source)
        damage(tmp_path / f"k{suffix}")
        assert right(fetch(store, range(10), source), range(10))


def test_the_cost_is_charged_whether_or_not_it_was_paid(tmp_path, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))
    store = FeatureCache(tmp_path)
    paid = fetch(store, range(8), Source()).seconds
    found = fetch(store, range(4), Source()).seconds
    assert paid == pytest.approx(1.0)  # one batch between two ticks
    assert found == pytest.approx(0.5)
    assert fetch(store, range(9), Source()).seconds == pytest.approx(9 / 8)


def test_a_full_disk_costs_the_store_and_not_the_result(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert right(fetch(FeatureCache(tmp_path), range(10), Source()), range(10))


def test_half_a_row_on_a_full_disk_is_not_taken_for_a_row(tmp_path, monkeypatch):
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda f, c, o: whole(f, c[: len(c) // 2], o))
    assert right(fetch(FeatureCache(tmp_path), range(10), Source()), range(10))
    monkeypatch.undo()
    assert right(fetch(FeatureCache(tmp_path), range(10), Source()), range(10))


def test_a_folder_that_cannot_be_made_costs_the_store_and_not_the_result(tmp_path):
    (tmp_path / "file").touch()
    assert right(fetch(FeatureCache(tmp_path / "file" / "rows"), range(10), Source()), range(10))


def test_what_was_used_longest_ago_makes_room(tmp_path):
    shape, wanted = (4, 4096), np.arange(4)  # 64 KiB an array

    def compute(index: np.ndarray) -> np.ndarray:
        return np.ones((len(index), 4096), np.float32)

    store = FeatureCache(tmp_path, limit=3 * 2**16)
    for key, used in (("old", 2), ("older", 1), ("new", 3)):
        store.rows(key=key, shape=shape, wanted=wanted, compute=compute, batch=4)
        os.utime(tmp_path / f"{key}.rows", (0, used))
    store.rows(key="newest", shape=shape, wanted=wanted, compute=compute, batch=4)
    assert {path.stem for path in tmp_path.glob("*.rows")} == {"old", "new", "newest"}
    assert {path.stem for path in tmp_path.iterdir()} == {"old", "new", "newest"}


def test_an_array_that_is_there_needs_no_more_room_and_evicts_nothing(tmp_path):
    shape, wanted = (4, 4096), np.arange(4)  # 64 KiB an array
    asked = []

    def compute(index: np.ndarray) -> np.ndarray:
        asked.append(len(index))
        return np.ones((len(index), 4096), np.float32)

    store = FeatureCache(tmp_path, limit=int(2.5 * 2**16))
    for _ in range(3):
        for key in ("first", "second"):
            store.rows(key=key, shape=shape, wanted=wanted, compute=compute, batch=4)
    assert asked == [4, 4]


def test_what_neither_disk_nor_memory_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_LIMIT", 100)
    with pytest.raises(NoRoomError):
        fetch(FeatureCache(tmp_path, limit=10), range(10), Source())


def test_rows_that_lie_there_without_a_note_are_charged_all_the_same(tmp_path):
    store = FeatureCache(tmp_path)
    fetch(store, range(10), Source())
    (tmp_path / "k.json").unlink()
    assert fetch(store, range(10), Source()).seconds > 0


def test_more_than_the_limit_lives_in_memory(tmp_path):
    store = FeatureCache(tmp_path, limit=10)
    assert right(fetch(store, range(10), Source()), range(10))
    assert sum(path.stat().st_blocks for path in tmp_path.glob("*.rows")) == 0


def test_an_array_that_is_cleared_while_in_use_stays_right(tmp_path):
    store = FeatureCache(tmp_path)

    def compute(index: np.ndarray) -> np.ndarray:
        for path in tmp_path.iterdir():
            path.unlink()
        return Source()(index)

    found = store.rows(key="k", shape=SHAPE, wanted=np.arange(20), compute=compute, batch=8)
    assert right(found, range(20))


def test_several_at_once_agree(tmp_path):
    sources = [Source() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda s: fetch(FeatureCache(tmp_path), range(40), s), sources))
    assert all(right(array, range(40)) for array in found)
