"""What a regime under test sees beside the toy's target: streams, a source's head, a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch

from transfer_lab.data.base import ImageDomain
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import RegimeEntry
from transfer_lab.regimes.base import TransferModule
from transfer_lab.regimes.from_scratch import FromScratch
from transfer_lab.training.contracts.toys import Blocks, Leaky, drawn
from transfer_lab.training.fit import fit_and_test

_CLASSES = 4
_ENOUGH = Fit(epochs=25, batch_size=8)
ROLES = {"source": ("source",), "sources": ("source", "source_2"), "unlabelled": ("unlabelled",)}
"""The streams that come of what a regime says it sees."""


def accompanied(domain: ImageDomain, entry: RegimeEntry) -> ImageDomain:
    """The drawn target with all that such a regime sees beside it, annotations of its images among
    that, and without labels where it reads none."""
    roles = [role for sees in entry.sees for role in ROLES.get(sees, ())]
    domain.streams = {role: _stream(role, place, domain) for place, role in enumerate(roles)}
    domain.annotations = entry.annotations
    domain.hides_labels = entry.target_labels == "unread"
    return domain


def _stream(role: str, place: int, target: ImageDomain) -> ImageDomain:
    """The toy's classes in other noise; its own images where they are unlabelled."""
    own = role == "unlabelled"
    stream = drawn(Blocks(target.image_size, variant=0 if own else 1 + place))
    stream.batch_size, stream.seed = target.batch_size, 100 + place
    stream.hides_labels = own
    return stream


@lru_cache(maxsize=4)
def trained(image_size: int = 12) -> TransferModule:
    """A network that has learnt the toy's classes in other noise: a source's model, or a teacher.
    The caller's random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        regime = FromScratch(Leaky(image_size), _CLASSES, lr=0.02)
        fit_and_test(regime, drawn(Blocks(image_size, variant=1), per_class=24), _ENOUGH)
    return regime.eval().requires_grad_(False)


def surround(regime: TransferModule, entry: RegimeEntry, *, started: bool) -> None:
    """Give the regime what it starts from and draws on; `started`: with the weights of a model that
    has learnt the toy's classes, where it needs its head."""
    if entry.source_head:
        _start(regime, learnt=started and isinstance(regime.backbone, Leaky))
    regime.meet(_classes(entry.sees))
    if "teacher" in entry.sees:
        regime.learn_from("teacher", trained(regime.backbone.image_size % 224 or 12))


def _start(regime: TransferModule, *, learnt: bool) -> None:
    if learnt:
        model = trained()
        regime.backbone.stages.load_state_dict(model.backbone.stages.state_dict())
        regime.start_head(model.head.weight.detach(), model.head.bias.detach())
    else:
        shape = (_CLASSES, regime.backbone.num_features)
        regime.start_head(torch.randn(shape) / shape[1] ** 0.5, torch.zeros(_CLASSES))


def _classes(sees: tuple[str, ...]) -> Mapping[str, int]:
    return {r: _CLASSES for s in sees if s != "unlabelled" for r in ROLES.get(s, ())}
