"""Learn from the answers of another arm's network as well as from labels."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import TransferModule, check_positive
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams


class Distillation(ObjectiveModule):
    """Fine-tuning with a teacher's answers:
    alpha T^2 KL(softmax(z_teacher / T) || softmax(z / T)) + (1 - alpha) cross-entropy
    (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", sec. 2). The teacher is
    another arm of the grid, trained with the same seed on the same images.

    Options: `alpha`: the teacher's part, 0 to switch it off; `temperature`: T; `k`: 0 alone, since
    a teacher sees images. Beside them: `teacher: {backbone: ..., regime: ...}`.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        alpha: float = 0.5,
        temperature: float = 4.0,
        **options: Any,
    ):
        super().__init__(backbone, num_classes, **options)
        check_positive(temperature=temperature)
        if self.k:
            raise ValueError(f"k={self.k}, but a teacher sees images: k must be 0")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must lie between 0 and 1, but is {alpha}")
        self.alpha, self.temperature = alpha, temperature
        # Not a module of this one: it is no part of what is trained, counted or stored.
        self._teachers: tuple[TransferModule, ...] = ()

    def learn_from(self, role: str, model: TransferModule) -> None:
        self._teachers = (model,)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if not self.alpha:
            return fit
        (teacher,) = self._teachers
        with torch.no_grad():
            answers = teacher.to(target.inputs.device)(target.inputs)
        return self.alpha * self.divergence(answers, target.logits) + (1 - self.alpha) * fit

    def divergence(self, teacher: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """T^2 KL of the softened answers, a batch's mean; both (n, classes)."""
        t = self.temperature
        soft = F.log_softmax(teacher / t, dim=1), F.log_softmax(own / t, dim=1)
        return t**2 * F.kl_div(soft[1], soft[0], reduction="batchmean", log_target=True)
