"""Checks for a regime, a domain or a backbone of one's own: what the lab's own keep, too.

    from transfer_lab.testing import check_regime
    check_regime(TuneFirst, k=1)

Each builds the class with the options that are given, with a guess for those that it needs and
that are not (1 for an int, 0.5 for a float), and its own defaults else, and raises one
ContractError with everything that does not hold. A minute at most on small networks.
"""

from __future__ import annotations

from transfer_lab.backbones.base import Backbone
from transfer_lab.data.base import ImageDomain
from transfer_lab.regimes.base import TransferModule
from transfer_lab.training.contracts.backbones import (
    BACKBONE_CHECKS,
    BackboneCase,
    it_trains_in_the_labs_regimes,
)
from transfer_lab.training.contracts.cases import Check, ContractError, keep
from transfer_lab.training.contracts.domains import DOMAIN_CHECKS, DomainCase
from transfer_lab.training.contracts.regimes import (
    RegimeCase,
    regime_checks,
    small_backbones_train_in_it,
    trains_on,
)
from transfer_lab.training.contracts.toys import Blocks, Leaky, drawn
from transfer_lab.training.fit import quiet

__all__ = [
    "BACKBONE_CHECKS",
    "DOMAIN_CHECKS",
    "BackboneCase",
    "Blocks",
    "Check",
    "ContractError",
    "DomainCase",
    "Leaky",
    "RegimeCase",
    "check_backbone",
    "check_domain",
    "check_regime",
    "drawn",
    "regime_checks",
    "trains_on",
]


def check_regime(cls: type[TransferModule], **options: object) -> None:
    """Raise ContractError with everything that the regime does not keep: what it freezes stays as
    it is at every step, it learns what can be learnt and nothing else, it is what its class says.
    """
    quiet()
    case = RegimeCase(cls, options)
    checks = regime_checks(case.entry)
    trained = (small_backbones_train_in_it,) if case.entry.spends_budget else ()
    keep(cls, (*checks, *trained), case)


def check_domain(cls: type[ImageDomain], **options: object) -> None:
    """Raise ContractError with everything that the domain does not keep: images as announced, the
    same ones every time, none in training pool and test set both."""
    keep(cls, DOMAIN_CHECKS, DomainCase(cls, options))


def check_backbone(cls: type[Backbone], *, image_size: int = 16, **options: object) -> None:
    """Raise ContractError with everything that the backbone does not keep: stages that hold all
    tensors and compose to the whole, outputs of frozen stages that can be computed once.

    `image_size`: side of the smallest images that it must take.
    """
    quiet()
    case = BackboneCase(cls, options, sizes=(image_size, image_size + 5, 2 * image_size))
    keep(cls, (*BACKBONE_CHECKS, it_trains_in_the_labs_regimes), case)
