"""Any traceable classification network, cut into stages where a single tensor crosses."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise, takewhile

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from transfer_lab.backbones.base import Backbone

_PARTS = 4
_BATCH = 2
_NET = "net."


class GraphBackbone(Backbone):
    """A network of a library, its classifier taken off, divided where its resolution falls.

    A stage ends with the last block before the next smaller map; a network of one resolution (a
    transformer) is divided into four stages of about equally many parameters. The cuts are found
    at `probe_size` pixels, so that they are the same for every image size. Raises ValueError for
    a network that cannot be traced.
    """

    def __init__(self, model: nn.Module, probe_size: int, *, opaque: Iterable[type] = ()):
        whole = _OfImages(model.eval())
        traced = _traced(whole, probe_size, tuple(opaque))
        shape = _shape(_result(traced))
        if len(shape) != 2:
            raise ValueError("this network does not end in one vector an image")
        super().__init__(_divide(whole, traced), num_features=shape[1])
        self.train()

    def initialise(self) -> None:
        """The library has drawn its own."""

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        stage_of = {
            key.removeprefix(_NET): f"{index}.{key}"
            for index, stage in enumerate(self.stages)
            for key in stage.state_dict()
        }
        own = super().translate(state)
        return own | {stage_of[key]: value for key, value in state.items() if key in stage_of}


class _OfImages(nn.Module):
    """A network as a function of images alone: what else it takes stays at its default."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


class _Tracer(fx.Tracer):
    """Leaves whole what behaves differently in training: a graph would fix one of the two modes."""

    def __init__(self, opaque: tuple[type, ...], whole_blocks: frozenset[nn.Module] = frozenset()):
        super().__init__()
        self._opaque, self._whole = opaque, whole_blocks

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if f"{module_qualified_name}." == _NET:
            return False
        if super().is_leaf_module(m, module_qualified_name) or isinstance(m, self._opaque):
            return True
        return m in self._whole or "training" in inspect.getsource(type(m).forward)


def _traced(model: nn.Module, size: int, opaque: tuple[type, ...]) -> fx.GraphModule:
    """The network as a graph with every node's shape; repeated blocks stay whole if need be."""
    for whole in (frozenset(), frozenset(_repeated_blocks(model))):
        try:
            traced = fx.GraphModule(model, _Tracer(opaque, whole).trace(model))
            _refuse_fixed_modes(traced)
            _propagate(traced, size)
            return traced
        except Exception as error:  # tracing foreign code may fail in any way
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    raise ValueError(f"this network cannot be divided into stages ({reason})")


def _refuse_fixed_modes(traced: fx.GraphModule) -> None:
    """Raise ValueError for a function that was told its mode: it would never drop a unit."""
    for node in traced.graph.nodes:
        if node.op == "call_function" and "training" in node.kwargs and node.kwargs.get("p", 1):
            raise ValueError(f"{node.name} drops units outside of a module")


def _repeated_blocks(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        children = list(module.children())
        kinds = {type(child) for child in children}
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(children) > len(kinds) == 1:
            yield from (child for child in children if not isinstance(child, nn.Sequential))


def _propagate(traced: fx.GraphModule, size: int) -> None:
    """Note every node's shape, in eval mode and without memory."""
    shadow = copy.deepcopy(traced).to("meta").eval()
    with torch.no_grad():
        ShapeProp(shadow).propagate(torch.empty(_BATCH, 3, size, size, device="meta"))
    for node, seen in zip(traced.graph.nodes, shadow.graph.nodes, strict=True):
        node.meta["tensor_meta"] = seen.meta.get("tensor_meta")


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(getattr(node.meta.get("tensor_meta"), "shape", ()))


def _result(traced: fx.GraphModule) -> fx.Node:
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    return output.args[0]


def _divide(model: nn.Module, traced: fx.GraphModule) -> list[nn.Module]:
    body = [n for n in traced.graph.nodes if n.op not in ("placeholder", "get_attr", "output")]
    crossings = _crossings(body)
    ends = _with_parameters(traced, body, _before_smaller_maps(crossings))
    if len(ends) < _PARTS - 2:
        ends = _with_parameters(traced, body, _equal_parts(traced, body, crossings))
    cuts = [0, *(body.index(end) + 1 for end in ends), len(body)]
    return [_segment(model, body[start:stop]) for start, stop in pairwise(cuts)]


def _crossings(body: Sequence[fx.Node]) -> dict[fx.Node, int]:
    """Nodes after which nothing but their own output, of one row an image, is still needed.

    Each with the depth of the module that holds both it and what follows: small at the end of a
    block, large inside one.
    """
    position = {node: index for index, node in enumerate(body)}
    images = [n for n in body[0].graph.nodes if n.op == "placeholder"]
    used = [position[user] for node in images for user in node.users if user in position]
    reach = max(used, default=-1)  # the last position that needs something from before the present
    found = {}
    for index, (node, following) in enumerate(pairwise(body)):
        if reach <= index and _shape(node)[:1] == (_BATCH,):
            found[node] = _shared(_scope(node), _scope(following))
        last_use = max((position.get(user, len(body)) for user in node.users), default=-1)
        reach = max(reach, last_use)
    return found


def _scope(node: fx.Node) -> list[str]:
    """Path of the module that calls the node's operation."""
    if node.op == "call_module":
        return node.target.split(".")[:-1]
    stack = list(node.meta.get("nn_module_stack") or {"": None})
    return stack[-1].split(".") if stack[-1] else []


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """How many leading components two paths have in common."""
    return len([*takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))])


def _side(node: fx.Node) -> int | None:
    """Side of a square map in either memory format, None of anything else."""
    shape = _shape(node)
    if len(shape) != 4:
        return None
    if shape[2] == shape[3]:
        return shape[2]
    return shape[1] if shape[1] == shape[2] else None


def _before_smaller_maps(crossings: Mapping[fx.Node, int]) -> list[fx.Node]:
    """The last end of a block, or of the outermost one there is, at each resolution."""
    maps = [(side, node) for node in crossings if (side := _side(node))]
    smallest = accumulate((side for side, _ in maps), min)
    kept = [pair for pair, least in zip(maps, smallest, strict=True) if pair[0] == least]
    ends = []
    for _, group in groupby(kept, key=lambda pair: pair[0]):
        nodes = [node for _, node in group]
        shallowest = min(crossings[node] for node in nodes)
        ends.append([node for node in nodes if crossings[node] == shallowest][-1])
    return ends[:-1]


def _equal_parts(
    traced: fx.GraphModule, body: Sequence[fx.Node], crossings: Mapping[fx.Node, int]
) -> list[fx.Node]:
    sizes = dict(zip(body, accumulate(_parameters(traced, [n]) for n in body), strict=True))
    total = sizes[body[-1]]
    ends_of_blocks: list[fx.Node] = []
    for depth in sorted(set(crossings.values())):
        ends_of_blocks = [node for node in crossings if crossings[node] <= depth]
        if len({sizes[node] for node in ends_of_blocks}) >= 2 * _PARTS:
            break
    ends = []
    for part in range(1, _PARTS):
        within = [node for node in ends_of_blocks if 0 < sizes[node] <= part * total / _PARTS]
        if within and within[-1] not in ends:
            ends.append(within[-1])
    return ends


def _with_parameters(
    traced: fx.GraphModule, body: Sequence[fx.Node], ends: Iterable[fx.Node]
) -> list[fx.Node]:
    """The ends that leave parameters on both sides; the rest of a network belongs to its last."""
    kept, start = [], 0
    for end in ends:
        stop = body.index(end) + 1
        if _parameters(traced, body[start:stop]) and _parameters(traced, body[stop:]):
            kept.append(end)
            start = stop
    return kept


def _parameters(traced: fx.GraphModule, nodes: Iterable[fx.Node]) -> int:
    modules = {n.target for n in nodes if n.op == "call_module"}
    return sum(p.numel() for name in modules for p in traced.get_submodule(name).parameters())


def _segment(model: nn.Module, nodes: Sequence[fx.Node]) -> fx.GraphModule:
    """The nodes as a module of one input and one output, under the model's own names."""
    graph, copies = fx.Graph(), {}
    inputs = graph.placeholder("inputs")
    entering: set[fx.Node] = set()

    def mapped(node: fx.Node) -> fx.Node:
        if node.op == "get_attr" and node not in copies:
            copies[node] = graph.node_copy(node)
        if node in copies:
            return copies[node]
        entering.add(node)
        if len(entering) > 1:
            raise ValueError("this network cannot be divided: two tensors cross a cut")
        return inputs

    for node in nodes:
        copies[node] = graph.node_copy(node, mapped)
    graph.output(copies[nodes[-1]])
    return fx.GraphModule(model, graph)


def without_classifier(model: nn.Module, classes: int) -> nn.Module:
    """The network with its last linear layer, the one onto `classes`, taken off.

    Raises ValueError if there is none.
    """
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == classes
    ]
    if not names:
        raise ValueError("its classifier is no linear layer")
    parent, _, name = names[-1].rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Identity())
    return model


def checked_name(name: str, names: Sequence[str], library: str) -> str:
    """The name, if the library has it; raises ValueError with the nearest ones."""
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"{library} has no classification network named '{name}'{hint}")
