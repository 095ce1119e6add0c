"""The toys of the contracts, on one thread."""

from __future__ import annotations

import torch

from transfer_lab.testing import Blocks, Leaky, drawn

__all__ = ["Blocks", "Leaky", "drawn"]

torch.set_num_threads(1)  # tiny batches: a second thread costs more than it gives
