"""What this machine can do: the best rate of matrix products and convolutions, and of copying."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from benchmarks.floor import Ceilings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""What a record calls the numbers that networks compute in -> PyTorch's name."""
_SIDES = (1024, 2048, 4096)
_CONVOLUTIONS = ((128, 112), (256, 56), (512, 28))
"""Channels and side of 3x3 convolutions, as VGG16 has them at 224 px."""
_BATCH = 8


def ceilings(dtype: torch.dtype, device: str = "cpu", *, quick: bool = False) -> Ceilings:
    """Measured now, in this arithmetic, with the threads that PyTorch uses."""
    with torch.inference_mode():
        rates = [gemm_rate(side, dtype, device) for side in (_SIDES[:1] if quick else _SIDES)]
        rates += [
            _conv_rate(channels, side, dtype, device)
            for channels, side in (() if quick else _CONVOLUTIONS)
        ]
        return Ceilings(max(rates), _copy_rate(device, 2**24 if quick else 2**28))


def gemm_rate(side: int, dtype: torch.dtype, device: str) -> float:
    """Operations a second of a square matrix product."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: a @ b, device)


def _conv_rate(channels: int, side: int, dtype: torch.dtype, device: str) -> float:
    images = torch.randn(_BATCH, channels, side, side, device=device).to(dtype)
    weights = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
    images, weights = (t.to(memory_format=torch.channels_last) for t in (images, weights))
    operations = 2 * _BATCH * 9 * channels**2 * side**2
    return operations / _best(lambda: F.conv2d(images, weights, padding=1), device)


def _copy_rate(device: str, size: int) -> float:
    """Bytes read and written a second; more than a cache holds."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best(lambda: target.copy_(source), device)


def _best(call: Callable[[], object], device: str, least: float = 0.5) -> float:
    """Seconds of the fastest of several calls, the first left out."""
    call()
    best, end = float("inf"), time.perf_counter() + least
    while best == float("inf") or time.perf_counter() < end:
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
