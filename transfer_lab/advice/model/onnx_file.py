"""The network as one ONNX file, from uint8 images to probabilities and features."""

from __future__ import annotations

import inspect
import io
import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import torch

from transfer_lab.advice.model.trained import Trained, noise

INPUT, OUTPUTS = "images", ("probabilities", "features")
_OPSET = 17


def can_export() -> bool:
    """Whether what writes ONNX is installed."""
    return find_spec("onnx") is not None


def onnx_content(trained: Trained) -> bytes:
    """The file: `images` (n, size, size, 3), uint8, any n; classes and size in its metadata.

    Raises RuntimeError for a network that ONNX has no operations for.
    """
    import onnx

    written = io.BytesIO()
    export: Callable[..., object] = torch.onnx.export  # what it takes differs between versions
    # torch.export's way takes five times as long and needs a further package.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are constants here, and of the other way
        export(
            trained.classifier,
            (noise(trained.image_size),),
            written,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "n"} for name in (INPUT, *OUTPUTS)},
            opset_version=_OPSET,
            **_the_short_way(),
        )
    model = onnx.load_from_string(written.getvalue())
    known = {"classes": json.dumps(trained.classes), "image_size": str(trained.image_size)}
    onnx.helper.set_model_props(model, known)
    return model.SerializeToString()


def _the_short_way() -> dict[str, bool]:
    """torch before 2.5 knows no other."""
    known = inspect.signature(torch.onnx.export).parameters
    return {"dynamo": False} if "dynamo" in known else {}
