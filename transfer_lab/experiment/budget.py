"""The training budget as data: how long a run learns, from how many images, and changed how."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from transfer_lab.experiment.choices import Spec

Int = Annotated[int, Field(strict=True)]
Float = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""YAML says what is a number; `true` and `"3"` are none."""

MAIN = "fit"
"""What the budget is called that an experiment's others are further to."""


class Augment(Spec):
    """Random changes of training images, anew for every image at every epoch; evaluation never
    sees them.

    `flip`: left and right are swapped for half of the images. `shift`: moved by up to this part of
    the side (a pixel at least) in both directions.
    """

    flip: Annotated[bool, Field(strict=True)] = False
    shift: Float = Field(0, ge=0, lt=1)

    @model_validator(mode="after")
    def _changes_something(self) -> Augment:
        if not self.flip and not self.shift:
            raise ValueError("it would change nothing; name 'flip: true' or a 'shift'")
        return self


class Fit(Spec):
    """The training budget, the same for every regime.

    Epochs are `max(epochs, ceil(min_steps / steps per epoch))`, a rule of n alone: a handful of
    images gets enough steps to converge, and no regime gets more than another. `epochs: 1` with
    `min_steps` is therefore a budget of equal steps for all sizes, to whole epochs.

    With `patience` these epochs are a cap: a phase of training, at a constant rate, ends once
    validation has not been better for so many times in a row (a higher accuracy, or the same and a
    lower loss), and the model of the best one is kept.
    """

    epochs: Int = Field(10, ge=1)
    min_steps: Int = Field(0, ge=0)
    batch_size: Int = Field(64, ge=2)
    val_fraction: Float = Field(0.2, ge=0, lt=1)
    augment: Augment | None = None
    patience: Annotated[Int, Field(ge=1)] | None = None

    @field_validator("patience")
    @classmethod
    def _sees_validation_images(cls, patience: int | None, info: ValidationInfo) -> int | None:
        if patience is not None and info.data.get("val_fraction") == 0:
            raise ValueError(
                "it watches validation images, and val_fraction is 0; raise that, or "
                "leave patience out"
            )
        return patience

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is absent, as augmentation, is left out of what is written and so of the hash."""
        return {k: v for k, v in handler(self).items() if v is not None}

    @property
    def length(self) -> str:
        """How long it lets a run learn, in words."""
        told = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        if self.min_steps:
            told += f", or as many more as {self.min_steps} steps take"
        if self.patience is None:
            return told
        return (
            f"until validation has not been better for {self.patience} times in a row, "
            f"at most {told}"
        )


def under(budget: object) -> str:
    """What stands behind the name of a cell: ', budget longer', and nothing for the main one."""
    return f", budget {budget}" if isinstance(budget, str) else ""
