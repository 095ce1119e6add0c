"""Run -> its domain with the seed's subset, and its regime at step 0."""

from __future__ import annotations

from pathlib import Path

import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.weights import load_published, load_stages
from transfer_lab.data import build as data
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.choices import Weights
from transfer_lab.experiment.seeds import derive
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import TransferModule, check_stages
from transfer_lab.regimes.build import regime_class
from transfer_lab.store.records import RecordStore


def build_domain(run: Run, cache: Path | None) -> ImageDomain:
    """The run's domain with this seed's subset drawn."""
    domain = data.build_domain(run.domain, run.image_size)
    domain.cache = cache
    draw(domain, run)
    return domain


def draw(domain: ImageDomain, run: Run) -> None:
    """Choose the run's images anew; a refit draws other ones than its trials."""
    domain.draw(
        per_class=run.per_class,
        val_fraction=run.fit.val_fraction,
        batch_size=run.fit.batch_size,
        seed=run.seed,
        augment=run.fit.augment,
    )


def build_regime(run: Run, domain: ImageDomain, store: RecordStore) -> TransferModule:
    """The run's regime at step 0: stages and head random from the seed, then the source's stages.

    Raises WeightsError if the source run has left no weights that fit, and ValueError if the
    regime names stages that the backbone does not have.
    """
    torch.manual_seed(derive(run.seed, "backbone"))
    backbone = build_backbone(run.backbone, run.image_size)
    backbone.to(memory_format=torch.channels_last)
    torch.manual_seed(derive(run.seed, "head"))
    cls = regime_class(run.regime)
    regime = cls(backbone, domain.num_classes, **run.regime.arguments)
    check_stages(regime, regime.phases())
    if isinstance(run.init, Weights):
        load_published(regime.backbone, regime.transferred, run.init)
    elif run.init:
        load_stages(regime.backbone, regime.transferred, *store.weights(run.init))
    torch.manual_seed(derive(run.seed, "fit"))
    return regime
