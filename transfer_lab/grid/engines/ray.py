"""Worker processes on a Ray cluster, of this machine or of many, reused from run to run."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from transfer_lab.grid.engines import ray_cluster as cluster
from transfer_lab.grid.engines.errors import EngineError, WorkerCrashError
from transfer_lab.grid.engines.ray_worker import Place, Worker

RETRIES = 2
"""How often a call is tried again because the worker or the node it was in was lost."""
GRACE = 60.0
"""Seconds that a cluster may be without a node for any run before the grid gives up."""
_TICK = 2.0


@dataclass(eq=False)
class _Job:
    """A call and the future of its result."""

    call: Callable[..., object]
    args: tuple[object, ...]
    code: str | None = None
    future: Future = field(default_factory=Future)
    losses: int = 0


@dataclass(eq=False)
class _Slot:
    """A worker and how often it was lost before it had begun."""

    actor: Any
    losses: int = 0
    host: str = ""
    code: str | None = None


class RayEngine:
    """Workers of `threads` CPUs and `gpus_per_run` GPUs each, on the nodes of a Ray cluster.

    All that happens is an event that one thread handles: a call was submitted, a worker has begun,
    a call has ended. A worker that is lost with its process or its node is replaced where there is
    room, and its call goes to the next free worker, `RETRIES` times at most.
    """

    def __init__(
        self,
        *,
        store: Path,
        runs: int,
        jobs: int | None = None,
        threads: int = 1,
        gpus_per_run: float | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ):
        self._warn, self._threads = warn, threads
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()
        self._starting: set[_Slot] = set()
        self._free: deque[_Slot] = deque()
        self._busy: set[_Slot] = set()
        self._open: set[Future] = set()
        self._given_up: Exception | None = None
        self._stuck_since: float | None = None
        self._roomless_since: float | None = None
        self._told = False
        self._guard = cluster.connect(cluster.cpus_here(min(jobs, runs) if jobs else None, threads))
        import ray

        self._ray = ray
        self._place, self._left = None, False
        try:
            nodes = cluster.alive_nodes()
            given = gpus_per_run is not None
            self._gpus = gpus_per_run if given else cluster.default_gpus(nodes)
            cluster.check_room(nodes, threads, self._gpus)
            self._place = Place.of_this_process(store)
            usable = [node for node in nodes if cluster.slots_of(node, threads, self._gpus)]
            usable = cluster.checked(usable, self._place)
            cluster.check_room(usable, threads, self._gpus)
            self.slots = min(cluster.slots(usable, threads, self._gpus), runs, jobs or runs)
            self._worker = ray.remote(
                num_cpus=threads,
                num_gpus=self._gpus,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )(Worker)
            for _ in range(self.slots):
                self._start()
        except BaseException:
            self._leave()
            raise
        self._thread = threading.Thread(target=self._serve, name="ray-events", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[..., object], *args: object) -> Future:
        """Run `call(*args)` in the next free worker; WorkerCrashError if workers die of it."""
        return self._submit(_Job(call, args))

    def submit_apart(self, code: str, call: Callable[..., object], *args: object) -> Future:
        """The same of what runs foreign code, in a worker that has run and will run no other."""
        return self._submit(_Job(call, args, code))

    def _submit(self, job: _Job) -> Future:
        self._open.add(job.future)
        job.future.add_done_callback(self._open.discard)
        self._events.put(partial(self._waiting.append, job))
        return job.future

    def close(self) -> None:
        """Wait for what runs, then end the workers."""
        wait(set(self._open))
        self.kill()

    def kill(self) -> None:
        """End the workers now; what they were running is abandoned."""
        self._events.put(None)
        self._thread.join(timeout=5)
        for future in tuple(self._open):
            if not future.cancel():
                _settle(future, error=WorkerCrashError("the engine was stopped"))
        self._leave()

    def _leave(self) -> None:
        if self._left:
            return
        self._left = True
        for slot in (*self._starting, *self._free, *self._busy):
            self._ray.kill(slot.actor)
        cluster.leave(self._guard)
        if self._place:
            self._place.leave()

    def _serve(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=_TICK)
            except queue.Empty:
                event = self._look_around
            if event is None:
                return
            try:
                event()
                self._assign()
            except Exception as error:  # as when the cluster itself is gone
                self._give_up(error)

    def _start(self, losses: int = 0) -> None:
        actor = self._worker.remote()
        slot = _Slot(actor, losses)
        self._starting.add(slot)
        begun = actor.begin.remote(self._place, self._threads, self._gpus)
        self._when_done(begun, partial(self._begun, slot))

    def _begun(self, slot: _Slot, outcome: Future) -> None:
        self._starting.discard(slot)
        error = outcome.exception()
        if error is None:
            slot.host, slot.losses = outcome.result(), 0
            self._free.append(slot)
        elif isinstance(error, self._ray.exceptions.RayTaskError) or slot.losses == RETRIES:
            self._ray.kill(slot.actor)
            reason = _reason(error)
            self._warn(f"a worker could not start and is done without: {reason}")
            if not (self._starting or self._free or self._busy):
                self._give_up(EngineError(f"no Ray worker could start: {reason}"))
        else:
            self._start(slot.losses + 1)

    def _assign(self) -> None:
        while self._waiting and self._given_up:
            _settle(self._waiting.popleft().future, error=self._given_up)
        while self._waiting and self._free:
            job = self._waiting.popleft()
            if not (job.future.running() or job.future.set_running_or_notify_cancel()):
                continue
            slot = self._free.popleft()
            if slot.code not in (None, job.code):
                self._replace(slot)
                self._waiting.appendleft(job)
                continue
            slot.code = job.code
            self._busy.add(slot)
            self._when_done(slot.actor.alive.remote(), partial(self._answered, slot, job))

    def _answered(self, slot: _Slot, job: _Job, outcome: Future) -> None:
        """The worker lives, or died while it was idle: then that was not the call's doing."""
        if outcome.exception() is None:
            ended = slot.actor.run.remote(job.call, job.args)
            self._when_done(ended, partial(self._ended, slot, job))
        else:
            self._replace(slot)
            self._waiting.appendleft(job)

    def _ended(self, slot: _Slot, job: _Job, outcome: Future) -> None:
        error = outcome.exception()
        raised = isinstance(error, self._ray.exceptions.RayTaskError)
        if error and not raised:
            self._replace(slot)
            self._lost(slot, job, error)
            return
        self._busy.discard(slot)
        self._free.append(slot)
        if raised:
            _settle(job.future, error=getattr(error, "cause", None) or error)
        else:
            _settle(job.future, outcome.result())

    def _replace(self, slot: _Slot) -> None:
        self._busy.discard(slot)
        self._ray.kill(slot.actor)  # if it was only out of reach, it is not waited for
        self._start()

    def _lost(self, slot: _Slot, job: _Job, error: BaseException) -> None:
        job.losses += 1
        if job.losses > RETRIES:
            text = f"{job.losses} workers died while it was running, the last on {slot.host}"
            _settle(job.future, error=WorkerCrashError(f"{text}: {_reason(error)}"))
            return
        self._waiting.appendleft(job)
        again = f"its run is tried again ({job.losses} of {RETRIES} times)"
        self._warn(f"a worker on {slot.host} was lost; {again}")

    def _look_around(self) -> None:
        """Say when all calls wait, and give up where no node that is left could execute them."""
        now = time.monotonic()
        if not self._waiting or self._free or self._busy:
            self._stuck_since = None
            return
        self._stuck_since = self._stuck_since or now
        if cluster.slots(cluster.alive_nodes(), self._threads, self._gpus):
            self._roomless_since = None
            if now - self._stuck_since >= GRACE and not self._told:
                self._told = True
                self._warn(f"still no worker after {GRACE:g} s: others may be using the cluster")
            return
        self._roomless_since = self._roomless_since or now
        if now - self._roomless_since >= GRACE:
            self._give_up(
                WorkerCrashError(
                    f"for {GRACE:g} s no node of the Ray cluster has had room for a run; the same "
                    "command goes on once there is one"
                )
            )

    def _give_up(self, error: Exception) -> None:
        """Nothing will run here any more: say so to all who wait, now and later."""
        self._given_up = error
        for future in tuple(self._open):
            _settle(future, error=error)

    def _when_done(self, reference: Any, handle: Callable[[Future], None]) -> None:
        reference.future().add_done_callback(
            lambda outcome: self._events.put(partial(handle, outcome))
        )


def _settle(future: Future, result: object = None, error: BaseException | None = None) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled, or given up before
        future.set_exception(error) if error else future.set_result(result)


def _reason(error: BaseException) -> str:
    """The line of a Ray error that says what happened."""
    cause = getattr(error, "cause", None)
    return str(cause or error).strip().splitlines()[0]
