"""Features on disk: what is damaged is computed again, and a place that refuses costs nothing."""

import sqlite3

import numpy as np
import pytest

from transfer_lab.advice.features import feature_store
from transfer_lab.advice.features.feature_store import FeatureStore, Row, cache_folder
from transfer_lab.advice.features.looks import THUMBNAIL, Look

KEY = {"weights": "w", "size": 224}
ROWS = {
    name: Row(
        np.arange(5, dtype=np.float32) + n,
        Look(40, 30, taken, (-1, 7, 7, -1)),
        np.full((THUMBNAIL, THUMBNAIL), 10 * n + 1, np.uint8),
        0.25,
    )
    for n, (name, taken) in enumerate((("a", None), ("b", "2024:05:01 10:00:00"), ("c", None)))
}


@pytest.fixture
def filled(tmp_path):
    store = FeatureStore(tmp_path, KEY)
    store.put(ROWS)
    path = store.path
    store.close()
    return path


def stored(folder, key=KEY) -> dict[str, Row]:
    store = FeatureStore(folder, key)
    try:
        return store.get([*ROWS, "absent"])
    finally:
        store.close()


def test_what_is_put_is_got(filled):
    found = stored(filled.parent)
    assert found.keys() == ROWS.keys()
    for name, row in ROWS.items():
        assert found[name].values.tolist() == row.values.tolist()
        assert found[name].thumbnail.tolist() == row.thumbnail.tolist()
        assert (found[name].look, found[name].seconds) == (row.look, row.seconds)


def test_other_weights_have_features_of_their_own(filled):
    assert stored(filled.parent, {"weights": "v", "size": 224}) == {}


def test_many_are_got_at_once(tmp_path):
    store = FeatureStore(tmp_path, KEY)
    many = {f"{n:05}": ROWS["a"] for n in range(2300)}
    store.put(many)
    assert store.get(many).keys() == many.keys()


@pytest.mark.parametrize("place", [0, 4, 20, 1000, -1])
def test_a_damaged_row_counts_as_absent(filled, place):
    with sqlite3.connect(filled) as db:
        (body,) = db.execute("SELECT body FROM rows WHERE key = 'b'").fetchone()
        torn = bytearray(body)
        torn[place] ^= 1
        db.execute("UPDATE rows SET body = ? WHERE key = 'b'", (bytes(torn),))
    db.close()
    assert stored(filled.parent).keys() == {"a", "c"}


def test_a_row_under_anothers_name_is_not_taken_for_it(filled):
    with sqlite3.connect(filled) as db:
        db.execute("UPDATE rows SET key = 'absent' WHERE key = 'b'")
    db.close()
    assert stored(filled.parent).keys() == {"a", "c"}


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None])
def test_a_damaged_file_is_begun_anew(filled, content):
    whole = filled.read_bytes()
    filled.write_bytes(whole[: len(whole) // 2] if content is None else content)
    store = FeatureStore(filled.parent, KEY)
    store.get(ROWS)
    store.put(ROWS)
    assert store.problem is None
    store.close()
    assert stored(filled.parent).keys() == ROWS.keys()


def test_a_place_that_is_no_folder_costs_the_cache_and_nothing_else(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = FeatureStore(tmp_path / "file" / "below", KEY)
    assert store.get(ROWS) == {}
    store.put(ROWS)
    assert "nothing can be kept there" in store.problem
    store.close()


def test_without_a_place_nothing_is_kept_and_nothing_is_wrong():
    store = FeatureStore(None, KEY)
    store.put(ROWS)
    assert store.get(ROWS) == {} and store.problem is None


def test_what_is_there_is_used_where_nothing_can_be_written(filled, monkeypatch):
    class Full(sqlite3.Connection):
        def executemany(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

    real = sqlite3.connect
    monkeypatch.setattr(
        feature_store.sqlite3, "connect", lambda *a, **k: real(*a, factory=Full, **k)
    )
    store = FeatureStore(filled.parent, KEY)
    assert store.get(ROWS).keys() == ROWS.keys()
    store.put({"d": ROWS["a"]})
    assert "disk is full" in store.problem


def test_the_oldest_go_when_there_are_too_many(filled, monkeypatch):
    monkeypatch.setattr(feature_store, "MOST_ROWS", 2)
    store = FeatureStore(filled.parent, KEY)
    store.put({"d": ROWS["a"]})
    assert store.get([*ROWS, "d"]).keys() == {"c", "d"}


def test_the_cache_lies_where_the_user_has_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "transfer_lab" / "advice"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "transfer_lab" / "advice"
