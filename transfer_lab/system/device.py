"""Where a run computes, and in which numbers."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch

from transfer_lab.system.workers import Numbers

Precision = Literal["fp32", "bf16"]


@cache
def device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def precision(wanted: Numbers | None) -> Precision:
    """What is wanted, or for `auto`, or nothing, bf16 where the device has it in hardware and fp32
    elsewhere.

    bf16 stands for autocast: weights, losses and normalisation stay in fp32. A device without it
    computes the same, an order of magnitude slower.
    """
    if wanted is None or wanted == "auto":
        return "bf16" if _has_bf16() else "fp32"
    return wanted


def _has_bf16() -> bool:
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A torch too old to tell computes in fp32.
    found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
