"""The grid on a Ray cluster of several nodes: the same records, and what is lost is run again."""

import contextlib
import importlib.util
import os
import secrets
import signal
import threading
import time
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from tests import ray_calls
from tests.builders import (
    ENVIRONMENT,
    ROOT,
    TINY_YAML,
    SharedEngine,
    alive,
    children_of,
    until,
    write_tiny,
)
from tests.cli.test_app import Lab, call
from transfer_lab.experiment.loading import load_experiment
from transfer_lab.experiment.plan import plan, runs_of
from transfer_lab.grid import train as grid
from transfer_lab.grid.engines import EngineError, local
from transfer_lab.grid.engines import ray as engine_module
from transfer_lab.grid.engines.local import WorkerCrashError
from transfer_lab.grid.engines.ray import RETRIES, RayEngine
from transfer_lab.grid.engines.ray_worker import Place
from transfer_lab.grid.scheduler import run_grid, todo
from transfer_lab.store.records import RecordStore
from transfer_lab.system.workers import Workers

SERIES = (0,)
if importlib.util.find_spec("ray"):
    SERIES = tuple(map(int, version("ray").split(".")[:2]))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra [ray]"),
]

DIVERGING = TINY_YAML.replace(
    "  majority: {}\n", "  majority: {}\n  diverging: {kind: linear_probe, lr: 1.0e+30}\n"
)
TUNED = (
    TINY_YAML.replace("seeds: [0, 1]", "seeds: {start: 2, at_most: 3, until: 0.1}")
    .replace("regimes:\n", "regimes:\n  full_finetune: {}\n")
    .replace("pretrain: {", "pretrain: {per_seed: true, ")
    + "tune: {lr: [0.001, 0.1]}\nsearch: {seed: 5}\n"
)
OF_THE_PLACE_AND_TIME = {
    *("commit", "concurrency", "device", "host", "peak_rss_mb", "started_at", "together"),
    *("curve_sha256", "trials_sha256"),  # of files with seconds in them
}


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs for runs and two nodes of one CPU each; Ray reads the environment when
    it is imported, and a cluster's processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", cluster.address)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(autouse=True)
def _own_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def running(store, worker=ray_calls.LightWorker, **options):
    """An engine of workers that start fast, and what it has warned of."""
    warnings = []
    with pytest.MonkeyPatch.context() as patch:
        if worker:
            patch.setattr(engine_module, "Worker", worker)
        engine = RayEngine(store=store, runs=100, warn=warnings.append, **options)
    try:
        yield SimpleNamespace(engine=engine, submit=engine.submit, warnings=warnings)
    finally:
        engine.kill()


def records(lab: Lab) -> dict[str, dict]:
    """What must not depend on the engine, by run."""
    store = RecordStore(lab.runs)
    found = {
        path.parent.name: store.get(path.parent.name) for path in lab.runs.glob("*/record.json")
    }
    return {
        run_id: {
            name: value
            for name, value in record
            if not name.endswith("_seconds") and name not in OF_THE_PLACE_AND_TIME
        }
        for run_id, record in found.items()
    }


def descendants(pid: int) -> set[int]:
    children = children_of(pid)
    return children.union(*map(descendants, children))


def on_both(folders, text: str, exit_code: int) -> SimpleNamespace:
    """The same grid on Ray and on this machine's own workers."""
    labs = {name: Lab(folders.mktemp(name)) for name in ("ray", "local")}
    for name, lab in labs.items():
        write_tiny(lab.folder, text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local, "LocalEngine", SharedEngine)
            assert call(*lab.words("run", "--engine", name)) == exit_code
    return SimpleNamespace(**labs)


@pytest.fixture(scope="module")
def grids(cluster, tmp_path_factory):
    """A grid with a failing regime in it."""
    return on_both(tmp_path_factory, DIVERGING, 1)


def test_ids_and_records_are_those_of_the_local_engine(grids):
    assert records(grids.ray) == records(grids.local)
    assert len(records(grids.ray)) == 14
    stored = RecordStore(grids.ray.runs)
    assert {stored.get(run_id).concurrency for run_id in records(grids.ray)} == {2}
    assert {stored.get(run_id).threads for run_id in records(grids.ray)} == {1}


def test_a_run_that_fails_is_a_failed_record_and_costs_no_other(grids):
    failed = [r for r in records(grids.ray).values() if r["status"] == "failed"]
    assert [r["error_kind"] for r in failed] == ["diverged"] * 4
    table = grids.ray.table()
    assert set(table[table["regime"] == "diverging"]["run_id"]) == {r["run_id"] for r in failed}


def test_a_second_call_trains_nothing(grids, capsys):
    write_tiny(grids.ray.folder)
    before = grids.ray.records()
    assert call(*grids.ray.words("run", "--engine", "ray")) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert grids.ray.records() == before


def test_nothing_of_ray_stays_in_the_store(grids):
    ray, local = ({path.name for path in lab.runs.iterdir()} for lab in (grids.ray, grids.local))
    assert ray == local


def trials(lab: Lab) -> dict[str, list[tuple[object, ...]]]:
    """What each search of a lab has tried, and what came of it."""
    store, file = RecordStore(lab.runs), load_experiment(lab.experiment)
    return {
        run.id: [
            (one.options, one.val_accuracy, one.val_loss, one.epochs, one.steps)
            for one in store.trials(run)
        ]
        for run in runs_of(plan(file.experiment)).values()
        if run.purpose == "search"
    }


def test_searches_and_looks_come_to_the_same_as_on_the_local_engine(cluster, tmp_path_factory):
    tuned = on_both(tmp_path_factory, TUNED, 0)
    found = records(tuned.ray)
    assert found == records(tuned.local)
    assert trials(tuned.ray) == trials(tuned.local)
    assert {len(tried) for tried in trials(tuned.ray).values()} == {2}
    states = [lab.table()["status"].tolist() for lab in (tuned.ray, tuned.local)]
    assert states[0] == states[1]
    assert {"done", "not needed"} == set(states[0]), "the second look asked for some arms alone"
    third = tuned.ray.table().query("seed == 3 and status == 'done'")
    assert set(third["run_id"]) <= set(found) and len(third)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gpus-per-run", "0.25"), "no node of the Ray cluster has a GPU"),
        (("--threads", "2"), "no node of the Ray cluster has 2 CPUs"),
    ],
)
def test_what_the_cluster_cannot_run_is_refused_at_once(cluster, tmp_path, capsys, options, told):
    lab, start = Lab(tmp_path), time.monotonic()
    assert call(*lab.words("run", "--engine", "ray", *options)) == 2
    assert time.monotonic() - start < 20
    assert told in capsys.readouterr().err
    assert lab.records() == {}


def test_a_store_that_nodes_do_not_see_is_refused_with_their_names(cluster, tmp_path, monkeypatch):
    unseen = Place(tmp_path / "ray" / "never", tmp_path, "")
    monkeypatch.setattr(Place, "of_this_process", classmethod(lambda *_: unseen))
    with pytest.raises(EngineError) as refused:
        RayEngine(store=tmp_path, runs=4)
    lines = str(refused.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("Ray node ") for line in lines)
    assert all(f"does not see the store {tmp_path}; --runs must" in line for line in lines)


def test_calls_run_on_all_nodes_in_workers_that_are_reused(cluster, tmp_path):
    with running(tmp_path) as ray:
        assert ray.engine.slots == 2
        assert until(lambda: len(ray.engine._free) == 2, 60)
        first = {f.result() for f in [ray.submit(ray_calls.whoami, 0.3) for _ in range(4)]}
        assert len(first) == len({node for _, node in first}) == 2
        with pytest.raises(ValueError, match="as asked"):
            ray.submit(ray_calls.refuse, "as asked").result()
        assert {f.result() for f in [ray.submit(ray_calls.whoami, 0.3) for _ in range(4)]} == first
        assert ray.warnings == []

        # A worker that dies costs its call a try, and nothing else anything.
        others = [ray.submit(ray_calls.whoami, 0.2) for _ in range(4)]
        assert ray.submit(ray_calls.die, tmp_path / "once", 1).result(60) == 2
        assert all(len(other.result(60)) == 2 for other in others)
        assert [w for w in ray.warnings if "is tried again (1 of 2 times)" in w] == ray.warnings

        # A call that no worker survives is given up.
        with pytest.raises(WorkerCrashError, match=f"{RETRIES + 1} workers died while it was run"):
            ray.submit(ray_calls.die, tmp_path / "always", 99).result(60)
        assert len((tmp_path / "always").read_text().splitlines()) == RETRIES + 1

        # A worker that died while it was idle costs no call a try.
        assert until(lambda: len(ray.engine._free) == 2, 60)
        pids = {f.result()[0] for f in [ray.submit(ray_calls.whoami, 0.3) for _ in range(4)]}
        warned = len(ray.warnings)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert len(ray.submit(ray_calls.whoami).result(60)) == 2
        assert len(ray.warnings) == warned


def test_jobs_are_an_upper_bound(cluster, tmp_path):
    with running(tmp_path, jobs=1) as ray:
        assert ray.engine.slots == 1
        calls = [ray.submit(ray_calls.whoami) for _ in range(3)]
        assert len({call.result(60)[0] for call in calls}) == 1
        ray.engine.close()
        assert list(tmp_path.iterdir()) == []


def test_kill_ends_workers_at_once_and_what_waits_for_them(cluster, tmp_path):
    with running(tmp_path) as ray:
        pids = {f.result(60)[0] for f in [ray.submit(ray_calls.whoami, 0.5) for _ in range(4)]}
        held = [ray.submit(ray_calls.hold, tmp_path / f"held-{n}") for n in range(3)]
        assert until(lambda: len(list(tmp_path.glob("held-*"))) == len(pids), 30)
        start = time.monotonic()
        ray.engine.kill()
        assert time.monotonic() - start < 10
        assert all(future.done() for future in held)
        assert until(lambda: not any(map(alive, pids)), 10)


def test_workers_that_cannot_start_are_an_error_and_no_waiting(cluster, tmp_path):
    with running(tmp_path, ray_calls.DyingWorker, jobs=1) as ray:
        with pytest.raises(EngineError, match="no Ray worker could start"):
            ray.submit(ray_calls.whoami).result(90)
        with pytest.raises(EngineError, match="no Ray worker could start"):
            ray.submit(ray_calls.whoami).result(5)


def test_shares_of_a_gpu_are_counted(cluster, tmp_path):
    node = cluster.add_node(num_cpus=4, num_gpus=1)
    try:
        with running(tmp_path) as ray:
            assert ray.engine.slots == 1  # by default a GPU is shared by nobody
        with running(tmp_path, gpus_per_run=0.5) as ray:
            assert ray.engine.slots == 2
            seen = [ray.submit(ray_calls.gpu_ids, 0.2) for _ in range(4)]
            assert [future.result(60) for future in seen] == [["0"]] * 4
    finally:
        cluster.remove_node(node)


def test_a_run_whose_node_is_lost_is_run_again_and_the_grid_finishes(grids, cluster, tmp_path):
    cells = plan(load_experiment(write_tiny(tmp_path), []).experiment)
    lab, diary = Lab(tmp_path), tmp_path / "diary"
    store = RecordStore(lab.runs)
    work, ended = todo(cells, store), []
    held = next(run_id for run_id, run in work.runs.items() if not run.init)
    train = partial(grid._execute, str(lab.runs), Workers(), 2, None)

    class Watch:
        def started(self, runs):
            pass

        def ended(self, run, record):
            ended.append(run.id)

    with running(lab.runs, worker=None) as ray:
        train = partial(ray_calls.held_at_first, diary, held, train)
        going = threading.Thread(
            target=lambda: run_grid(work, store, ray.engine, train, Watch()), daemon=True
        )
        going.start()
        assert until(lambda: diary.exists() and diary.read_text(), 120)
        assert held not in ended
        (lost,) = [n for n in cluster.worker_nodes if n.node_id == diary.read_text()]
        cluster.remove_node(lost, allow_graceful=False)
        going.join(120)
        assert not going.is_alive()
    assert sorted(ended) == sorted(work.runs)
    assert len([w for w in ray.warnings if "is tried again (1 of 2 times)" in w]) == 1
    expected = {i: r for i, r in records(grids.local).items() if r["status"] == "done"}
    assert records(lab) == expected


@pytest.mark.skipif(
    SERIES < (2, 60),
    reason="Ray 2.40 ends the process that asked when its last node goes, 2.60 does not",
)
def test_a_cluster_without_any_node_left_is_given_up(cluster, tmp_path, monkeypatch):
    """Last, since it takes the cluster's last node."""
    monkeypatch.setattr(engine_module, "GRACE", 1.0)
    with running(tmp_path) as ray:
        held = ray.submit(ray_calls.hold, tmp_path / "held")
        assert until(lambda: (tmp_path / "held").exists(), 60)
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node, allow_graceful=False)
        with pytest.raises(WorkerCrashError, match="no node of the Ray cluster has had room"):
            held.result(60)
        with pytest.raises(WorkerCrashError, match="no node of the Ray cluster has had room"):
            ray.submit(ray_calls.whoami).result(5)


def test_an_interrupted_grid_on_a_cluster_of_its_own_leaves_nothing_behind(tmp_path, monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delitem(ENVIRONMENT, name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setitem(ENVIRONMENT, "HOME", str(home))
    lab = Lab(tmp_path)
    process = lab.start("--engine", "ray", "--jobs", "1")
    try:
        assert until(lambda: len(lab.records()) >= 3 or process.poll() is not None, 180)
        children = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--engine ray" in next(line for line in err.splitlines() if "To go on: " in line)
    assert len(children) >= 3
    assert until(lambda: not any(map(alive, children)), 10)
    assert not (home / ".ray").exists()
    assert not (lab.runs / "ray").exists()
