"""Run -> its domain with the seed's subset, and its regime at step 0."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from transfer_lab.backbones.build import build_backbone
from transfer_lab.backbones.weights import load_head, load_published, load_stages, load_whole
from transfer_lab.data import build as data
from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.choices import Weights, regime_entry
from transfer_lab.experiment.seeds import derive
from transfer_lab.experiment.spec import Run
from transfer_lab.regimes.base import TransferModule, check_stages
from transfer_lab.regimes.build import regime_class
from transfer_lab.store.records import RecordStore


def build_domain(run: Run, cache: Path | None) -> ImageDomain:
    """The run's domain with this seed's subset drawn, and all that is seen beside it."""
    domain = data.build_domain(run.domain, run.image_size, run.fold)
    domain.cache, domain.hides_labels = cache, run.labels == "none"
    draw(domain, run)
    domain.annotations = regime_entry(run.regime).annotations
    domain.streams = {role: _drawn(run, role, cache) for role in run.streams}
    return domain


def draw(domain: ImageDomain, run: Run) -> None:
    """Choose the run's images anew; a refit draws other ones than its trials."""
    domain.draw(
        per_class=run.per_class,
        val_fraction=run.fit.val_fraction,
        batch_size=run.fit.batch_size,
        seed=run.seed if run.subset_seed is None else run.subset_seed,
        augment=run.fit.augment,
    )
    domain.seed = run.seed


def _drawn(run: Run, role: str, cache: Path | None) -> ImageDomain:
    """One of the run's streams: its images are those that it names, their order is the run's."""
    stream = run.streams[role]
    domain = data.build_domain(stream.domain, run.image_size, stream.fold)
    domain.cache, domain.hides_labels = cache, not stream.labelled
    domain.draw(
        per_class=stream.per_class,
        val_fraction=stream.val_fraction,
        batch_size=run.fit.batch_size,
        seed=stream.seed,
        augment=run.fit.augment,
    )
    domain.seed = derive(run.seed, "stream", role)
    return domain


def build_regime(run: Run, domain: ImageDomain, store: RecordStore) -> TransferModule:
    """The run's regime at step 0: stages and head random from the seed, then the source's stages,
    and its head if the regime starts from that, too; then what the regime adds of its own.

    Raises WeightsError if the source run has left no weights that fit, and ValueError if the
    regime names stages that the backbone does not have.
    """
    regime = _random(run, domain)
    if isinstance(run.init, Weights):
        load_published(regime.backbone, regime.transferred_stages, run.init)
    elif run.init:
        load_stages(regime.backbone, regime.transferred_stages, *store.weights(run.init))
        if regime_entry(run.regime).source_head:
            regime.start_head(*load_head(*store.weights(run.init)))
    torch.manual_seed(derive(run.seed, "streams"))
    labelled = ((role, run.streams[role].labelled, known) for role, known in domain.streams.items())
    regime.meet({role: known.num_classes for role, is_so, known in labelled if is_so})
    for role, start in run.starts.items():
        regime.learn_from(role, _trained(start, domain, store))
    torch.manual_seed(derive(run.seed, "fit"))
    return regime


def _random(run: Run, domain: ImageDomain) -> TransferModule:
    torch.manual_seed(derive(run.seed, "backbone"))
    backbone = build_backbone(run.backbone, run.image_size)
    backbone.to(memory_format=torch.channels_last)
    torch.manual_seed(derive(run.seed, "head"))
    cls = regime_class(run.regime)
    regime = cls(backbone, domain.num_classes, **run.regime.arguments)
    check_stages(regime, regime.phases())
    return regime


def _trained(run: Run, domain: ImageDomain, store: RecordStore) -> TransferModule:
    """A finished run on the same domain, as it ended; raises WeightsError."""
    path, sha256 = store.weights(run)
    chosen = store.get(run.id).chosen_options
    regime = _random(run.refit(json.loads(chosen)) if chosen else run, domain)
    load_whole(regime.backbone, regime.head, path, sha256)
    return regime.eval().requires_grad_(False)
