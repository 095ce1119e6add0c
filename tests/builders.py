"""Small experiments, runs and records that several test modules start from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from transfer_lab.experiment.choices import Architecture, Choice
from transfer_lab.experiment.spec import Experiment, Fit, Run
from transfer_lab.grid.engines.local import LocalEngine
from transfer_lab.store.records import Record, RecordStore

ROOT = Path(__file__).parents[1]


def one_by_one(train: Callable[[Run, bool], Record]) -> Callable[..., list[Record]]:
    """What a grid hands runs to, made of what trains one."""
    return lambda runs, keep_weights: [train(run, keep_weights) for run in runs]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
"""For other processes: the package that is tested, wherever they start."""

TINY_YAML = """\
name: tiny
image_size: 12

domains:
  latin: {letters: ABCD, train_per_class: 8, test_per_class: 6}
  greek: {letters: ΓΔΘΛ, train_per_class: 8, test_per_class: 6}
  cyrillic: {letters: БГДЖ, train_per_class: 8, test_per_class: 6}

scenarios:
  small_similar: {source: latin, target: cyrillic, per_class: 4}
  small_dissimilar: {source: greek, target: cyrillic, per_class: 4}

backbones:
  mlp: {width: 8, depth: 2}

regimes:
  from_scratch: {}
  linear_probe: {}
  majority: {}

seeds: [0, 1]

fit: {epochs: 2, batch_size: 8}
pretrain: {epochs: 2, batch_size: 8}
"""
"""12 cells, 10 runs, seconds on two cores."""


def write_tiny(folder: Path, text: str = TINY_YAML) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def experiment(**changes) -> Experiment:
    """Four scenarios, two backbones, every regime, two seeds; `changes` replace whole keys."""
    similar = {"source": "latin", "target": "cyrillic", "similarity": "similar"}
    dissimilar = {"source": "textures", "target": "cyrillic", "similarity": "dissimilar"}
    content = {
        "name": "built",
        "image_size": 12,
        "domains": {name: {"kind": name} for name in ("latin", "textures", "cyrillic")},
        "scenarios": {
            "small_similar": {**similar, "size": "small", "per_class": 2},
            "small_dissimilar": {**dissimilar, "size": "small", "per_class": 2},
            "large_dissimilar": {**dissimilar, "size": "large", "per_class": 4},
            "large_similar": {**similar, "size": "large", "per_class": 4},
        },
        "backbones": {"mlp": choice("mlp", width=8), "cnn": choice("cnn")},
        "regimes": {
            "from_scratch": choice("from_scratch"),
            "linear_probe": choice("linear_probe", lr=0.01),
            "partial_finetune": choice("partial_finetune", k=1),
            "full_finetune": choice("full_finetune"),
            "lp_ft": choice("lp_ft"),
            "majority": choice("majority"),
            "random_features": choice("random_features"),
        },
        "seeds": [0, 1],
    }
    return Experiment.model_validate(content | changes)


def choice(kind: str, **options) -> dict:
    return {"kind": kind, "options": options}


def tiny_run(
    regime: str = "from_scratch", *, seed: int = 0, init: Run | None = None, **options
) -> Run:
    """A run that trains in a fraction of a second."""
    letters = {"letters": "ABCD", "train_per_class": 8, "test_per_class": 6}
    return Run(
        domain=Choice(kind="latin", options=letters),
        image_size=12,
        per_class=8,
        backbone=Architecture(kind="mlp", options={"width": 8, "depth": 2}),
        regime=Choice(kind=regime, options=options),
        fit=Fit(epochs=2, batch_size=8),
        seed=seed,
        init=init,
    )


def done(run: Run, **columns) -> Record:
    """A finished record with a number that differs from run to run."""
    score = int(run.id, 16) / 16**16
    known = {"test_accuracy": score, "fit_seconds": 1 / 3, "n_test": 24, "started_at": "2026-01-01"}
    init_id = run.init.id if run.init else None
    return Record(run_id=run.id, init_id=init_id, status="done", **(known | columns))


def failed(run: Run, message: str = "it went wrong") -> Record:
    return Record.failure(run, "error", message)


def leave_weights(run: Run, store: RecordStore, content: bytes = b"weights") -> str:
    """The file that a finished parent leaves; returns its SHA-256."""
    path = store.file(run.id, "backbone.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def records_in(store: RecordStore) -> dict[str, Record]:
    return {p.parent.name: store.get(p.parent.name) for p in store.root.glob("*/record.json")}


@cache
def workers() -> LocalEngine:
    """Two worker processes for all tests that need not start their own: a start takes seconds."""
    return LocalEngine(2)


class SharedEngine:
    """Stands for `LocalEngine` and hands everything to the workers that all tests share."""

    def __init__(self, jobs: int, threads: int = 1):
        assert threads == 1
        self.slots, self.submit = jobs, workers().submit
        self.submit_apart = workers().submit_apart

    def close(self) -> None:
        pass

    kill = close


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for the condition; whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> set[int]:
    """Living child processes, whichever thread started them."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(child) for child in path.read_text().split()}
    return {child for child in found if alive(child)}


def descendants_of(pid: int) -> set[int]:
    """Living child processes, theirs, and so on."""
    children = children_of(pid)
    return children.union(*map(descendants_of, children))
