"""Which of Lightning's hooks a regime has of its own: that decides how it is trained."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import cache

import lightning as L

from transfer_lab.regimes.base import TransferModule

IN_EVERY_STEP = frozenset(
    {
        "automatic_optimization",
        "backward",
        "clip_gradients",
        "configure_callbacks",
        "configure_gradient_clipping",
        "configure_optimizers",
        "lr_scheduler_step",
        "on_after_backward",
        "on_after_batch_transfer",
        "on_before_backward",
        "on_before_batch_transfer",
        "on_before_optimizer_step",
        "on_before_zero_grad",
        "on_train_batch_end",
        "on_train_batch_start",
        "on_train_epoch_end",
        "on_train_epoch_start",
        "optimizer_step",
        "optimizer_zero_grad",
        "transfer_batch_to_device",
    }
)
"""What only Lightning's own loop calls in every step or epoch, with what Lightning gives it."""
BEFORE_THE_FIRST_STEP = frozenset(
    {
        "configure_model",
        "configure_sharded_model",
        "on_fit_start",
        "on_train_start",
        "prepare_data",
        "setup",
    }
)
"""Where a regime could still tell the Trainer how each step is to be taken, which only Lightning's
own loop asks it."""
NEVER_CALLED = frozenset(
    {"train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"}
)
"""A domain gives the images: Lightning asks no module for loaders where it is given some."""
_OF_A_STEP = frozenset({"loss", "parameter_groups"})
"""What `TransferModule` itself lets a regime say of a step."""
_NAMES = _OF_A_STEP | {name for name in dir(L.LightningModule) if not name.startswith("_")}


def own_hooks(regime: TransferModule) -> frozenset[str]:
    """Of a LightningModule's public names, and of what `TransferModule` adds to a step, those that
    the regime's class, or the object itself, has otherwise than `TransferModule`; `training_step`,
    `forward` and `loss` are such names, too."""
    return _of_class(type(regime)) | (_NAMES & vars(regime).keys())


def needs_lightnings_loop(regime: TransferModule) -> bool:
    """Whether the regime optimises by itself, or has anything of its own in `IN_EVERY_STEP` or
    `BEFORE_THE_FIRST_STEP`."""
    return (
        not regime.automatic_optimization
        or not (IN_EVERY_STEP | BEFORE_THE_FIRST_STEP).isdisjoint(own_hooks(regime))
        or not _takes_batch_and_index(regime)
    )


@cache
def _of_class(cls: type[TransferModule]) -> frozenset[str]:
    static = inspect.getattr_static  # of class methods `getattr` makes a new object each time
    return frozenset(n for n in _NAMES if static(cls, n) is not static(TransferModule, n))


def _takes_batch_and_index(regime: TransferModule) -> bool:
    """Lightning also serves `training_step(batch)` and `training_step(dataloader_iter)`."""
    signature = inspect.signature(regime.training_step)
    try:
        signature.bind(None, 0)
    except TypeError:
        return False
    return "dataloader_iter" not in signature.parameters


def refused_hooks(regime: TransferModule) -> Iterator[str]:
    """What the regime has that would never do what it is there for, and the way out."""
    name = type(regime).__name__
    for hook in sorted(NEVER_CALLED & own_hooks(regime)):
        yield (
            f"{name} overrides {hook}, which is never called, since the domain gives the images: "
            "take it out, and change a batch in on_after_batch_transfer"
        )
    if regime.automatic_optimization and "configure_optimizers" in own_hooks(regime):
        count = _optimizers(regime)
        if count > 1:
            yield (
                f"{name}.configure_optimizers gives {count} optimisers, of which automatic "
                "optimisation can step one: set self.automatic_optimization = False in __init__ "
                "and step them in training_step, or give one optimiser with parameter groups"
            )


def _optimizers(regime: TransferModule) -> int:
    """How many optimisers each phase has at most; 0 where only a Trainer could tell."""
    counts = [0]
    for phase in regime.phases():
        with contextlib.suppress(Exception):  # somebody's code, without Trainer and memory
            regime.begin(phase, steps=1)
            found = regime.configure_optimizers()
            if isinstance(found, tuple) and isinstance(found[0], list):
                found = found[0]  # ([optimisers], [schedules])
            counts.append(len(found) if isinstance(found, list | tuple) else 1)
    return max(counts)
