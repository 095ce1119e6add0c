"""Learn to change with the input as a teacher does."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import TransferModule, check_pixels
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams
from transfer_lab.regimes.optim import RecipeName


class JacobianMatching(ObjectiveModule):
    """Fine-tuning whose answers change with the image as a teacher's do: cross-entropy +
    penalty E |J / |J| - J_t / |J_t||^2, where J is the gradient with respect to the image of one
    combination of the logits (Srinivas and Fleuret 2018, "Knowledge Transfer with Jacobian
    Matching"). The teacher is another arm of the grid. Computed in fp32; a step takes two to three
    times as long.

    Options: `penalty`: weight of the match, 0 to switch it off; `along`: which combination of the
    logits: that of the `label`, the one that the teacher has `predicted`, or a `random` one, anew
    for each image; `backbone_lr`: peak rate of the stages. Beside them: `teacher: {backbone: ...,
    regime: ...}`.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        penalty: float = 0.1,
        along: Literal["label", "predicted", "random"] = "label",
        lr: float = 1e-3,
        backbone_lr: float = 3e-4,
        weight_decay: float | None = None,
        recipe: RecipeName = "adamw_cosine",
    ):
        # No `**options`: with frozen stages there would be no images to differentiate by.
        super().__init__(
            *(backbone, num_classes),
            lr=lr,
            backbone_lr=backbone_lr,
            weight_decay=weight_decay,
            recipe=recipe,
        )
        check_pixels(backbone, "jacobian_matching", twice=True)
        if not 0 <= penalty < float("inf"):
            raise ValueError(f"penalty must be 0 or more, and finite; it is {penalty}")
        self.penalty, self.along = penalty, along
        # Not a module of this one: it is no part of what is trained, counted or stored.
        self._teachers: tuple[TransferModule, ...] = ()

    def learn_from(self, role: str, model: TransferModule) -> None:
        self._teachers = (model,)

    def look(self, inputs: torch.Tensor, labels: torch.Tensor) -> Seen:
        """As ever, in fp32, and with images that can be differentiated by."""
        if not self.penalty:
            return super().look(inputs, labels)
        with torch.autocast(inputs.device.type, enabled=False):
            return super().look(inputs.float().requires_grad_(), labels)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.penalty:
            return fit
        (teacher,) = self._teachers
        images = target.inputs.detach().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            answers = teacher.to(images.device)(images)
            weights = self._weights(answers, target.labels)
            wanted = _direction(answers, images, weights).detach()
            own = _direction(target.logits, target.inputs, weights, create_graph=True)
            return fit + self.penalty * (own - wanted).square().sum(1).mean()

    def _weights(self, answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of each image's logits, (n, classes)."""
        if self.along == "random":
            return torch.randn_like(answers)
        chosen = labels if self.along == "label" else answers.argmax(1)
        return F.one_hot(chosen, answers.shape[1]).to(answers.dtype)


def _direction(
    logits: torch.Tensor, images: torch.Tensor, weights: torch.Tensor, *, create_graph: bool = False
) -> torch.Tensor:
    """Gradients of the weighted logits by the images, of length 1; (n, pixels)."""
    combined = (logits * weights).sum()
    (gradient,) = torch.autograd.grad(combined, images, create_graph=create_graph)
    return F.normalize(gradient.flatten(1), eps=1e-12)
