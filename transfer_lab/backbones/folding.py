"""Batch normalisation as part of the convolution before it: what a fixed network needs no layer
for."""

from __future__ import annotations

from itertools import pairwise

from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(module: nn.Module) -> nn.Module:
    """The module, changed in place, with every batch normalisation that directly follows a
    convolution folded in."""
    if isinstance(module, fx.GraphModule):
        _fold_activated(module)
        return fuse(module, inplace=True, no_trace=True)
    for name, child in module.named_children():
        setattr(module, name, folded(child))
    if type(module) is nn.Sequential:
        for before, after in pairwise(list(module._modules)):
            conv, norm = module._modules[before], module._modules[after]
            if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d and _is_fixed(norm):
                module._modules[before] = fuse_conv_bn_eval(conv, norm)
                module._modules[after] = nn.Identity()
    return module


def folds_activated(stages: nn.Module) -> bool:
    """Whether there is a normalisation that holds its own activation, as timm's networks have."""
    graphs = [module for module in stages.modules() if isinstance(module, fx.GraphModule)]
    return any(_is_activated(module) for graph in graphs for module in graph.modules())


def _fold_activated(graph: fx.GraphModule) -> None:
    """Leave of timm's BatchNormAct2d the activation, where a convolution precedes it."""
    modules = dict(graph.named_modules())
    for node in graph.graph.nodes:
        norm = modules.get(node.target) if node.op == "call_module" else None
        if norm is None or not _is_activated(norm):
            continue
        before = node.args[0]
        conv = modules.get(before.target) if before.op == "call_module" else None
        if isinstance(conv, nn.Conv2d) and len(before.users) == 1:
            _put(graph, before.target, fuse_conv_bn_eval(conv, norm))
            _put(graph, node.target, norm.act)


def _put(graph: fx.GraphModule, target: str, module: nn.Module) -> None:
    """As `set_submodule`, which older releases of torch lack."""
    parent, _, name = target.rpartition(".")
    setattr(graph.get_submodule(parent), name, module)


def _is_activated(module: nn.Module) -> bool:
    """`drop` and `act` are applied to what it has normalised, and nothing else is."""
    return (
        isinstance(module, nn.BatchNorm2d)
        and type(module).__name__ == "BatchNormAct2d"
        and type(module.drop) is nn.Identity
        and _is_fixed(module)
    )


def _is_fixed(norm: nn.BatchNorm2d) -> bool:
    return norm.track_running_stats and norm.running_mean is not None
