"""Architecture -> backbone."""

from __future__ import annotations

from transfer_lab.backbones.base import Backbone
from transfer_lab.experiment.catalog import BACKBONES
from transfer_lab.experiment.choices import Architecture
from transfer_lab.experiment.classes import class_of


def backbone_class(choice: Architecture) -> type[Backbone]:
    """The class behind a choice; raises ModuleError where it is one's own and cannot be had."""
    return class_of(choice, BACKBONES, Backbone)


def build_backbone(choice: Architecture, image_size: int) -> Backbone:
    """The backbone with fresh weights."""
    backbone = backbone_class(choice)(image_size, **choice.arguments)
    return described(backbone, choice, image_size)


def described(backbone: Backbone, choice: Architecture, image_size: int) -> Backbone:
    """The backbone with what it was built from noted on it."""
    backbone.options, backbone.image_size = choice.arguments, image_size
    known = {"code": choice.code, "distribution": choice.distribution}
    backbone.origin = {name: value for name, value in known.items() if value is not None}
    return backbone
