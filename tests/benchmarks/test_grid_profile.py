"""Where a grid's time goes: the parts add up to the whole."""

from __future__ import annotations

import pytest

from benchmarks.grid_profile import profile
from tests.builders import experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.store.records import RecordStore
from transfer_lab.training.fit import quiet
from transfer_lab.training.run import Setting, train

PLAIN, OURS, WORKERS = 40.0, 10.0, 2


@pytest.fixture(scope="module")
def runs():
    cells = plan(experiment())
    return [cell.run for cell in cells if cell.regime == "from_scratch"][:2]


@pytest.fixture(scope="module")
def store(tmp_path_factory, runs):
    quiet()
    store = RecordStore(tmp_path_factory.mktemp("runs"))
    for run in runs:
        train(run, store, Setting())
    return store


@pytest.fixture(scope="module")
def found(store, runs):
    lots = {"together": [runs], "apart": [[run] for run in runs]}
    plain = {"together": 30.0, "apart": 4.0}
    return profile(lots, plain, store, (PLAIN, OURS), WORKERS, quick=True)


def test_seconds_are_those_of_the_records_with_workers_side_by_side(found, store, runs):
    records = [store.get(run.id) for run in runs]
    testing = sum(record.eval_seconds for record in records) / WORKERS
    fitting = sum(record.fit_seconds / record.together for record in records) / WORKERS
    for share in found.shares.values():
        assert share.runs == 2
        assert share.testing == pytest.approx(testing)
        assert share.ours == pytest.approx(fitting + testing)


def test_runs_of_a_lot_are_counted_once_each(found):
    together, apart = found.shares.values()
    assert together.least == pytest.approx(apart.least)
    assert together.least > 0


def test_what_is_in_no_fit_and_no_test_is_the_rest(found):
    *regimes, rest, whole = found.detail.rows
    assert [row[0] for row in regimes] == ["together", "apart"]
    assert rest[2] == f"{PLAIN - 34:.1f}"
    assert float(rest[3]) == pytest.approx(
        OURS - sum(s.ours for s in found.shares.values()), abs=0.1
    )
    assert whole[:4] == ("all", "4", f"{PLAIN:.1f}", f"{OURS:.1f}")
    assert all(len(row) == len(found.detail.head) for row in found.detail.rows)


def test_operations_bound_the_ratio(found):
    bound = PLAIN / found.whole.least
    assert found.whole.least >= sum(share.least for share in found.shares.values())
    assert f"would be {bound:.1f}x" in found.told
