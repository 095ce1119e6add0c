"""What a run may use, and what does not change what it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

Numbers = Literal["auto", "fp32", "bf16"]
"""Numbers to compute in; `auto`: bf16 where the device has it in hardware, else fp32."""
EngineName = Literal["local", "ray"]
"""Where runs execute: worker processes on this machine, or on a Ray cluster."""


class Workers(NamedTuple):
    """Processes that train, one a core unless told; threads of each; numbers they compute in; the
    engine that has them, and the share of a GPU that each has.

    Without `precision` numbers are those that the experiment says.
    """

    jobs: int | None = None
    threads: int = 1
    precision: Numbers | None = None
    engine: EngineName = "local"
    gpus_per_run: float | None = None

    def unless_told(self, precision: Numbers) -> Workers:
        """These, computing in such numbers where nobody has asked for others."""
        return self._replace(precision=self.precision or precision)
