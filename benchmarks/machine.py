"""The machine that figures belong to."""

from __future__ import annotations

from pathlib import Path

import torch

from transfer_lab.system import host

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine() -> dict[str, str]:
    """Processor, cores, what it has for matrix products, versions, threads, and the GPU."""
    found = _flags()
    return {
        "processor": host.host().partition("(")[2].rstrip(")"),
        "flags": ", ".join(flag for flag in _FLAGS if flag in found) or "not known",
        "torch": torch.__version__,
        "lightning": host.version("lightning"),
        "threads": str(torch.get_num_threads()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "commit": host.commit() or "not known",
    }


def _flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(x.partition(":")[2].split()) for x in lines if x.startswith("flags")), set())
