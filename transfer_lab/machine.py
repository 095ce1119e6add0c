"""What a run may use, and what does not change what it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

Numbers = Literal["auto", "fp32", "bf16"]
"""Numbers to compute in; `auto`: bf16 where the device has it in hardware, else fp32."""


class Workers(NamedTuple):
    """Processes that train, one a core unless told; threads of each; numbers they compute in."""

    jobs: int | None = None
    threads: int = 1
    precision: Numbers = "auto"
