"""Any mutation of any file of a store is read as nothing, or as what was written, and never as
another value."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.conftest import ALL
from tests.faults.kinds import KINDS, Kind, leave_the_rest
from tests.faults.small_grid import DONE, lay
from transfer_lab.backbones.weights import read_state
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.experiment.spec import Run
from transfer_lab.reporting.predictions import Predictions
from transfer_lab.similarity.overlap import overlap_store
from transfer_lab.similarity.pairs import comparison_store
from transfer_lab.similarity.thumbnails import thumbnail_store
from transfer_lab.store.feature_cache import FeatureCache
from transfer_lab.store.records import RecordStore
from transfer_lab.store.trials import TrialsError
from transfer_lab.system import sealed_array
from transfer_lab.system.files import WeightsError

EXAMPLES = 400 if ALL else 30
"""Of each kind."""

Value = object
"""What was read: comparable, None for nothing."""


def record(path: Path, store: RecordStore) -> Value:
    return store.get(path.parent.name)


def content(path: Path, store: RecordStore) -> Value:
    return dict(store.contents([path.parent.name], path.name)).get(path.parent.name)


def predictions(path: Path, store: RecordStore) -> Value:
    run_id = path.parent.name
    found = Predictions.of_store(store).of(run_id, store.get(run_id).test_accuracy)
    return found and (found.labels.tolist(), found.predicted.tolist(), found.classes)


def trials(path: Path, store: RecordStore) -> Value:
    try:
        return store.trials(searches(store.root.parent / "small.yaml")[path.parent.name])
    except TrialsError:
        return None


@cache
def searches(experiment: Path) -> dict[str, Run]:
    return dict(runs_of(plan(load_experiment(experiment).experiment)))


def weights(path: Path, store: RecordStore) -> Value:
    try:
        state = read_state(path, store.get(path.parent.name).weights_sha256)
    except WeightsError:
        return None
    return {name: tensor.tolist() for name, tensor in state.items()}


def images(path: Path, store: RecordStore) -> Value:
    sealed_array._sha256.cache_clear()  # of files that change within a tick of the clock
    found = sealed_array.find(path.parent, path.stem)
    return found and (found.array.tolist(), found.seconds)


def outputs(path: Path, store: RecordStore) -> Value:
    """All rows, of which those that do not hold are computed again, and their seconds, unless they
    were measured anew."""
    rows, filled = OUTPUTS[path.stem]
    computed = []

    def compute(wanted: np.ndarray) -> np.ndarray:
        computed.append(wanted)
        return rows[wanted]

    cache = FeatureCache(path.parent)
    found = cache.rows(key=path.stem, shape=rows.shape, wanted=filled, compute=compute, batch=8)
    assert np.array_equal(found.array[filled], rows[filled])
    return None if computed else found.seconds


OUTPUTS: dict[str, tuple[np.ndarray, np.ndarray]] = {}
"""By key, the rows as they were computed, and which of them were."""

READ: dict[str, Callable[[Path, RecordStore], Value]] = {
    "record": record,
    "curve": content,
    "changes of stages": content,
    "predictions": predictions,
    "trials": trials,
    "weights": weights,
    "images": images,
    "notes of images": images,
    "frozen outputs": outputs,
    "sums of outputs": outputs,
    "notes of outputs": outputs,
    "similarities": lambda path, store: comparison_store(store).get(path.stem),
    "overlaps": lambda path, store: overlap_store(store).get(path.stem),
    "thumbnails": lambda path, store: thumbnail_store(store).get(path.stem),
}
NO_RESULT = {
    *("kept model", "traceback", "lease", "running grid", "calibration", "being written"),
    "set aside",
}
"""Kinds that no result and no report is made from."""


@pytest.fixture(scope="module")
def store(nursery, tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("mutated")
    lay(folder, "tuned")
    ended = nursery.case("train and compare", folder)
    assert ended.code == DONE, ended.said
    leave_the_rest(folder / "runs")
    for path in (folder / "runs").glob("*/*.rows"):
        sums = np.fromfile(path.with_suffix(".sums"), np.uint32)
        rows = np.fromfile(path, np.float32).reshape(len(sums), -1)
        OUTPUTS[path.stem] = rows, np.flatnonzero(sums)
    return folder / "runs"


def changes(size: int, others: list[bytes]) -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """What may befall the bytes of a file."""
    place, few = st.integers(0, max(0, size - 1)), st.binary(min_size=1, max_size=8)
    digits = st.sampled_from([b"0", b"1", b"7", b"9", b"-", b".", b"e", b"null", b"[]", b'"'])
    return st.one_of(
        st.tuples(place, st.integers(0, 7)).map(lambda v: lambda old: flipped(old, *v)),
        st.tuples(place, few | digits).map(lambda v: lambda old: old[: v[0]] + v[1] + old[v[0] :]),
        st.tuples(place, few | digits).map(
            lambda v: lambda old: old[: v[0]] + v[1] + old[v[0] + len(v[1]) :]
        ),
        st.tuples(place, st.integers(1, 64)).map(
            lambda v: lambda old: old[: v[0]] + old[v[0] + v[1] :]
        ),
        st.tuples(place, st.integers(1, 64)).map(
            lambda v: lambda old: old[: v[0]] + bytes(v[1]) + old[v[0] + v[1] :]
        ),
        place.map(lambda end: lambda old: old[:end]),
        place.map(lambda start: lambda old: old[start:] + old[:start]),
        st.sampled_from(others).map(lambda other: lambda _: other),
        st.just(lambda old: old + old),
        digit(size),
    )


def digit(size: int) -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """Another digit in place of one: what reads as well as before."""

    def changed(old: bytes, place: int, by: int) -> bytes:
        known = [at for at, byte in enumerate(old) if 48 <= byte <= 57]
        if not known:
            return old
        at = known[place % len(known)]
        return old[:at] + bytes([48 + (old[at] - 48 + by) % 10]) + old[at + 1 :]

    both = st.tuples(st.integers(0, size), st.integers(1, 9))
    return both.map(lambda v: lambda old: changed(old, *v))


def flipped(old: bytes, place: int, bit: int) -> bytes:
    if place >= len(old):
        return old
    return old[:place] + bytes([old[place] ^ (1 << bit)]) + old[place + 1 :]


def test_every_kind_of_file_from_which_something_is_made_has_a_way_of_reading_it():
    assert {kind.name for kind in KINDS} == READ.keys() | NO_RESULT


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name in READ], ids=lambda kind: kind.name)
def test_a_mutated_file_is_nothing_or_what_was_written(kind: Kind, store, tmp_path, tried):
    shutil.copytree(store.parent, tmp_path / "lab")
    runs = tmp_path / "lab" / "runs"
    files = kind.files(runs)
    whole = {path: path.read_bytes() for path in files}
    beside = {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()}
    read = READ[kind.name]
    expected = {path: read(path, RecordStore(runs)) for path in files}
    assert files and None not in expected.values()

    @settings(max_examples=EXAMPLES)
    @given(st.data())
    def holds(data):
        path = data.draw(st.sampled_from(files))
        others = [other for place, other in whole.items() if place != path] or [b"{}"]
        made = whole[path]
        for change in data.draw(
            st.lists(changes(len(made), [*others, b""]), min_size=1, max_size=3)
        ):
            made = change(made)
        path.write_bytes(made)
        try:
            found = read(path, RecordStore(runs))
            assert found is None or found == expected[path]
        finally:
            restored(runs, path.parent, beside)
        tried.append(kind.name)

    holds()


def restored(runs: Path, folder: Path, beside: dict[Path, bytes]) -> None:
    """The folder as it was: a damaged record was set aside, rows were computed again."""
    for path in folder.iterdir():
        if path.is_file() and path not in beside:
            path.unlink()
    for path, old in beside.items():
        if path.parent == folder and (not path.exists() or path.read_bytes() != old):
            path.write_bytes(old)
