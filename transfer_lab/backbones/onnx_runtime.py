"""Frozen stages as ONNX Runtime computes them on a CPU: blocked maps and fused activations, for
which torch's kernels take several times as long where convolutions are depthwise."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from torch import nn

_NEEDED = ("onnx", "onnxruntime")
_OPSET = 17
_PIXELS = 2**17
_MOST = 32
_TOLERANCE = 1e-4


@cache
def versions() -> tuple[str, ...]:
    """Of all that the last digits depend on; none where a package is missing."""
    try:
        return tuple(f"{name} {version(name)}" for name in (*_NEEDED, "torch"))
    except PackageNotFoundError:
        return ()


def gains(stages: Iterable[nn.Module]) -> bool:
    """Whether these stages have grouped convolutions, of which the depthwise ones are a kind."""
    modules = (module for stage in stages for module in stage.modules())
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in modules)


class OnnxStages:
    """Stages as a function of prepared images, made for each image size when the first of it come.

    An image's output does not depend on those beside it. Stages that cannot be exported, or whose
    export computes something else, are left to torch.
    """

    def __init__(self, stages: nn.ModuleList):
        # As the container is the exporter leaves them: in training mode unless it is told.
        self._stages = nn.Sequential(*stages).eval()
        self._made: dict[torch.Size, _Session | None] = {}

    def __call__(self, prepared: torch.Tensor) -> torch.Tensor | None:
        """Output, fp32, for (n, channels, s, s), fp32; None where torch has to compute it."""
        shape = prepared.shape[1:]
        if shape not in self._made:
            self._made[shape] = self._session(shape)
        session = self._made[shape]
        return None if session is None else torch.from_numpy(session(prepared.numpy()))

    def _session(self, shape: torch.Size) -> _Session | None:
        at_once = min(_MOST, max(1, _PIXELS // shape[-1] ** 2))
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(at_once, *shape, generator=generator)
        with torch.inference_mode():
            expected = self._stages(images).numpy()
        try:
            session = _Session(exported(self._stages, images), at_once)
            found = session(images.numpy())
        except Exception as error:  # an exporter meets whatever somebody's network holds
            return self._left(f"{type(error).__name__}: {error}")
        off = float(np.abs(found - expected).max())
        if found.shape != expected.shape or not off <= _TOLERANCE * np.abs(expected).max():
            return self._left(f"its outputs are off by {off:.1e}")
        return session

    @staticmethod
    def _left(reason: str) -> None:
        told = reason.splitlines()[0][:200]
        warnings.warn(
            f"ONNX Runtime cannot compute these stages ({told}); torch does", stacklevel=4
        )


class _Session:
    """ONNX Runtime on as many images at once as the model was exported with."""

    def __init__(self, model: bytes, at_once: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # Waiting threads would take the cores from processes that run beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._at_once = at_once

    def __call__(self, images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), self._at_once):
            part = images[start : start + self._at_once]
            whole = np.resize(part, (self._at_once, *part.shape[1:]))
            parts.append(self._session.run(None, {self._input: whole})[0][: len(part)])
        return np.concatenate(parts)


def exported(
    module: nn.Module,
    images: torch.Tensor,
    outputs: tuple[str, ...] = ("outputs",),
    batch: str | None = None,
) -> bytes:
    """The module as an ONNX model of exactly this many images of this size: with every shape known
    the runtime folds padding into convolutions. With a name for it, `batch` may be any number."""
    to = io.BytesIO()
    axes = {name: {0: batch} for name in ("images", *outputs)} if batch else None
    # Asked for here: torch.onnx loads the runtime where torch is an older one.
    known = inspect.signature(torch.onnx.export).parameters
    by_trace = {"dynamo": False} if "dynamo" in known else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter that is going away, of constants in traces
        torch.onnx.export(
            module,
            (images,),
            to,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=_OPSET,
            **by_trace,
        )
    return to.getvalue()
