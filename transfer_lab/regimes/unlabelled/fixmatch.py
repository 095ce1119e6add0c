"""Learn that a strongly changed image is of the class that a slightly changed one is said to be."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from transfer_lab.backbones.base import Backbone
from transfer_lab.regimes.base import Phase, check_pixels
from transfer_lab.regimes.batch_norm import statistics_held
from transfer_lab.regimes.objective import ObjectiveModule, Seen, Streams
from transfer_lab.regimes.optim import RecipeName
from transfer_lab.regimes.unlabelled.pseudo_labels import check_confidence, confident_loss
from transfer_lab.regimes.unlabelled.random_views import RandomViews


class FixMatch(ObjectiveModule):
    """Fine-tuning on labelled images and on consistent answers to unlabelled ones:
    L(y, f) + weight / n sum 1[max q >= threshold] L(argmax q, f(strong(u))), with q the softmax of
    f(weak(u)), without gradient (Sohn et al. 2020, "FixMatch", eq. 4). All stages learn, since
    every view is another image. Of the unlabelled images there are as many in a step as of the
    labelled ones, which are changed as `fit` says and not otherwise. Views are normalised as
    batches of their own and leave running statistics to images as they are.

    Options: `weight` of the unlabelled images; `threshold`: how sure the network must be of its
    answer, above 1 to switch it off; `flip`: whether views may be mirrored, which is not for
    letters; `backbone_lr`: peak rate of the stages.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        weight: float = 1.0,
        threshold: float = 0.95,
        flip: bool = False,
        lr: float = 1e-3,
        backbone_lr: float = 3e-4,
        weight_decay: float | None = None,
        recipe: RecipeName = "adamw_cosine",
    ):
        super().__init__(
            backbone,
            num_classes,
            lr=lr,
            backbone_lr=backbone_lr,
            weight_decay=weight_decay,
            recipe=recipe,
        )
        check_pixels(backbone, "fixmatch")
        check_confidence(weight, threshold)
        self.weight, self.threshold, self.flip = weight, threshold, flip
        self._seed = 0

    def meet(self, classes: Mapping[str, int]) -> None:
        """Draw where the views start from."""
        self._seed = int(torch.randint(2**31, (), device="cpu"))

    def begin(self, phase: Phase, *, entry: int = 0, steps: float | None = None) -> None:
        """As for every regime; the views begin anew."""
        super().begin(phase, entry=entry, steps=steps)
        self._views = RandomViews(self._seed, flip=self.flip)

    def objective(self, fit: torch.Tensor, target: Seen, streams: Streams) -> torch.Tensor:
        if self.threshold > 1:
            return fit
        images, _ = streams.raw("unlabelled")
        with statistics_held(self.backbone):
            with torch.no_grad():
                weak = self(self._views.weak(images))
            strong = self(self._views.strong(images))
        return fit + self.weight * confident_loss(weak, strong, self.threshold)
