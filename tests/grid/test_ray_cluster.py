"""What is asked of a Ray cluster before anything runs on it; none of this needs Ray."""

import contextlib
import os
import shutil
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import transfer_lab
from tests.cli.test_app import Lab, call
from transfer_lab.grid.engines import EngineError, ray_cluster, ray_worker, start
from transfer_lab.grid.engines.ray_worker import Place, PlaceError, take_gpu_share
from transfer_lab.system.workers import Workers


def node(name="n", **resources):
    return {"Resources": resources, "NodeManagerHostname": name, "NodeManagerAddress": "::1"}


@pytest.mark.parametrize(
    ("resources", "threads", "gpus", "expected"),
    [
        ({"CPU": 4.0}, 1, 0, 4),
        ({"CPU": 5.0}, 2, 0, 2),
        ({"CPU": 1.0}, 2, 0, 0),
        ({}, 1, 0, 0),
        ({"CPU": 16.0, "GPU": 1.0}, 1, 0, 16),
        ({"CPU": 16.0, "GPU": 1.0}, 1, 1, 1),
        ({"CPU": 16.0, "GPU": 1.0}, 1, 0.25, 4),
        ({"CPU": 16.0, "GPU": 2.0}, 1, 0.4, 4),
        ({"CPU": 16.0, "GPU": 1.0}, 1, 0.1, 10),
        ({"CPU": 3.0, "GPU": 1.0}, 1, 0.1, 3),
        ({"CPU": 16.0}, 1, 0.1, 0),
    ],
)
def test_a_node_has_room_for_what_its_cpus_and_whole_shares_of_its_gpus_hold(
    resources, threads, gpus, expected
):
    assert ray_cluster.slots_of(node(**resources), threads, gpus) == expected


def test_rooms_do_not_add_up_across_nodes():
    halves = [node(CPU=1.0), node(CPU=1.0)]
    assert ray_cluster.slots(halves, 1, 0) == 2
    assert ray_cluster.slots(halves, 2, 0) == 0


def test_a_run_has_a_whole_gpu_where_there_is_one():
    assert ray_cluster.default_gpus([node(CPU=4.0), node(CPU=4.0, GPU=2.0)]) == 1
    assert ray_cluster.default_gpus([node(CPU=4.0)]) == ray_cluster.default_gpus([]) == 0


@pytest.mark.parametrize(
    ("nodes", "threads", "gpus", "told"),
    [
        ([node(CPU=4.0)], 1, 0.25, "no node of the Ray cluster has a GPU; leave the option out"),
        ([node(CPU=4.0), node(CPU=2.0)], 5, 0, "has 5 CPUs for a run (the largest has 4 CPUs)"),
        ([node(CPU=2.0, GPU=1.0)], 4, 0.5, "has 4 CPUs beside 0.5 of a GPU"),
        ([], 1, 0, "the largest has 0 CPUs"),
    ],
)
def test_what_no_node_can_run_is_refused(nodes, threads, gpus, told):
    with pytest.raises(EngineError) as refused:
        ray_cluster.check_room(nodes, threads, gpus)
    assert told in str(refused.value)


def test_a_cluster_of_ones_own_is_as_large_as_the_machine_or_the_jobs(monkeypatch):
    monkeypatch.setattr(ray_cluster.host, "cores", lambda: 4)
    assert ray_cluster.cpus_here(None, 1) == ray_cluster.cpus_here(None, 3) == 4
    assert ray_cluster.cpus_here(None, 6) == 6
    assert ray_cluster.cpus_here(3, 2) == 6


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", ":6379", "http://a:1"])
def test_an_address_of_another_kind_is_refused(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(EngineError, match="it must be HOST:PORT of the head node"):
        ray_cluster.connect(1)


def test_a_cluster_that_does_not_answer_is_refused_at_once(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(EngineError, match=r"nothing answers there .*Unset RAY_ADDRESS"):
            ray_cluster.connect(1)


@contextlib.contextmanager
def answering(answer: bytes | None):
    """The address of somebody who answers with that, with nothing at all, or ends the call."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()

        def answer_one():
            call, _ = somebody.accept()
            with call:
                call.recv(1000)
                if answer is None:
                    over.wait(30)
                elif answer:
                    call.sendall(answer)

        over = threading.Event()
        thread = threading.Thread(target=answer_one, daemon=True)
        thread.start()
        yield "{}:{}".format(*somebody.getsockname())
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "no head node of Ray; name the address"),
        (b"", "no head node of Ray"),
        (b"\x00\x00", "no head node of Ray"),
        (None, "nothing answers there"),
    ],
)
def test_what_is_no_head_node_is_refused_before_ray_waits_for_it(monkeypatch, answer, told):
    monkeypatch.setattr(ray_cluster, "_REACHABLE", 0.5)
    with answering(answer) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(EngineError, match=told):
            ray_cluster.connect(1)


def test_a_head_node_is_known_by_its_greeting():
    with answering(bytes([0, 0, 12, 4, 0, 0, 0, 0, 0])) as address:
        ray_cluster._check_address(address)


def test_without_ray_one_error_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "kept from this process")
    lab = Lab(tmp_path)
    assert call(*lab.words("run", "--engine", "ray")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'transfer-lab[ray]'" in line
    assert lab.records() == {}


def test_shares_of_gpus_are_rays(tmp_path, capsys):
    with pytest.raises(EngineError, match="--gpus-per-run needs --engine ray"):
        start(Workers(gpus_per_run=0.25), runs=1, store=tmp_path, warn=print)
    assert call(*Lab(tmp_path).words("run", "--gpus-per-run", "0.25")) == 2
    assert "--gpus-per-run needs --engine ray" in capsys.readouterr().err


def test_a_worker_finds_its_place_where_the_store_the_folder_and_the_code_are(tmp_path):
    place = Place.of_this_process(tmp_path / "runs")
    assert place.problem() is None
    for change, told in (
        ({"marker": tmp_path / "copy" / "ray" / place.marker.name}, "does not see the store"),
        ({"folder": tmp_path / "gone"}, "does not see"),
        ({"code": "0" * 64}, "another version of transfer_lab"),
    ):
        assert told in replace(place, **change).problem()
    place.leave()
    assert f"does not see the store {tmp_path / 'runs'}; --runs must be" in place.problem()
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_copy_of_the_store_is_not_the_store(tmp_path):
    first, second = (Place.of_this_process(tmp_path) for _ in range(2))
    assert first.marker != second.marker
    first.leave()
    assert second.problem() is None
    assert first.problem()


def test_the_code_is_that_of_all_files_of_the_package():
    ray_worker.code.cache_clear()
    assert ray_worker.code() == ray_worker.code() != ""
    assert len(ray_worker.code()) == 64


def test_the_code_is_that_of_every_room_of_the_package(tmp_path, monkeypatch):
    package = Path(transfer_lab.__file__).parent
    copy = shutil.copytree(package, tmp_path / "transfer_lab")
    place = Path(ray_worker.__file__).relative_to(package)
    hashes = {"as it is": ray_worker.code()}
    monkeypatch.setattr(ray_worker, "__file__", str(copy / place))
    ray_worker.code.cache_clear()
    assert ray_worker.code() == hashes["as it is"]
    files = [copy / "__init__.py", *copy.glob("*/__init__.py")]
    assert {"data", "grid", "regimes", "training"} < {file.parent.name for file in files}
    for file in files:
        with file.open("a") as source:
            source.write("# another version\n")
        ray_worker.code.cache_clear()
        hashes[file.parent.name] = ray_worker.code()
    ray_worker.code.cache_clear()
    assert len(set(hashes.values())) == len(files) + 1


def test_a_share_of_a_gpu_is_a_share_of_its_memory(monkeypatch):
    shares = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    take_gpu_share(0.25)
    take_gpu_share(1.0)
    assert shares == [0.25]


def test_a_gpu_that_torch_does_not_find_is_no_reason_to_train_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PlaceError, match=r"torch finds none; .* --gpus-per-run 0"):
        take_gpu_share(0.25)


def test_a_worker_takes_its_place(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(ray_worker, "become_worker", lambda threads: taken.append(threads))
    monkeypatch.setattr(ray_worker, "take_gpu_share", lambda share: taken.append(share))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.chdir(tmp_path)
    place = Place.of_this_process(Path("runs"))
    os.chdir("/")
    worker = ray_worker.Worker()
    worker.begin(place, 2, 0.5)
    assert (taken, os.getcwd(), os.environ["CUDA_VISIBLE_DEVICES"]) == (
        [2, 0.5],
        str(tmp_path),
        "0",
    )
    worker.begin(place, 1, 0)
    assert (taken, os.environ["CUDA_VISIBLE_DEVICES"]) == ([2, 0.5, 1], "")
    place.leave()
    with pytest.raises(PlaceError, match="does not see the store"):
        worker.begin(place, 1, 0)
    assert worker.run(max, (1, 2)) == 2
