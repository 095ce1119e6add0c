"""Choice -> class of a regime."""

from __future__ import annotations

from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.choices import Choice
from transfer_lab.experiment.classes import class_of
from transfer_lab.regimes.base import TransferModule


def regime_class(choice: Choice) -> type[TransferModule]:
    """The class behind a choice; raises ModuleError where it is one's own and cannot be had."""
    return class_of(choice, REGIMES, TransferModule)  # type: ignore[type-abstract]
