"""The three commands as a person runs them: seconds, what is promised of new photographs, what is
true of them, and whether all that reads the model's files answers the same."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

import numpy as np

from benchmarks.evidence.image_kinds import write_kinds
from benchmarks.evidence.measures import mean_recall, nested_draws
from benchmarks.evidence.probes import LEAST
from benchmarks.evidence.records import Record
from benchmarks.evidence.tasks import Images, Task, further, images
from benchmarks.machine import machine
from transfer_lab.advice.model.by_torch import ByTorch
from transfer_lab.advice.model.loading import load_model
from transfer_lab.advice.model.manifest import TENSORS, read_manifest
from transfer_lab.experiment.seeds import derive
from transfer_lab.reporting.blocks import Paragraph, Section, Table, cell
from transfer_lab.system.decode import decode_file

SIZES = {150: 15.0, 2000: 120.0}
"""Photographs -> the most seconds that the first answer may take."""
_NEW = 300
_FIRST = "so far:"
"""What the first answer begins with."""
_EQUAL = 1e-5


def draws(
    tasks: list[Task], data: Path, work: Path
) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """A folder of each size of every task that has as many photographs, the small ones first."""
    for n in SIZES:
        for task in (task for task in tasks if task.render is None):
            known = _known(task, data, work)
            if len(known.paths) >= n + _NEW:
                draw = {"task": task.name, "n": n, "seed": 0}
                yield draw, lambda known=known, draw=draw: measured(known, draw)


def measured(known: Images, draw: Record) -> Record:
    """Advice, training and answers on photographs that are not in the folder, each by a process of
    its own, with nothing computed before."""
    seed = derive(draw["seed"], "commands", draw["task"], draw["n"])
    inside, both = nested_draws(known.labels, [draw["n"], draw["n"] + _NEW], LEAST, seed)
    new = np.setdiff1d(both, inside)
    with TemporaryDirectory() as name:
        place = Path(name)
        for row in inside:
            _copied(known.paths[row], place / "photos" / known.classes[known.labels[row]], row)
        asked = [_copied(known.paths[row], place / "new", row) for row in new]
        cache = ("--cache", "cache")
        advice = _run(place, "advise", "photos", "--yes", *cache)
        training = _run(place, "train", "photos", "-o", "model", *cache)
        predicting = _run(place, "predict", "model", "new", "-o", "answers.csv")
        said = json.loads((place / "advice/advice.json").read_text(encoding="utf-8"))
        answers = _answers(place / "answers.csv", asked, known.classes)
        kinds, apart = _readers_apart(place / "model", place / "kinds", [asked[0], asked[1]])
    return {
        "photos": len(inside),
        "first": advice.first or advice.whole,
        "seconds": [advice.whole, training.whole, predicting.whole],
        "way": said["recommendation"]["regime"],
        "image_size": said["recommendation"]["image_size"],
        "promised": [said["promise"][end] for end in ("value", "low", "high")],
        "new": len(new),
        "truth": mean_recall(answers, known.labels[new]),
        "kinds": kinds,
        "millionths_apart": 1e6 * apart,
        "machine": machine(),
    }


def targets(records: Sequence[Record]) -> list[tuple[str, str, str, bool | None]]:
    """What, the target, what was measured, and whether that meets it."""
    lines: list[tuple[str, str, str, bool | None]] = []
    for n, most in SIZES.items():
        first = [one["first"] for one in records if one["n"] == n]
        measured = f"{max(first):.0f} s at most; folders: {len(first)}" if first else "not measured"
        met = max(first) <= most if first else None
        lines.append((f"first answer on {n:,} photographs", f"<= {most:.0f} s", measured, met))
    apart = max((one["millionths_apart"] / 1e6 for one in records), default=None)
    measured = "not measured"
    if apart is not None:
        kinds = min(one["kinds"] for one in records)
        measured = f"{apart:.0e} at most, {len(records)} models on {kinds} kinds of files"
    met = None if apart is None else apart <= _EQUAL
    what = "probabilities by ONNX Runtime, by torch and by timm's own loader"
    return [*lines, (what, "<= 1e-05 apart on every kind of image file", measured, met)]


def section(records: Sequence[Record]) -> Section:
    """A line a folder."""
    if not records:
        return Section("", ())
    lines = [
        (
            *(one["task"], f"{one['photos']:,}", f"{one['first']:.0f}"),
            *(f"{seconds:.0f}" for seconds in one["seconds"]),
            f"{one['way']}, {one['image_size']} px",
            "{:.0f} ({:.0f} to {:.0f})".format(*(100 * share for share in one["promised"])),
            f"{100 * one['truth']:.0f}",
        )
        for one in records
    ]
    hosts = sorted({_machine(one["machine"]) for one in records})
    return Section(
        "The three commands",
        (
            Table(
                f"Seconds, and percent of {_NEW} other photographs: mean recall",
                (
                    *("task", "photographs", "first answer", "advise", "train", "predict"),
                    *("advised", "promised", "true"),
                ),
                tuple(tuple(map(cell, line)) for line in lines),
            ),
            Paragraph(
                "Each command by a process of its own, with nothing computed before; an advice "
                "goes on after its first answer for as long as its budget lasts. "
                f"{'; '.join(hosts)}."
            ),
        ),
    )


class _Ran(NamedTuple):
    whole: float
    first: float | None


def _run(place: Path, *command: str) -> _Ran:
    """Seconds of a command, and until its first answer.

    Raises CalledProcessError where it fails.
    """
    call = [sys.executable, "-m", "transfer_lab", *command]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.getcwd()}
    start, first = monotonic(), None
    with subprocess.Popen(
        call,
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if first is None and line.startswith(_FIRST):
                first = monotonic() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, call)
    return _Ran(monotonic() - start, first)


def _known(task: Task, data: Path, work: Path) -> Images:
    """All photographs that evidence may use of a task."""
    known, more = images(task, data, work), further(task, data, work)
    labels = np.concatenate([known.labels, more.labels])
    return Images([*known.paths, *more.paths], labels, known.classes)


def _copied(path: Path, folder: Path, row: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(path, folder / f"{row:05d}{path.suffix}"))


def _answers(table: Path, asked: Sequence[Path], classes: Sequence[str]) -> np.ndarray:
    """(asked) the number of the class that each was named; -1 where it could not be read."""
    with table.open(encoding="utf-8", newline="") as file:
        named = {Path(row["path"]).name: row["class"] for row in csv.DictReader(file)}
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers.get(named[path.name], -1) for path in asked])


def _readers_apart(model: Path, folder: Path, shown: Sequence[Path]) -> tuple[int, float]:
    """How many kinds of files, and the largest difference of a probability between readers of the
    model's folder."""
    import timm
    import torch
    from PIL import Image

    folder.mkdir()
    kinds = write_kinds(folder, *(Image.open(path).convert("RGB") for path in shown))
    manifest = read_manifest(model)
    pixels = np.stack([decode_file(path, manifest.image_size) for path in kinds])
    network_by_torch = ByTorch(model / TENSORS, manifest)
    by_torch = np.stack([network_by_torch(one).probabilities for one in pixels])
    network = timm.create_model(f"local-dir:{model}", pretrained=True).eval()
    known = network.pretrained_cfg
    mean, std = (np.array(known[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        logits = network(torch.from_numpy((pixels / 255 - mean) / std).float())
    answered = load_model(model).predict(kinds, top=len(manifest.classes))
    by_onnx = np.array(
        [
            [{row["class"]: row.probability, **dict(row.alternatives)}[c] for c in manifest.classes]
            for _, row in answered.iterrows()
        ]
    )
    others = (by_torch, logits.softmax(1).numpy())
    return len(kinds), float(max(np.abs(other - by_onnx).max() for other in others))


def _machine(one: Record) -> str:
    return f"{one['processor']} ({one['flags']}), torch {one['torch']}"
