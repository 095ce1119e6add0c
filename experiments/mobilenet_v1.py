"""A backbone of one's own: MobileNetV1 (Howard et al. 2017) without its last block and classifier.

Named in an experiment beside it as `module: mobilenet_v1.py:MobileNetV1`. The weights it reads are
those of a network trained with TensorFlow, hence the padding and the epsilon.
"""

from __future__ import annotations

from torch import Tensor, nn

from transfer_lab.backbones.base import Backbone

_BLOCKS = (
    # in, out, stride
    *((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)),
    *[(512, 512, 1)] * 5,
    (512, 1024, 2),
)
_STAGES = ((0,), (1, 2), (3, 4), (5, 6, 7, 8, 9, 10), (11,))
"""The blocks of each resolution; the stem stands before the first."""


class MobileNetV1(Backbone):
    """Five stages, from 112 x 112 to 7 x 7 at 224 pixels; features are the averaged last map."""

    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)  # bytes / 127.5 - 1

    def __init__(self, image_size: int):
        stages = [nn.Sequential(*(_block(*_BLOCKS[b]) for b in blocks)) for blocks in _STAGES]
        stages[0].insert(0, _unit(nn.Conv2d(3, 32, 3, 2, bias=False)))
        stages[-1].extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
        super().__init__(stages, num_features=_BLOCKS[-1][1])

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """`stem.conv.weight`, `blocks.3.depthwise.bn.bias`, ... to `stage.place.part...`."""
        units = {"stem": "0.0"}
        for stage, blocks in enumerate(_STAGES):
            for place, block in enumerate(blocks):
                for number, part in enumerate(("depthwise", "pointwise")):
                    units[f"blocks.{block}.{part}"] = f"{stage}.{place + (stage == 0)}.{number}"
        own = {}
        for key, value in state.items():
            unit, layer, tensor = key.rsplit(".", 2)
            own[f"{units[unit]}.{layer}.{tensor}"] = value
        return own


def _unit(conv: nn.Conv2d) -> nn.Sequential:
    """Convolution padded as TensorFlow's SAME (at stride 2 at the bottom and right alone), batch
    normalisation, ReLU6."""
    size, stride = conv.kernel_size[0], conv.stride[0]
    unit = nn.Sequential()
    if size > 1:
        unit.add_module("pad", nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1))
    unit.add_module("conv", conv)
    unit.add_module("bn", nn.BatchNorm2d(conv.out_channels, eps=1e-3))
    unit.add_module("relu", nn.ReLU6())
    return unit


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A depthwise-separable convolution."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
    return nn.Sequential(_unit(depthwise), _unit(nn.Conv2d(inputs, outputs, 1, bias=False)))
