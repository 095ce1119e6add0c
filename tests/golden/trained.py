"""Train the tiny runs and leave what they answer to their test images: `trained.py OUT.npz all`.

In a process of its own, since PyTorch chooses its kernels once; which ones, the environment says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import torch

from tests.golden.runs import runs, steady_runs
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import TransferModule
from transfer_lab.store.records import RecordStore
from transfer_lab.system.device import precision
from transfer_lab.system.workers import Numbers
from transfer_lab.training.fit import quiet
from transfer_lab.training.run import Setting, train


def answers(wanted: Mapping[str, Run], in_bf16: Iterable[str]) -> dict[str, np.ndarray]:
    """Logits (images, classes) by run: `fp32: mlp / lp_ft`, and those few in bf16 as well."""
    with TemporaryDirectory() as folder, _answers() as given:
        store = RecordStore(Path(folder))
        found = {}
        drawn_on = {first.id for run in wanted.values() for first in run.ancestors}
        for name, run in wanted.items():
            for first in reversed([*run.ancestors]):
                if store.get(first.id) is None:
                    train(first, store, Setting(precision="fp32"), keep_weights=True)
            kept = run.id in drawn_on
            found[f"fp32: {name}"] = _logits(run, store, "fp32", given, keep_weights=kept)
        for name in in_bf16:  # from the same source runs
            found[f"bf16: {name}"] = _logits(wanted[name], store, "bf16", given)
    return found


def _logits(
    run: Run,
    store: RecordStore,
    numbers: Numbers,
    given: list[torch.Tensor],
    *,
    keep_weights: bool = False,
) -> np.ndarray:
    train(run, store, Setting(precision=numbers), keep_weights=keep_weights)
    return given[-1].numpy().astype("<f4")


@contextmanager
def _answers() -> Iterator[list[torch.Tensor]]:
    """The logits of each test, as long as this is open: a run stores less than those."""
    given: list[torch.Tensor] = []
    with mock.patch.object(
        TransferModule, "on_test_end", lambda regime: given.append(torch.cat(regime.test_outputs))
    ):
        yield given


def main(out: str, what: str, rate: str = "1", threads: str = "1") -> None:
    """Train `all` runs, or the `steady` ones in the numbers that this machine has."""
    quiet()
    torch.set_num_threads(int(threads))
    steady = steady_runs(float(rate))
    if what == "all":
        torch.backends.nnpack.set_flags(False)  # which some processors have
        found = answers(runs(), in_bf16=steady)
    else:
        found = answers(steady, in_bf16=steady if precision("auto") == "bf16" else ())
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
