"""Fine-tuning by a regime of the lab's, from the default head, on photographs and their mirror
images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from transfer_lab.advice.challengers.base import Challenger, Cost, Tick, Trained
from transfer_lab.advice.challengers.pace import feature_seconds, frozen_pace, step_seconds
from transfer_lab.advice.challengers.photographs import Photographs
from transfer_lab.advice.challengers.schedule import schedule
from transfer_lab.advice.features.networks import Network
from transfer_lab.advice.fitted import Head
from transfer_lab.backbones.base import Backbone
from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.conv_as_matmul import compute_as_convolutions
from transfer_lab.experiment.catalog import REGIMES
from transfer_lab.experiment.seeds import derive
from transfer_lab.regimes.base import TransferModule, check_stages
from transfer_lab.store.feature_cache import Compute, FeatureCache, Rows
from transfer_lab.training.fit import FitResult, fit_and_test, fit_and_validate, look_once, quiet
from transfer_lab.training.frozen_features import FrozenFeatures

_ANSWER = 0.35
"""What answering an image takes, as a part of a step with it."""
_FIT_S = 0.3
"""Seconds that a fit takes besides its steps."""
_ANSWERED = 64
_KEPT_BYTES = 2 * 2**30
"""Of what frozen stages make of images, whatever albums they are of."""


class FineTuned(Challenger):
    """A regime by its registered name. Where it starts from the whole network, its head starts as
    the default head of the same photographs."""

    def __init__(
        self,
        photographs: Photographs,
        network: Network,
        regime: str,
        image_size: int,
        options: Mapping[str, float | int | str],
    ):
        super().__init__(network.name, regime, image_size, dict(options))
        self.fit, self.name = schedule(regime), photographs.name_of(self.recommendation)
        self._photographs, self._network = photographs, network
        self._images = photographs.images(image_size)

    def checked(self) -> FineTuned:
        """Itself; raises ValueError where the regime is not for this network or ends in more than a
        linear head."""
        if not isinstance(self._regime(None).head, nn.Linear):
            raise ValueError("it ends in more than a linear head; choose another regime")
        return self

    def cost(self) -> Cost:
        count = len(self._photographs)
        regime = self._regime(None)
        stop = regime.phases()[-1].prefix
        step = step_seconds(regime, self.image_size, self.fit.batch_size)
        answers = count * _ANSWER * step
        whole = self.image_steps(count) * step + self._photographs.probe_seconds + _FIT_S
        ready = (
            feature_seconds(self._photographs, self._network, self.image_size)
            + self._photographs.decode_seconds(self.image_size)
            + frozen_pace(self._pretrained, stop, self.image_size).of(2 * count)
        )
        return Cost(ready, fold=0.8 * whole + 0.2 * answers, fit=whole + answers)

    def image_steps(self, images: int) -> int:
        return 2 * self.fit.epochs * images

    def make_ready(self, tick: Tick, seconds: float) -> None:
        self._photographs.features(self._network, self.image_size, seconds=seconds)
        tick(0)
        everything = np.arange(len(self._photographs))
        self._choose(everything, everything, tick)
        self._images.prepare_data()
        stop = self._regime(None).phases()[-1].prefix
        tick(0)
        FrozenFeatures(self._images, self._pretrained, stop, self._rows(tick)).setup("fit")

    def fit_predict(self, train: np.ndarray, test: np.ndarray, tick: Tick) -> np.ndarray:
        regime = self._regime(train)
        self._choose(train, test, tick)
        fit_and_test(regime, self._images, self.fit, rows=self._rows(tick))
        return torch.cat(regime.test_outputs).numpy()

    def fit_all(self, tick: Tick) -> Trained:
        everything = np.arange(len(self._photographs))
        regime = self._regime(everything)
        self._choose(everything, everything, tick)
        rows = self._rows(tick)
        data = fit_and_validate(regime, self._images, self.fit, FitResult(), rows=rows)
        regime.merge()
        regime.eval()
        outputs, features = data.sample("train").outputs, []
        for places in np.array_split(everything, -(-len(everything) // _ANSWERED)):
            tick(0)
            inputs = torch.as_tensor(outputs[places]).to(regime.device)
            with torch.no_grad():
                features.append(regime.backbone(inputs, start=regime.entry).float().cpu().numpy())
        regime.cpu().requires_grad_(False)
        compute_as_convolutions(regime.backbone)
        head = Head(regime.head.weight.numpy(), regime.head.bias.numpy())
        return Trained(regime.backbone, head, np.concatenate(features))

    @property
    def _pretrained(self) -> Backbone:
        return self._photographs.backbone(self._network)

    def _regime(self, learns_from: np.ndarray | None) -> TransferModule:
        """At step 0 of a fit on these photographs; without them, its head starts at random."""
        quiet()
        look_once()
        torch.manual_seed(derive(self._photographs.seed, "regime"))
        backbone = copy.deepcopy(self._pretrained).to(memory_format=torch.channels_last)
        classes = len(self._photographs.classes)
        regime = REGIMES.load(self.regime)(backbone, classes, **self.options)
        check_stages(regime, regime.phases())
        whole = self._forget(regime)
        if whole and learns_from is not None:
            features = self._photographs.features(self._network, self.image_size)
            head = self._photographs.probe(features, learns_from)
            regime.start_head(*(torch.from_numpy(part).float() for part in head))
        regime.meet({})
        torch.manual_seed(derive(self._photographs.seed, "fit"))
        return regime

    def _forget(self, regime: TransferModule) -> bool:
        """Draw anew what the regime does not take from the pretrained network; whether it takes
        everything."""
        stages = regime.backbone.stages
        lost = [
            index
            for index in range(len(stages))
            if index not in regime.transferred_stages and list(stages[index].parameters())
        ]
        if lost:
            fresh = build_backbone(self._network.architecture, self._network.image_size)
            for index in lost:
                stages[index] = fresh.stages[index]
        return not lost

    def _choose(self, train: np.ndarray, test: np.ndarray, tick: Tick) -> None:
        seed = derive(self._photographs.seed, "batches")
        self._images.choose(train, test, batch_size=self.fit.batch_size, seed=seed)
        self._images.tick = tick

    def _rows(self, tick: Tick) -> FeatureCache:
        return _Heard(self._photographs.rows_at, tick)


class _Heard(FeatureCache):
    """Outputs of frozen stages, kept for all folds; before each batch it is told of computing."""

    def __init__(self, folder: Path, tick: Tick):
        super().__init__(folder, _KEPT_BYTES)
        self._tick = tick

    def rows(
        self, *, key: str, shape: tuple[int, ...], wanted: np.ndarray, compute: Compute, batch: int
    ) -> Rows:
        def heard(chosen: np.ndarray) -> np.ndarray:
            self._tick(0)
            return compute(chosen)

        return super().rows(key=key, shape=shape, wanted=wanted, compute=heard, batch=batch)
