"""The Ray cluster that a grid runs on: found or started, and checked before anything is trained."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from transfer_lab.grid.engines.errors import EngineError
from transfer_lab.grid.engines.ray_guard import Guard, usable
from transfer_lab.grid.engines.ray_worker import Place
from transfer_lab.system import host

_REACHABLE, _ANSWERING = 5, 120
_OBJECT_STORE = 100 * 2**20  # records and experiments pass through it, no images

_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""A frame of HTTP/2 with which both sides begin; the fourth byte says what it is."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS

Node = Mapping[str, Any]
"""A node as `ray.nodes()` lists it."""


def connect(cpus: int) -> Guard | None:
    """Join the cluster of RAY_ADDRESS, or start one of this machine alone with so many CPUs.

    A cluster of one's own is closed to others by a token that only its processes know; without
    one Ray would write a token into the home directory. Its processes end with this one: a guard,
    which is returned, sees to that until it is told to end.
    """
    address = os.environ.get("RAY_ADDRESS") or "local"
    _check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {}
    if address == "local":
        if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        options = {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
        }
    try:
        import ray  # after the environment, which it reads once
    except ImportError as error:
        raise EngineError(
            f"--engine ray needs Ray ({error}): pip install 'transfer-lab[ray]', "
            "or leave --engine out to run on this machine"
        ) from None
    if ray.is_initialized():
        raise EngineError("Ray is in use in this process already; call ray.shutdown() first")
    before = signal.getsignal(signal.SIGTERM)
    guard = Guard() if address == "local" and usable() else None
    try:
        with guard.marking() if guard else contextlib.nullcontext():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (Exception, SystemExit) as error:  # Ray exits where a cluster does not answer
        leave(guard)
        raise EngineError(
            f"Ray ({address}): {_first_line(error)}; leave --engine out to run on this machine's "
            "own workers"
        ) from error
    except KeyboardInterrupt:
        leave(guard)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
    return guard


def leave(guard: Guard | None) -> None:
    """Part from the cluster, which ends if it is guarded."""
    import ray

    ray.shutdown()
    if guard:
        guard.end()


def cpus_here(jobs: int | None, threads: int) -> int:
    """CPUs of a cluster of one's own: what the jobs need, or what this machine has."""
    return jobs * threads if jobs else max(threads, host.cores())


def alive_nodes() -> list[Node]:
    """The cluster's living nodes."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def default_gpus(nodes: Iterable[Node]) -> float:
    """A whole GPU for each run where there is one: no run then lacks memory for another's sake."""
    return 1.0 if any(_resource(node, "GPU") for node in nodes) else 0.0


def slots(nodes: Iterable[Node], threads: int, gpus: float) -> int:
    """Runs that the nodes can execute at once."""
    return sum(slots_of(node, threads, gpus) for node in nodes)


def slots_of(node: Node, threads: int, gpus: float) -> int:
    """Runs that one node can execute at once; a share of a GPU lies within one GPU."""
    by_cpu = int(_resource(node, "CPU") // threads)
    if not gpus:
        return by_cpu
    return min(by_cpu, int(_resource(node, "GPU")) * int(1 / gpus + 1e-9))


def check_room(nodes: Iterable[Node], threads: int, gpus: float) -> None:
    """Raise EngineError if no node can execute a single run: Ray would let it wait for ever."""
    nodes = list(nodes)
    if slots(nodes, threads, gpus):
        return
    if gpus and not any(_resource(node, "GPU") for node in nodes):
        raise EngineError(
            f"--gpus-per-run {gpus:g}: no node of the Ray cluster has a GPU; leave the option out "
            "to run on CPUs, or name a cluster that has GPUs in RAY_ADDRESS"
        )
    most = max((int(_resource(node, "CPU")) for node in nodes), default=0)
    raise EngineError(
        f"no node of the Ray cluster has {threads} CPUs"
        + (f" beside {gpus:g} of a GPU" if gpus else "")
        + f" for a run (the largest has {most} CPUs); choose fewer --threads, or add nodes"
    )


def checked(nodes: Iterable[Node], place: Place) -> list[Node]:
    """The nodes, but those that are lost by now.

    Raises EngineError, naming every node that could not do the runs' work and why.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(Place.problem)
    asked = {
        look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(place): node
        for node in nodes
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWERING)
    problems = dict.fromkeys(silent, f"gives no answer within {_ANSWERING} s")
    lost = set()
    for answer in answered:
        try:
            problems[answer] = ray.get(answer)
        except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
            lost.add(answer)
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1].strip()
            problems[answer] = f"{last}; is the same transfer_lab installed there?"
    told = [f"Ray node {name_of(asked[one])}: {text}" for one, text in problems.items() if text]
    if told:
        raise EngineError("\n".join(sorted(told)))
    return [asked[one] for one in asked if one not in lost]


def name_of(node: Node) -> str:
    """How people know the node."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _check_address(address: str) -> None:
    """Raise EngineError at once where Ray would try for minutes."""
    if address in ("local", "auto"):
        return
    where, _, port = address.rpartition(":")
    if "://" in address or not where or not port.isdigit():
        raise EngineError(
            f"RAY_ADDRESS={address}: it must be HOST:PORT of the head node, or auto, and the "
            "command must be given on a machine of the cluster"
        )
    try:
        with socket.create_connection((where, int(port)), timeout=_REACHABLE) as line:
            answered = "RAY_USE_TLS" in os.environ or _speaks_http2(line)
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"RAY_ADDRESS={address}: nothing answers there ({error}); is `ray start --head` "
            "running? Unset RAY_ADDRESS to use this machine alone"
        ) from None
    if not answered:
        raise EngineError(
            f"RAY_ADDRESS={address}: what answers there is no head node of Ray; name the address "
            "that `ray start --head` has shown, or unset RAY_ADDRESS to use this machine alone"
        )


def _speaks_http2(line: socket.socket) -> bool:
    """Whether the other side greets as a head node does, which is a gRPC server."""
    line.sendall(_GREETING)
    answer = b""
    while len(answer) < len(_SETTINGS) and (more := line.recv(len(_SETTINGS) - len(answer))):
        answer += more
    return answer[3:4] == _SETTINGS[3:4]


def _resource(node: Node, name: str) -> float:
    return node["Resources"].get(name, 0.0)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0].rstrip()
