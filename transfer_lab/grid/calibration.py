"""How fast this machine takes a network's steps: measured on a few of them, and kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.experiment.choices import Architecture
from transfer_lab.grid.operations import Network
from transfer_lab.regimes.base import Phase, TransferModule
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.system import host
from transfer_lab.system.device import Precision, device
from transfer_lab.system.files import write_atomically

FILE = "calibration.json"
_SECONDS = 0.3
"""For each thing that is measured; a step that takes longer is taken once."""
_MOST_MACS = 4e9
"""Of a step that is tried, so that none takes minutes."""
_LEAST_IMAGES = 2
"""Of such a step: batch norm on maps of one pixel refuses a single image."""
_MOST_CALLS = 50
_CLASSES = 10
_LR = 1e-6


class Rates(NamedTuple):
    """Seconds of a network: for an image in a training step, in a forward pass, and for a step of
    a head alone on stored outputs."""

    train: float
    forward: float
    head_step: float


def calibrated(
    choice: Architecture,
    counted: Network,
    image_size: int,
    batch_size: int,
    threads: int,
    precision: Precision,
    store: Path,
) -> Rates:
    """The rates of a network here, from an earlier call or measured now.

    They are kept in the store, if there is one, for this machine, torch, threads and precision.
    """
    key = _key(choice.canonical, image_size, batch_size, threads, precision)
    known = _read(store / FILE)
    if key not in known:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            rates = _measured(choice, counted, image_size, batch_size, precision)
        finally:
            torch.set_num_threads(before)
        known[key] = list(rates)
        if store.is_dir():
            text = json.dumps(known, indent=1).encode()
            with contextlib.suppress(OSError):
                write_atomically(store / FILE, lambda handle: handle.write(text))
    return Rates(*known[key])


def _key(*parts: object) -> str:
    content = (*parts, host.host(), host.version("torch"), device().type)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, list[float]]:
    try:
        found = json.loads(path.read_bytes())
        return {key: [float(value) for value in rates] for key, rates in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _measured(
    choice: Architecture,
    counted: Network,
    image_size: int,
    batch_size: int,
    precision: Precision,
) -> Rates:
    with torch.random.fork_rng(devices=[]):
        regime = FromScratch(build_backbone(choice, image_size), _CLASSES, lr=_LR)
        regime.to(device(), memory_format=torch.channels_last)
        batch_size = max(_LEAST_IMAGES, batch_size)
        tried = int(_MOST_MACS / (3 * max(1, counted.total)))
        batch = max(_LEAST_IMAGES, min(batch_size, tried))
        labels = torch.randint(_CLASSES, (batch_size,), device=device())
        shape = (batch, 3, image_size, image_size)
        images = torch.randint(256, shape, dtype=torch.uint8, device=device())
        outputs = torch.randn(batch_size, regime.backbone.num_features, device=device())

        depth = len(regime.backbone.stages)
        regime.begin(Phase((), _LR, _LR), steps=1000)
        train = _timed(_step(regime, images, labels[:batch], precision)) / batch
        regime.begin(Phase(tuple(range(depth)), _LR, _LR), entry=depth, steps=1000)
        head_step = _timed(_step(regime, outputs, labels, precision))
        regime.entry = 0
        regime.eval()
        forward = _timed(lambda: _forward(regime, images, precision)) / batch
        return Rates(train, forward, head_step)


def _step(
    regime: TransferModule, inputs: torch.Tensor, labels: torch.Tensor, precision: Precision
) -> Callable[[], None]:
    """One step as the training loop takes it."""
    recipe = regime.configure_optimizers()
    optimizer, schedule = recipe["optimizer"], recipe["lr_scheduler"]["scheduler"]
    regime.on_train_epoch_start()
    regime.train_sums = regime.train_sums.to(inputs.device)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16"):
            loss = regime.training_step((inputs, labels), 0)
        loss.backward()
        optimizer.step()
        schedule.step()

    return step


def _forward(regime: TransferModule, images: torch.Tensor, precision: Precision) -> None:
    autocast = torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), autocast:
        regime(images)


def _timed(call: Callable[[], None]) -> float:
    """Seconds of a call: the middle of several, unless one takes all the time there is."""
    first = _seconds(call)
    times: list[float] = []
    if first > _SECONDS:
        return first
    while not times or (sum(times) < _SECONDS and len(times) < _MOST_CALLS):
        times.append(_seconds(call))
    return _middle(times)


def _seconds(call: Callable[[], None]) -> float:
    """Seconds of one call; on a CPU those that it was computing, whatever else the machine does."""
    if device().type == "cuda":
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    call()
    return (time.process_time() - start) / torch.get_num_threads()


def _middle(values: Iterable[float]) -> float:
    found = sorted(values)
    return found[len(found) // 2]
