"""The pinned predictions: where they lie, how they are made anew, and what has moved."""

from __future__ import annotations

import base64
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from tests.golden.runs import IMAGES_AND_CLASSES
from transfer_lab.experiment.spec import PROTOCOL

FILE = Path(__file__).with_name("results.json")
ROOT = Path(__file__).parents[2]
MAKE = "python -m tests.golden.make"

EVERYWHERE = {
    "CUDA_VISIBLE_DEVICES": "",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}
"""What every x86-64 processor can do, so that all of them add in the same order."""

TOLERANCE = {"fp32": 3e-5, "bf16": 0.15}
"""How far logits may lie from the pinned ones in a machine's own numbers, as a part of the largest
of a run; see `test_results`."""

SOLVED = ("coral", "importance_weighting", "pooled_head")
"""Regimes that numpy and scipy solve: their kernels follow the processor whatever the environment
says (AVX-512 or not moved logits by up to 2.1e-5), so that these are held to the tolerance."""

Answers = Mapping[str, np.ndarray]
"""Logits (images, classes) by the numbers and name of a run."""


class Pinned(NamedTuple):
    """What the runs answered, under which protocol, and on what kind of machine."""

    protocol: int
    kind: dict[str, str]
    answers: Answers


def kind() -> dict[str, str]:
    """All that the last bit of a prediction depends on where everything is computed `EVERYWHERE`
    alike: the instruction set, and the versions of what computes."""
    packages = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow")
    system = {"machine": platform.machine(), "libc": " ".join(platform.libc_ver())}
    return system | {name: version(name) for name in packages}


def train(environment: Mapping[str, str], *words: str) -> subprocess.Popen:
    """Start the training of the tiny runs, `all` or the `steady` ones, in its own process."""
    own = {name: value for name, value in os.environ.items() if name not in EVERYWHERE}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.golden.trained", *words],
        cwd=ROOT,
        env={**own, "PYTHONPATH": str(ROOT), **environment},
        stdout=sys.stderr,
    )


def trained(*asked: tuple) -> tuple[Answers, ...]:
    """What runs answer: an environment, and `all` or `steady`, each; all at the same time."""
    with TemporaryDirectory() as folder:
        outs = [f"{folder}/{number}.npz" for number in range(len(asked))]
        started = [
            train(environment, out, *what)
            for (environment, *what), out in zip(asked, outs, strict=True)
        ]
        codes = [process.wait() for process in started]
        assert not any(codes), "the tiny runs cannot be trained; their error stands above"
        return tuple(dict(np.load(out)) for out in outs)


def read() -> Pinned:
    """The pinned file."""
    content = json.loads(FILE.read_text())
    answers = {name: _decoded(text) for name, text in content["answers"].items()}
    return Pinned(content["protocol"], content["kind"], answers)


def write(answers: Answers) -> None:
    """Pin what the runs answered on this kind of machine."""
    encoded = {name: _encoded(logits) for name, logits in answers.items()}
    content = {"protocol": PROTOCOL, "kind": kind(), "answers": encoded}
    FILE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def moved(found: Answers, pinned: Answers, *, exact: bool) -> list[str]:
    """Of the runs in both, those whose logits are others, or lie beyond the tolerance."""

    def has_moved(name: str) -> bool:
        if exact and name.partition(" / ")[2] not in SOLVED:
            return found[name].tobytes() != pinned[name].tobytes()
        return not distance(found[name], pinned[name]) <= TOLERANCE[name.partition(":")[0]]

    return [name for name in found if name in pinned and has_moved(name)]


def distance(found: np.ndarray, pinned: np.ndarray) -> float:
    """The furthest that a logit moved, as a part of the largest one."""
    return float(np.abs(found - pinned).max() / np.abs(pinned).max())


def steady(answers: Answers) -> dict[str, np.ndarray]:
    """Those runs that can be compared between machines."""
    return {name: logits for name, logits in answers.items() if name.endswith(", plain steps")}


def told(names: Iterable[str], found: Answers, pinned: Answers) -> str:
    """The runs that moved, and the way out."""
    lines = [f"  {name}: by {distance(found[name], pinned[name]):.1e}" for name in names]
    return "\n".join(
        [
            f"the predictions of {len(lines)} of {len(found)} tiny runs moved:",
            *lines,
            f"If that is meant: raise PROTOCOL in the module of Run (it is {PROTOCOL}), so that no "
            "old record is taken for a new one, and make the reports anew; then pin the new "
            f"predictions: {MAKE}",
        ]
    )


def _encoded(logits: np.ndarray) -> str:
    return base64.b64encode(logits.astype("<f4").tobytes()).decode()


def _decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(IMAGES_AND_CLASSES)
